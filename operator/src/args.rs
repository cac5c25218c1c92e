//! How the operator is started: by flags, each of which can be a variable instead, which is what the chart sets.
//!
//! Owns the form of every value and its default. Pure but for [`from_process`], which reads the process environment. Must
//! never take a secret: `check-websocket` reads its key from a variable, where it is used.

mod flags;

use crate::controller::Installation;
use crate::settings::{NetworkPolicySettings, PodSettings, Settings};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _};
use flags::{Flags, Subcommand, Switch};
use headgate_process::telemetry::LogFormat;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

/// Prefix of the variables named after flags.
const PREFIX: &str = "HEADGATE_";
/// Variable with the key of `check-websocket`.
pub const KEY_VARIABLE: &str = "HEADGATE_KEY";

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// How to log, if that was said.
    pub log_format: Option<LogFormat>,
    /// Sentences for the log, once there is one.
    pub warnings: Vec<String>,
    /// What to do.
    pub task: Task,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Be the operator.
    Run(Box<Options>),
    /// Open one stream as a client would, and say whether it works.
    CheckWebsocket {
        /// `ws://host:port/app`.
        address: String,
    },
}

/// How the operator is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What every gateway pod has.
    pub pods: PodSettings,
    /// Namespaces to look after; empty = all.
    pub watch_namespaces: Vec<String>,
    /// Domain of the cluster.
    pub cluster_domain: String,
    /// Namespaces that reach the pods' admin port beside the operator's, if there are NetworkPolicies.
    pub network_policy: Option<Vec<String>>,
    /// Longest time without looking at an endpoint.
    pub resync: Duration,
    /// Endpoints that are worked on at once.
    pub concurrency: u16,
    /// Where probes, metrics and status are served.
    pub admin: SocketAddr,
    /// Name of the Lease; absent = no election.
    pub lease: Option<String>,
    /// Namespace of the operator; absent = that of the service account or of the kubeconfig.
    pub namespace: Option<String>,
    /// Name of this replica; absent = the host's.
    pub identity: Option<String>,
}

/// Why the operator does not start.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// Help or version was asked for, or a flag or its variable has a mistake. [`clap::Error::exit`] shows each as it
    /// should be.
    #[error(transparent)]
    Usage(#[from] clap::Error),
}

impl Options {
    /// What holds for every gateway, made by an operator in this namespace.
    pub fn settings(&self, namespace: &str) -> Settings {
        let policy = |admin: &Vec<String>| NetworkPolicySettings {
            operator_namespace: namespace.to_owned(),
            admin_namespaces: admin.clone(),
        };
        Settings {
            pods: self.pods.clone(),
            cluster_domain: self.cluster_domain.clone(),
            network_policy: self.network_policy.as_ref().map(policy),
            ..Settings::default()
        }
    }

    /// What this operator is.
    pub fn installation(&self, namespace: &str, identity: &str) -> Installation {
        Installation {
            namespace: namespace.to_owned(),
            identity: identity.to_owned(),
            watch_namespaces: self.watch_namespaces.clone(),
            resync: self.resync,
            concurrency: self.concurrency,
        }
    }
}

/// Reads the arguments and the environment of this process.
pub fn from_process() -> Result<Startup, ArgsError> {
    let mut startup = from_arguments(std::env::args_os())?;
    startup.warnings = unknown(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
    Ok(startup)
}

/// What arguments (the program's name first) ask for; what they leave out comes from the variables of the process.
pub fn from_arguments(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Startup, ArgsError> {
    let matches = Flags::command().try_get_matches_from(args)?;
    let flags = Flags::from_arg_matches(&matches)?;
    let log_format = flags.log_format;
    let task = match flags.command {
        Some(Subcommand::CheckWebsocket { address }) => Task::CheckWebsocket { address },
        None => Task::Run(Box::new(options(flags)?)),
    };
    Ok(Startup { log_format, warnings: Vec::new(), task })
}

fn options(flags: Flags) -> Result<Options, ArgsError> {
    let Some(image) = flags.gateway_image else {
        return Err(mistake(
            "the image of the gateway pods is missing: set --gateway-image or HEADGATE_GATEWAY_IMAGE, for example to \
             ghcr.io/headgate/gateway:0.1.0",
        ));
    };
    if flags.network_policy == Switch::Disabled && !flags.admin_namespaces.0.is_empty() {
        return Err(mistake(
            "--admin-namespaces opens NetworkPolicies, and --network-policy Disabled makes none: remove one of them",
        ));
    }
    Ok(Options {
        pods: PodSettings {
            image,
            image_pull_policy: flags.gateway_image_pull_policy.as_str().to_owned(),
            image_pull_secrets: flags.gateway_image_pull_secrets.0,
            pre_stop_seconds: flags.pre_stop_seconds,
        },
        watch_namespaces: flags.watch_namespaces.0,
        cluster_domain: flags.cluster_domain,
        network_policy: (flags.network_policy == Switch::Enabled).then_some(flags.admin_namespaces.0),
        resync: Duration::from_secs(flags.resync_seconds.into()),
        concurrency: flags.concurrency,
        admin: flags.admin,
        lease: (flags.leader_election == Switch::Enabled).then_some(flags.lease_name),
        namespace: flags.namespace,
        identity: flags.identity,
    })
}

fn mistake(sentence: &str) -> ArgsError {
    Flags::command().error(ErrorKind::MissingRequiredArgument, sentence).into()
}

/// A sentence for each variable that looks like a setting and is none. It is no error, because Kubernetes and others put
/// variables of their own beside ours.
fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
    let command = Flags::command();
    let known = |name: &str| {
        name == KEY_VARIABLE
            || command.get_arguments().any(|argument| argument.get_env().is_some_and(|known| known == name))
    };
    let mut unknown: Vec<String> = names.filter(|name| name.starts_with(PREFIX) && !known(name)).collect();
    unknown.retain(|name| !is_service_link(name));
    unknown.sort();
    unknown.into_iter().map(|name| format!("the variable {name} is no setting and is ignored; see --help")).collect()
}

/// Kubernetes describes the Services of a namespace in the environment of its pods.
fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_PORT")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_")
}

#[cfg(test)]
mod tests;
