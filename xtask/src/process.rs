//! Running other programs: with their output shown, or kept for the case that they fail.
//!
//! Never through a shell, and never a wait without an end where the network may hang.

use std::io::{PipeReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How much of a failed program's output is quoted.
const TAIL_BYTES: usize = 4096;
/// The longest that a silent program may take: a cold build of a tool on a slow machine.
const SILENT: Duration = Duration::from_mins(30);

/// Runs it with its output shown as it comes.
pub(crate) fn shown(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", describe(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", describe(command));
    }
    Ok(())
}

/// Runs it silently; the end of its output is part of the error.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    quiet_within(SILENT, command)
}

/// The same, killed after `limit`.
pub(crate) fn quiet_within(limit: Duration, command: &mut Command) -> Result<()> {
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot run {}", describe(command)))?;
    // The command holds the writing ends too; as long as it does, the pipe has no end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(output) = read_to_end(reader).recv_timeout(limit) else {
        child.kill()?;
        child.wait()?;
        bail!("{} took more than {limit:?}", describe(command));
    };
    let status = child.wait()?;
    if !status.success() {
        bail!("{} failed ({status}):\n{}", describe(command), tail(&output));
    }
    Ok(())
}

/// Runs it and gives what it wrote to stdout.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", describe(command)))?;
    if !output.status.success() {
        bail!("{} failed:\n{}", describe(command), tail(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} did not write UTF-8", describe(command)))
}

/// Whether it runs and succeeds, whatever it says.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The program and its first arguments: enough to know it again.
pub(crate) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.take(4).map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn read_to_end(mut reader: PipeReader) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut output = Vec::new();
        // What was read before an error is still worth quoting; nobody listens after the limit.
        let _ = reader.read_to_end(&mut output);
        let _ = send.send(output);
    });
    receive
}

fn tail(output: &[u8]) -> String {
    String::from_utf8_lossy(&output[output.len().saturating_sub(TAIL_BYTES)..]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_quotes_both_outputs() {
        let error = quiet(&mut shell("echo out; echo err >&2; exit 4")).unwrap_err().to_string();
        assert!(error.contains("out\nerr") && error.contains('4'), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let error = quiet_within(Duration::from_millis(50), &mut shell("exec sleep 60")).unwrap_err();
        assert!(error.to_string().contains("took more than 50ms"), "{error}");
    }
}
