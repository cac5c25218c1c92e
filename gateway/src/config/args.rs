//! How a gateway is started: with one file, or alone by flags and environment.
//!
//! Closed by default: a missing, misspelt or contradictory authentication setting refuses to start. No message repeats a
//! value of a variable or of a property. The process environment is read in one place, [`from_process`].

mod assemble;
mod environment;
mod flags;

use crate::auth::brought_keys::BroughtKeysError;
use crate::config::{Config, ConfigError};
use assemble::Assembled;
use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _};
use flags::Flags;
use headgate_process::telemetry::LogFormat;
use headgate_wire::GatewayConfig;
use headgate_wire::key::Verifier;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroize;

/// What to start.
#[derive(Debug)]
pub struct Startup {
    /// The configuration, still to be checked.
    pub source: ConfigSource,
    /// Digests of the keys in `AUTH_API_KEYS`.
    pub extra_keys: Vec<Verifier>,
    /// Sentences for the log; [`Startup::load`] writes them.
    pub warnings: Vec<String>,
    /// How to log, if that was said.
    pub log_format: Option<LogFormat>,
}

/// Where the configuration is.
#[derive(Debug)]
pub enum ConfigSource {
    /// In this file.
    File(PathBuf),
    /// In flags and variables, from which it was put together.
    Flags(Box<GatewayConfig>),
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// Help or version was asked for, or the command line has a mistake. [`clap::Error::exit`] shows each as it should be.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// A variable named after a flag has a value that the flag would not take.
    #[error("a variable HEADGATE_… has a value that its flag does not accept:\n{0}")]
    Environment(clap::Error),
    /// A variable that is not Unicode.
    #[error("the variable `{0}` is not Unicode")]
    NotUnicode(String),
    /// Settings that are missing, unknown or contradictory; all of them.
    #[error("the gateway cannot start:{}", List(.0))]
    Settings(Vec<SettingError>),
}

/// One thing that is wrong with flags and variables. None of them holds a value that could be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A variable that looks like a setting.
    #[error("`{name}` is no setting{}", Suggestion(.suggestion.as_deref()))]
    Unknown {
        /// The variable.
        name: String,
        /// The likeliest real one.
        suggestion: Option<String>,
    },
    /// Neither `true` nor `false`.
    #[error("`{0}` must be exactly `true` or `false`")]
    NotBoolean(String),
    /// `PORT` is no port.
    #[error("`PORT` must be a number from 0 to 65535")]
    NotAPort,
    /// A setting without which nothing works.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// `AUTH_ENABLED=true` and no key anywhere.
    #[error("AUTH_ENABLED is true but there are no keys; set AUTH_API_KEYS or --keys-file")]
    NoKeys,
    /// `AUTH_ENABLED=true` and `--anonymous`.
    #[error("AUTH_ENABLED is true and --anonymous lets everybody in; remove one of them")]
    Contradiction,
    /// No authentication setting at all.
    #[error(
        "nothing says who may connect; set --keys-file or AUTH_API_KEYS, or open the stream to everybody with --anonymous"
    )]
    NobodySaysWho,
    /// A list of keys that is not acceptable.
    #[error("AUTH_API_KEYS: {0}")]
    Keys(#[from] BroughtKeysError),
    /// A file says everything, and here is more.
    #[error("{0} cannot be combined with --config; put the setting into the file")]
    BesidesConfig(String),
    /// A password on the command line.
    #[error("passwords do not belong on the command line, where everybody can read them; use --kafka-password-file")]
    PasswordFlag,
    /// A key on the command line.
    #[error(
        "API keys do not belong on the command line, where everybody can read them; use --keys-file or AUTH_API_KEYS"
    )]
    KeyFlag,
    /// A secret property on the command line.
    #[error(
        "the Kafka property `{0}` is secret and does not belong on the command line; use --kafka-password-file or \
         KAFKA__PROPERTIES__…"
    )]
    SecretProperty(String),
    /// Not `name=value`; counts from 1.
    #[error("the value of --kafka-property number {0} must be NAME=VALUE")]
    MalformedProperty(usize),
    /// Some of the three SASL settings.
    #[error("--kafka-sasl, --kafka-username-file and --kafka-password-file belong together")]
    IncompleteSasl,
    /// A word without a flag. It is not repeated: it might be a key.
    #[error("every argument needs a flag before it; see --help")]
    StrayArgument,
}

impl Startup {
    /// Reads the configuration file, if there is one, and checks everything. Call it once logs are set up.
    pub fn load(self) -> Result<Config, ConfigError> {
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        let (config, file) = match self.source {
            ConfigSource::File(path) => (Config::read_yaml(&path)?, Some(path)),
            ConfigSource::Flags(config) => (*config, None),
        };
        if config.auth.oidc.as_ref().is_some_and(|oidc| !oidc.publish.is_empty()) {
            tracing::warn!("auth.oidc.publish has no effect: this version takes no messages from clients");
        }
        Ok(Config { file, ..Config::load(config, self.extra_keys)? })
    }
}

