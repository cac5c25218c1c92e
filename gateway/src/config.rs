//! From the configuration that was written to the one that can be trusted: parsed once, checked completely, keys loaded.
//!
//! Everything behind [`Config::load`] may rely on what it checked. All problems are reported at once, each with the field
//! and the remedy. No error here may quote a value that could be secret.

pub mod args;
mod check;
pub mod follow;
pub mod followed;
pub mod pem;
mod yaml;

pub use check::{MAX_APP_LENGTH, Problem};

use crate::auth::Policy;
use crate::auth::key_file;
use crate::auth::key_ring::KeyRing;
use crate::auth::ticket::TicketSecret;
use headgate_wire::GatewayConfig;
use headgate_wire::config::AuthMode;
use headgate_wire::key::Verifier;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest configuration file that is read, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// A configuration that has been checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// What was written, valid in every field.
    pub wire: GatewayConfig,
    /// The keys that are accepted at start; empty in mode `None`.
    pub key_ring: Arc<KeyRing>,
    /// The part of the ring that came from the environment, so that it outlives changes of the keys file.
    pub extra_keys: Vec<Verifier>,
    /// What tickets are sealed with.
    pub ticket_secret: TicketSecret,
    /// The file that it came from, if it came from one: its rules of access are followed.
    pub file: Option<PathBuf>,
    /// The rules of access at start.
    pub policy: Policy,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or may not be read.
    #[error("the configuration file {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Larger than any honest one.
    #[error("the configuration file {0} has more than {MAX_CONFIG_BYTES} bytes")]
    TooLarge(PathBuf),
    /// Not YAML, or not of the expected shape. Values of librdkafka properties are left out of the sentence.
    #[error("the configuration cannot be understood: {0}")]
    Parse(String),
    /// Well-formed, but not acceptable.
    #[error("the configuration has {}:{}", Count(problems.len()), List(problems))]
    Invalid {
        /// All of them.
        problems: Vec<Problem>,
    },
}

impl Config {
    /// Checks everything, loads the keys file, and combines it with keys that came from elsewhere.
    pub fn load(wire: GatewayConfig, extra_keys: Vec<Verifier>) -> Result<Self, ConfigError> {
        let mut problems = check::check(&wire, !extra_keys.is_empty());
        let key_ring = load_keys(&wire, &extra_keys, &mut problems);
        let policy = Policy::new(&wire).unwrap_or_else(|errors| {
            problems.extend(errors.iter().map(Problem::from));
            Policy::default()
        });
        let ticket_secret = TicketSecret::load(wire.auth.ticket_key_file.as_deref())
            .map_err(|error| problems.push(Problem::new("auth.ticketKeyFile", error.to_string())));
        if let (Ok(ticket_secret), true) = (ticket_secret, problems.is_empty()) {
            Ok(Self { ticket_secret, wire, key_ring: Arc::new(key_ring), extra_keys, file: None, policy })
        } else {
            Err(ConfigError::Invalid { problems })
        }
    }

    /// Reads the text of a configuration file; nothing is checked yet.
    pub fn parse_yaml(text: &str) -> Result<GatewayConfig, ConfigError> {
        yaml::parse(text).map_err(ConfigError::Parse)
    }

    /// Reads a configuration file; nothing is checked yet.
    pub fn read_yaml(path: &Path) -> Result<GatewayConfig, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let file = File::open(path).map_err(failed)?;
        file.take(MAX_CONFIG_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_CONFIG_BYTES {
            return Err(ConfigError::TooLarge(path.to_owned()));
        }
        Self::parse_yaml(&text)
    }
}

fn load_keys(wire: &GatewayConfig, extra_keys: &[Verifier], problems: &mut Vec<Problem>) -> KeyRing {
    if wire.auth.mode == AuthMode::None {
        return KeyRing::default();
    }
    key_file::load(wire.auth.keys_file.as_deref(), extra_keys).unwrap_or_else(|error| {
        problems.push(Problem::new("auth.keysFile", error.to_string()));
        KeyRing::default()
    })
}

struct Count(usize);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 1 { f.write_str("a problem") } else { write!(f, "{} problems", self.0) }
    }
}

struct List<'p>(&'p [Problem]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

#[cfg(test)]
mod tests;
