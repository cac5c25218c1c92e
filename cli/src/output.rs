//! The only place that writes to the terminal: results on the standard output, everything else on standard error.
//!
//! It must never write a credential that it was not handed for that purpose, and never fail because nobody reads.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

/// Bytes of results collected before they are written without being asked to.
const BUFFER_BYTES: usize = 64 * 1024;

/// The standard output with a buffer.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: BufWriter<Stdout>,
    terminal: bool,
}

/// Nobody reads the standard output any more, or it cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The reader of the pipe went away: the normal end of `headgate stream | head`.
    #[error("nobody reads the output any more")]
    Closed,
    /// Disk full and the like.
    #[error("cannot write the output: {0}")]
    Failed(io::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Failed(error) }
    }
}

impl Output {
    /// The process's standard output.
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self { stdout: BufWriter::with_capacity(BUFFER_BYTES, stdout), terminal }
    }

    /// True if a person sees the output directly.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// True if colours are welcome: on a terminal, unless `NO_COLOR` has a value (no-color.org).
    pub(crate) fn wants_colours(&self) -> bool {
        self.terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// Adds one line of results to the buffer.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<(), OutputError> {
        self.stdout.write_all(line)?;
        self.stdout.write_all(b"\n")?;
        Ok(())
    }

    /// Writes what is in the buffer.
    pub(crate) fn flush(&mut self) -> Result<(), OutputError> {
        Ok(self.stdout.flush()?)
    }

    /// True if lines wait in the buffer.
    pub(crate) fn has_pending(&self) -> bool {
        !self.stdout.buffer().is_empty()
    }
}

/// A line on the standard error output.
pub(crate) fn notice(text: impl Display) {
    // A closed standard error is no reason to stop: there is nowhere left to say so.
    let _ = writeln!(io::stderr(), "{text}");
}

/// An error, as every command reports it.
pub(crate) fn error(text: impl Display) {
    notice(format_args!("headgate: {text}"));
}