/// Reads the arguments and the environment of this process.
///
/// Variables are copied for the time of reading and wiped; what the system itself keeps of them is out of reach.
pub fn from_process() -> Result<Startup, ArgsError> {
    let mut env = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| environment::concerns(name)) else { continue };
        let value = value.into_string().map_err(|_| ArgsError::NotUnicode(name.to_owned()))?;
        env.insert(name.to_owned(), value);
    }
    let startup = from_sources(std::env::args_os(), &env);
    env.values_mut().for_each(Zeroize::zeroize);
    startup
}

/// What arguments (the program's name first) and variables ask for. Pure: it reads neither files nor the process.
pub fn from_sources(
    args: impl IntoIterator<Item = impl Into<OsString>>,
    env: &BTreeMap<String, String>,
) -> Result<Startup, ArgsError> {
    let command = Flags::command();
    let mut problems = Vec::new();
    environment::refuse_unknown(&command, env, &mut problems);
    let older = environment::older(env, &mut problems);
    let (flags, given) = parse(args, env)?;
    if !flags.refused.kafka_password.is_empty() {
        problems.push(SettingError::PasswordFlag);
    }
    if !flags.refused.api_key.is_empty() {
        problems.push(SettingError::KeyFlag);
    }
    let log_format = flags.log_format;
    let startup = if let Some(path) = flags.config {
        let warnings = besides_config(&given, &older.names, &mut problems);
        Some(Startup { source: ConfigSource::File(path), extra_keys: Vec::new(), warnings, log_format })
    } else {
        assemble::assemble(flags, older, &mut problems).map(|Assembled { config, extra_keys, warnings }| Startup {
            source: ConfigSource::Flags(Box::new(config)),
            extra_keys,
            warnings,
            log_format,
        })
    };
    match startup {
        Some(startup) if problems.is_empty() => Ok(startup),
        _ => Err(ArgsError::Settings(problems)),
    }
}

/// Flags from the command line, completed by the variables named after them, and the ids of all that were given.
fn parse(
    args: impl IntoIterator<Item = impl Into<OsString>>,
    env: &BTreeMap<String, String>,
) -> Result<(Flags, BTreeSet<String>), ArgsError> {
    let command = Flags::command();
    let mut args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let typed = command.clone().ignore_errors(true).try_get_matches_from(&args).map(|matches| given(&matches));
    let from_env = environment::as_flags(&command, &typed.unwrap_or_default(), env);
    let from_env = from_env.map_err(|problem| ArgsError::Settings(vec![problem]))?;
    // The command line alone first, so that its mistakes are told from those of variables.
    let parse = |args: &[OsString]| command.clone().try_get_matches_from(args).map_err(usage);
    if from_env.is_empty() {
        let matches = parse(&args)?;
        return Ok((Flags::from_arg_matches(&matches)?, given(&matches)));
    }
    args.extend(from_env.into_iter().map(OsString::from));
    let matches = parse(&args).map_err(|error| match error {
        ArgsError::Usage(error) if error.use_stderr() => ArgsError::Environment(error),
        other => other,
    })?;
    Ok((Flags::from_arg_matches(&matches)?, given(&matches)))
}

fn given(matches: &clap::ArgMatches) -> BTreeSet<String> {
    let typed = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    matches.ids().filter(typed).map(|id| id.as_str().to_owned()).collect()
}

/// A stray word may be a key that lost its flag, so it is not repeated.
fn usage(error: clap::Error) -> ArgsError {
    let stray = error.kind() == ErrorKind::UnknownArgument
        && error.get(ContextKind::InvalidArg).is_some_and(|argument| !argument.to_string().starts_with('-'));
    if stray { ArgsError::Settings(vec![SettingError::StrayArgument]) } else { ArgsError::Usage(error) }
}

/// A file says everything. A setting about access besides it is refused; an older name that any platform may set is
/// ignored, and said to be.
fn besides_config(given: &BTreeSet<String>, older: &[&str], problems: &mut Vec<SettingError>) -> Vec<String> {
    let command = Flags::command();
    for argument in command.get_arguments().filter(|argument| given.contains(argument.get_id().as_str())) {
        if let Some(long) = argument.get_long().filter(|long| !matches!(*long, "config" | "log-format")) {
            problems.push(SettingError::BesidesConfig(format!("--{long} (or its variable)")));
        }
    }
    let mut warnings = Vec::new();
    for name in older {
        if name.starts_with("AUTH_") {
            problems.push(SettingError::BesidesConfig((*name).to_owned()));
        } else {
            warnings.push(format!("the variable {name} is ignored, because --config says everything"));
        }
    }
    warnings
}

struct List<'p>(&'p [SettingError]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

struct Suggestion<'s>(Option<&'s str>);

impl fmt::Display for Suggestion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => f.write_str("; remove it, see --help"),
        }
    }
}

#[cfg(test)]
mod tests;
