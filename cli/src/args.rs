//! What may be written on the command line. Owns shapes, help and examples; decides nothing and opens nothing.

mod dev;
mod lint;
mod publish;
mod stream;

pub(crate) use dev::{DevArgs, DevOutput};
pub(crate) use lint::{LintArgs, LintOutput};
pub(crate) use publish::{EventArgs, PublishArgs};
pub(crate) use stream::{StreamArgs, StreamOutput};

use clap::{Parser, Subcommand};

/// Where `headgate dev` listens for clients, unless told otherwise.
pub(crate) const DEV_STREAM_ADDRESS: &str = "127.0.0.1:8080";
/// Where `headgate dev` serves probes and metrics, unless told otherwise.
pub(crate) const DEV_ADMIN_ADDRESS: &str = "127.0.0.1:9090";
/// The server that `headgate stream APP` means: a running `headgate dev`.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

const EXAMPLES: &str = "\
Examples:
  headgate dev                              everything on this machine: Kafka, gateway, sample events
  headgate stream orders -n 10              ten events of that gateway (the key: HEADGATE_KEY or --key)
  headgate publish --topic shop.orders '{\"total\":12}' --kafka localhost:9092
  headgate lint endpoint.yaml               what the API server would refuse

Each command has examples of its own: headgate COMMAND --help";

/// Live streams of Kafka topics over WebSocket.
#[derive(Debug, Parser)]
#[command(name = "headgate", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run Kafka, a gateway and sample events on this machine
    Dev(DevArgs),
    /// Show the events of a stream, reconnecting without loss
    Stream(StreamArgs),
    /// Store events in a Kafka topic
    Publish(PublishArgs),
    /// Check StreamEndpoint and KafkaConnection manifests, offline
    Lint(LintArgs),
}

/// Splits `name=value`; the value may be empty and may contain `=`.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_has_no_contradiction() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  headgate"), "{} has no examples", command.get_name());
        }
    }

    #[test]
    fn a_value_may_contain_an_equals_sign_and_a_name_is_needed() {
        assert_eq!(name_and_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(name_and_value("a="), Ok(("a".to_owned(), String::new())));
        assert!(name_and_value("=b").is_err());
        assert!(name_and_value("ab").is_err());
    }
}
