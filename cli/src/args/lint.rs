//! The arguments of `headgate lint`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  headgate lint endpoint.yaml
  headgate lint deploy/*.yaml -o json
  helm template my-app | headgate lint -

Documents of other kinds are skipped. What the API server would refuse is reported first; then what the operator of this
version would. Exit code 1 if there is anything.";

/// Arguments of `headgate lint`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LintArgs {
    /// YAML or JSON files with one or more documents; - is the standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// How to report
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "text")]
    pub(crate) output: LintOutput,
}

/// How problems are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintOutput {
    /// For people.
    Text,
    /// One JSON array of problems.
    Json,
}
