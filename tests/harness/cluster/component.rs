//! A program of the cluster that runs until it is dropped, with its output in a file that is kept.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::spawn::Guarded;

/// How much of a log an error message quotes.
const TAIL_LINES: usize = 15;

/// A running program of the cluster.
#[derive(Debug)]
pub(super) struct Component {
    name: String,
    process: Guarded,
    log: PathBuf,
}

impl Component {
    /// Starts it; what it writes is appended to `<name>.log` in the folder of the logs.
    pub(super) fn start(name: &str, mut command: Command, logs: &std::path::Path) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::from(file.try_clone()?)).stderr(Stdio::from(file));
        Ok(Self { name: name.to_owned(), process: Guarded::start(name, command)?, log })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// An error with the end of its log if it has ended.
    pub(super) fn ensure_running(&mut self) -> Result<()> {
        match self.process.exited()? {
            None => Ok(()),
            Some(status) => Err(anyhow::anyhow!("{} ended with {status}; {}", self.name, self.tail())),
        }
    }

    /// The end of its log, for an error message.
    pub(super) fn tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let end = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        format!("{} ends with:\n{end}", self.log.display())
    }
}
