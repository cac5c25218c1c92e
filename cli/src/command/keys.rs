//! `headgate keys`: the API keys of a StreamEndpoint. Only `show` prints a key.

mod hash;
mod issue;
mod list;
mod revoke;
mod rotate;
mod show;

use crate::args::{ClusterArgs, KeysCommand};
use std::process::ExitCode;

/// Runs one of the commands about keys.
pub(crate) fn run(command: &KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::List(args) => list::run(args),
        KeysCommand::Show(args) => show::run(args),
        KeysCommand::Issue(args) => issue::run(args),
        KeysCommand::Rotate(args) => rotate::run(args),
        KeysCommand::Revoke(args) => revoke::run(args),
        KeysCommand::Hash(_) => hash::run(),
    }
}

/// What a command that waited for the operator says after its patience. The change itself is made.
fn not_in_time(what: &str, endpoint: &str, seconds: u32) -> anyhow::Error {
    anyhow::anyhow!(
        "the change is made, but the operator has not {what} within {seconds} s: see headgate why {endpoint}"
    )
}

/// Where `headgate keys show` and the others find the endpoint again, if it is not in the context's namespace.
fn elsewhere(args: &ClusterArgs) -> String {
    args.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default()
}
