//! A real binary of ours as a child process: its lines, its signals, its end.
//!
//! It never builds anything: `cargo xtask test` has built the binaries before.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::spawn::{Guarded, command};
use crate::wait::{eventually, eventually_ok};

/// How the variables begin that our binaries read or refuse.
const SETTINGS: [&str; 5] = ["HEADGATE_", "AUTH_", "KAFKA__", "PORT", "input"];
/// How much of the log an error message quotes.
const TAIL_LINES: usize = 30;

/// A running binary with both its outputs read line by line.
#[derive(Debug)]
pub struct Process {
    child: Guarded,
    stdout: Lines,
    stderr: Lines,
    seen: usize,
}

impl Process {
    /// A command for one of our binaries, by its name (`headgate-gateway`, `headgate` …); add arguments and start it.
    ///
    /// It inherits no setting of ours: those of the tests begin alike, and a gateway refuses to start with unknown ones.
    pub fn command(name: &str) -> Result<Command> {
        let mut command = command(binary(name)?);
        for (variable, _) in std::env::vars_os() {
            if SETTINGS.iter().any(|prefix| variable.to_string_lossy().starts_with(prefix)) {
                command.env_remove(variable);
            }
        }
        Ok(command)
    }

    /// Starts it.
    pub fn start(name: &str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Guarded::start(name, command)?;
        let stdout = child.child().stdout.take().context("stdout is a pipe")?;
        let stderr = child.child().stderr.take().context("stderr is a pipe")?;
        Ok(Self { child, stdout: Lines::read(stdout), stderr: Lines::read(stderr), seen: 0 })
    }

    /// The next line of stdout that `wanted` accepts; the ones before it are passed over.
    pub async fn line(&mut self, deadline: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let outcome = eventually_ok("a line on stdout", deadline, async || {
            let ended = self.child.exited()?;
            while let Some(line) = self.stdout.get(self.seen) {
                self.seen += 1;
                if wanted(&line) {
                    return Ok(line);
                }
            }
            match ended {
                Some(status) => bail!("the process ended with {status}"),
                None => bail!("not written yet"),
            }
        });
        outcome.await.with_context(|| format!("its log ends with:\n{}", self.stderr.tail()))
    }

    /// Everything that it has written to stdout so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// Everything that it has written to stderr so far.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) -> Result<()> {
        self.child.signal(Signal::TERM)
    }

    /// Any other signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.child.signal(signal)
    }

    /// Ends it without asking (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()
    }

    /// Waits for its end, and until its last words are read.
    pub async fn exit(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let status = self.child.wait(deadline).await;
        let status = status.with_context(|| format!("its log ends with:\n{}", self.stderr.tail()))?;
        eventually("its outputs to end", deadline, async || self.stdout.ended() && self.stderr.ended()).await?;
        Ok(status)
    }
}

/// Where a binary of ours is: `$HEADGATE_BIN_DIR`, else the folder above the one of this test's executable.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = if let Some(folder) = std::env::var_os("HEADGATE_BIN_DIR") {
        PathBuf::from(folder)
    } else {
        let test = std::env::current_exe().context("this test has no executable")?;
        test.ancestors().nth(2).context("a test executable lies two folders deep")?.to_owned()
    };
    let path = folder.join(name);
    if !path.is_file() {
        bail!("{} is not built: run `cargo xtask test`, or `cargo build --workspace --bins` before", path.display());
    }
    Ok(path)
}

/// What a process writes, read by a thread of its own so that a full pipe never blocks it.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn read(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let sink = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                sink.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        lines
    }

    /// Whether nothing more can come: the thread that reads has let go of its half.
    fn ended(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    fn get(&self, index: usize) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(index).cloned()
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tail(&self) -> String {
        let all = self.all();
        all[all.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut shell = command("sh");
        shell.args(["-c", script]);
        Process::start("sh", shell).unwrap()
    }

    #[tokio::test]
    async fn lines_are_found_in_their_order() {
        let mut process = shell("echo one; echo two; echo three");
        let second = process.line(Duration::from_mins(1), |line| line.starts_with('t')).await.unwrap();
        assert_eq!(second, "two");
        assert_eq!(process.line(Duration::from_mins(1), |_| true).await.unwrap(), "three");
        assert!(process.exit(Duration::from_mins(1)).await.unwrap().success());
    }

    #[tokio::test]
    async fn an_error_quotes_the_log() {
        let mut process = shell("echo broken pipe dream >&2; exit 3");
        let status = process.exit(Duration::from_mins(1)).await.unwrap();
        assert_eq!(status.code(), Some(3));
        let error = process.line(Duration::from_millis(200), |_| true).await.unwrap_err();
        assert!(format!("{error:#}").contains("broken pipe dream"), "{error:#}");
    }
}
