//! Logs: readable text for people, one JSON object per line for pods. Owns the subscriber and nothing that is logged.
//!
//! Everything goes to standard error, because a command's standard output is for its results. A thread of its own writes
//! there: whoever reads the other end of that pipe may stall, and nobody who logs may wait for it.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::str::FromStr;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _, fmt as format};

/// Environment variable that overrides the default filter, in the syntax of `tracing_subscriber::EnvFilter`.
pub const FILTER_VARIABLE: &str = "RUST_LOG";

/// Lines that may wait to be written. More are lost, and counted.
const WAITING_LINES: usize = 16 * 1024;

/// Writes what is left when it is dropped, for as long as the other end takes it. Keep it until the process ends.
#[must_use = "log lines are lost when it is dropped"]
pub struct Logs {
    lost: ErrorCounter,
    _writer: WorkerGuard,
}

impl Logs {
    /// Lines that were lost, because nobody read those before them.
    pub fn lost(&self) -> usize {
        self.lost.dropped_lines()
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").field("lost", &self.lost()).finish_non_exhaustive()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        match self.lost() {
            0 => {}
            lost => tracing::warn!(lost, "log lines were lost: nobody read those before them"),
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people; in colour on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A log format that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("log formats are `text` and `json`")]
pub struct UnknownLogFormat;

/// Why logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter has a mistake. Silently logging nothing would hide every other one.
    #[error("`{FILTER_VARIABLE}` is no log filter: {0}; write for example `info,headgate_gateway=debug`")]
    Filter(#[from] ParseError),
    /// Somebody else has set a subscriber.
    #[error("logs are already set up: {0}")]
    AlreadySet(#[from] TryInitError),
}

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(text: &str) -> Result<Self, UnknownLogFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLogFormat),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Starts logging for the whole process. `RUST_LOG` wins over the default filter if it is set and not empty.
pub fn init(format: LogFormat, default_filter: &str) -> Result<Logs, TelemetryError> {
    let wanted = std::env::var(FILTER_VARIABLE).ok().filter(|filter| !filter.trim().is_empty());
    let filter = filter(wanted.as_deref(), default_filter)?;
    let (writer, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES).finish(io::stderr());
    let lost = writer.error_counter();
    let layer = match format {
        LogFormat::Text => format::layer().with_writer(writer).with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => format::layer().with_writer(writer).json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(layer).try_init()?;
    Ok(Logs { lost, _writer: guard })
}

fn filter(wanted: Option<&str>, default: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(wanted.unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_and_a_mistake_in_it_is_not_ignored() {
        assert_eq!(filter(Some("debug"), "info").unwrap().to_string(), "debug");
        assert_eq!(filter(None, "info").unwrap().to_string(), "info");
        assert!(filter(Some("info,headgate=loud"), "info").is_err());
    }

    #[test]
    fn formats_are_written_as_they_are_read() {
        for format in [LogFormat::Text, LogFormat::Json] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("xml".parse::<LogFormat>(), Err(UnknownLogFormat));
    }
}
