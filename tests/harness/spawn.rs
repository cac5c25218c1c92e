//! Child processes that cannot outlive the test process, and signals to them.
//!
//! Never start a server in any other way: a test that is killed would leave it behind.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::eventually_ok;

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    name: String,
}

impl Guarded {
    /// Starts a command made by [`command`].
    pub fn start(name: &str, command: Command) -> Result<Self> {
        let (reply, answer) = mpsc::sync_channel(1);
        SPAWNER.send((command, reply)).map_err(|_| anyhow!("the thread that starts processes is gone"))?;
        let child = answer.recv().context("the thread that starts processes is gone")?;
        let child = child.with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, name: name.to_owned() })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Access to the pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed()).context("a child has an id")?;
        kill_process(pid, signal).with_context(|| format!("cannot send {signal:?} to {}", self.name))
    }

    /// Its exit status, if it has ended.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot ask after {}", self.name))
    }

    /// Waits for its end.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        eventually_ok(what, deadline, async || self.exited()?.context("it is still running")).await
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait().with_context(|| format!("cannot await the end of {}", self.name))?;
        Ok(())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Nobody is left to tell: the process is gone already, or it dies with this one.
        let _ = self.kill();
    }
}

/// A command that the kernel kills as soon as this process is gone, where the system can do that.
pub fn command(program: impl AsRef<Path>) -> Command {
    if *CAN_GUARD {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program.as_ref());
        command
    } else {
        Command::new(program.as_ref())
    }
}

/// Part of util-linux, so it is on every Linux. Elsewhere children of a killed test process stay behind.
static CAN_GUARD: LazyLock<bool> = LazyLock::new(|| {
    let mut probe = Command::new("setpriv");
    probe.args(["--pdeathsig", "KILL", "--", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
});

type Job = (Command, mpsc::SyncSender<io::Result<Child>>);

/// One thread starts every child and never ends: the kernel's "signal at the parent's death" means the death of the
/// *thread* that started the child, and the thread of a test is gone long before a shared server may go.
static SPAWNER: LazyLock<mpsc::SyncSender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::sync_channel::<Job>(16);
    std::thread::spawn(move || {
        for (mut command, reply) in queue {
            // Who asked may have given up; then the child is dropped with the answer.
            let _ = reply.send(command.spawn());
        }
    });
    jobs
});

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_ends_at_a_signal_and_its_status_is_seen() {
        let mut sleeper = command("sleep");
        sleeper.arg("60");
        let mut child = Guarded::start("sleep", sleeper).unwrap();
        assert!(child.exited().unwrap().is_none());
        child.signal(Signal::TERM).unwrap();
        let status = child.wait(Duration::from_mins(1)).await.unwrap();
        assert!(!status.success());
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let mut missing = Command::new("/nonexistent/program");
        missing.stdout(Stdio::null());
        let error = Guarded::start("the missing one", missing).unwrap_err();
        assert!(error.to_string().contains("cannot start the missing one"), "{error:#}");
    }
}
