//! The arguments of the commands that look at StreamEndpoints: `headgate list`, `headgate url` and `headgate why`.

use super::ClusterArgs;
use clap::{Args, ValueEnum};

const LIST_EXAMPLES: &str = "\
Examples:
  headgate list      the StreamEndpoints of the kubectl context's namespace
  headgate list -A   of every namespace
  headgate list -n shop -o json

Exit codes: 0 done; 1 the cluster could not be asked.";

pub(super) const URL_EXAMPLES: &str = "\
Examples:
  headgate url orders
  headgate url orders -n shop -o json
  websocat -H \"Authorization: Bearer $(headgate keys show orders)\" \"$(headgate url orders)\"

Exit codes: 0 printed; 1 the endpoint has no URL yet, does not exist, or the cluster could not be asked.";

pub(super) const WHY_EXAMPLES: &str = "\
Examples:
  headgate why orders   why it is not ready, and what to do about it
  headgate why orders -n shop -o json
  until headgate why orders; do sleep 5; done

It reads the endpoint, its gateway pods, their events and the KafkaConnection; what you may not read is named.

Exit codes: 0 ready; 1 not ready; 2 it could not be found out (no cluster, no such endpoint, not allowed).";

/// Arguments of `headgate list`.
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES, mut_arg("namespace", |arg| arg.short('n').short_alias('N')))]
pub(crate) struct ListArgs {
    /// Of every namespace
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,

    /// How to print
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,

    /// Where.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// One StreamEndpoint: all that `headgate url`, `why` and `keys list` take, and how every other command about keys begins.
#[derive(Debug, Args)]
#[command(mut_arg("namespace", |arg| arg.short('n').short_alias('N')))]
pub(crate) struct EndpointArgs {
    /// Name of a StreamEndpoint
    #[arg(value_name = "NAME", index = 1)]
    pub(crate) name: String,

    /// How to print
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,

    /// Where.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One line of JSON.
    Json,
}
