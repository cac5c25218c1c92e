//! The arguments of `headgate lint`.

use super::ClusterArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  headgate lint endpoint.yaml
  headgate lint deploy/*.yaml -o json
  helm template my-app | headgate lint -
  headgate lint --cluster endpoint.yaml -n shop   ask the API server too

Documents of other kinds are skipped. What the API server would refuse is reported first; then what the operator of this \
version would. With --cluster, documents without a problem are then applied to the cluster as a dry run: its admission \
policies, your rights and fields that cannot be changed are judged as well, and nothing is stored. Exit code 1 if there is \
a problem. What is right and probably not meant is a warning, which fails nothing.";

/// Arguments of `headgate lint`.
#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    mut_arg("namespace", |arg| arg.short('n').short_alias('N').requires("ask_cluster")
        .help("Namespace of documents that name none; absent = that of the kubectl context")),
    mut_arg("context", |arg| arg.requires("ask_cluster")),
    mut_arg("kubeconfig", |arg| arg.requires("ask_cluster")),
)]
pub(crate) struct LintArgs {
    /// YAML or JSON files with one or more documents; - is the standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// How to report
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "text")]
    pub(crate) output: LintOutput,

    /// Ask the API server too, by a dry run
    #[arg(long = "cluster")]
    pub(crate) ask_cluster: bool,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// How problems are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintOutput {
    /// For people.
    Text,
    /// One JSON array of problems.
    Json,
}
