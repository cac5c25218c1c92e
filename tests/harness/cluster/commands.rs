//! Programs that run to their end: their output, or an error that quotes it.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::spawn::{Guarded, command};

/// For programs that only ask or set something.
pub(super) const SHORT: Duration = Duration::from_secs(30);

/// Runs it with `input` on stdin, kills it after `deadline`, and gives what it wrote to stdout.
pub(super) async fn finished(mut command: Command, input: &str, deadline: Duration) -> Result<String> {
    let what = describe(&command);
    let mut stdin = tempfile::tempfile()?;
    stdin.write_all(input.as_bytes())?;
    stdin.seek(SeekFrom::Start(0))?;
    let (stdout, stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout.try_clone()?));
    command.stderr(Stdio::from(stderr.try_clone()?));
    let status = Guarded::start(&what, command)?.wait(deadline).await;
    let status = status.with_context(|| text(&stderr).unwrap_or_default())?;
    if !status.success() {
        bail!("{what} failed ({status}):\n{}{}", text(&stdout)?, text(&stderr)?);
    }
    text(&stdout)
}

/// Runs `ip` with these words.
pub(super) async fn ip(words: &str) -> Result<()> {
    let mut ip = command("ip");
    ip.args(words.split(' '));
    finished(ip, "", SHORT).await.map(drop)
}

fn text(mut file: &File) -> Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The words of the command, without those that guard the process.
fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let start = words.iter().position(|word| word == "--").map_or(0, |end| end + 1);
    words[start..].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn input_goes_in_and_output_comes_out() {
        assert_eq!(finished(command("cat"), "hello", SHORT).await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn a_failure_names_the_command_and_quotes_it() {
        let mut shell = command("sh");
        shell.args(["-c", "echo why >&2; exit 3"]);
        let error = finished(shell, "", SHORT).await.unwrap_err().to_string();
        assert!(error.starts_with("sh -c") && error.ends_with("why\n"), "{error}");
    }
}
