//! What may be written on the command line. Owns shapes, help and examples; decides nothing and opens nothing.

mod cluster;
mod dev;
#[cfg(test)]
mod documented;
mod endpoint;
mod keys;
mod lint;
mod login;
mod publish;
mod stream;

pub(crate) use cluster::ClusterArgs;
pub(crate) use dev::{DevArgs, DevOutput};
pub(crate) use endpoint::{EndpointArgs, Format, ListArgs};
pub(crate) use keys::{KeyIssueArgs, KeyPermission, KeyRevokeArgs, KeyRotateArgs, KeyShowArgs, KeysArgs, KeysCommand};
pub(crate) use lint::{LintArgs, LintOutput};
pub(crate) use login::{LoginArgs, LogoutArgs, TokenArgs};
pub(crate) use publish::{EventArgs, PublishArgs};
pub(crate) use stream::{AccessArgs, StreamArgs, StreamOutput};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;

/// Where `headgate dev` listens for clients, unless told otherwise.
pub(crate) const DEV_STREAM_ADDRESS: &str = "127.0.0.1:8080";
/// Where `headgate dev` serves probes and metrics, unless told otherwise.
pub(crate) const DEV_ADMIN_ADDRESS: &str = "127.0.0.1:9090";
/// The server that `headgate stream --local` means: a running `headgate dev`.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// File name under which kubectl finds us as its plugin.
const PLUGIN: &str = "kubectl-headgate";

const EXAMPLES: &str = "\
Examples:
  headgate dev                     Kafka, gateway and sample events here
  headgate stream orders -n 10     of that gateway, or a StreamEndpoint
  headgate why orders              why it is not ready, and what to do
  headgate keys issue orders web   a key for one more client
  headgate login orders            as whom `headgate stream orders` connects
  headgate publish --topic shop.orders '{\"total\":12}' --kafka localhost:9092
  headgate lint endpoint.yaml      what the API server would refuse

Each command has examples of its own: headgate COMMAND --help. As kubectl-headgate in the PATH, kubectl has them \
too: kubectl headgate COMMAND.";

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
    /// Check StreamEndpoint and KafkaConnection manifests, offline or against a cluster
    Lint(LintArgs),
    /// Log in at an OpenID Connect provider, and stay logged in
    Login(LoginArgs),
    /// Forget a login
    Logout(LogoutArgs),
    /// Print the token of a login
    Token(TokenArgs),
    /// Show the StreamEndpoints of a cluster
    List(ListArgs),
    /// Print where the clients of a StreamEndpoint connect
    #[command(after_help = endpoint::URL_EXAMPLES)]
    Url(EndpointArgs),
    /// Manage the API keys of a StreamEndpoint
    Keys(KeysArgs),
    /// Explain why a StreamEndpoint is not ready
    #[command(after_help = endpoint::WHY_EXAMPLES)]
    Why(EndpointArgs),
}

impl Cli {
    /// What was written on the command line; the first word is the program.
    pub(crate) fn from_words(words: &[OsString]) -> Result<Self, clap::Error> {
        let program = words.first().map(OsString::as_os_str).unwrap_or_default();
        let matches = command(program).try_get_matches_from(words).map_err(with_hint)?;
        Self::from_arg_matches(&matches)
    }
}

/// An address after `--oidc` is a word of its own unless an equals sign joins them, because the address may be left out.
fn with_hint(mut error: clap::Error) -> clap::Error {
    let stray = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(stray)) if error.kind() == ErrorKind::UnknownArgument => stray.clone(),
        _ => return error,
    };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    if usage.contains(" dev ") && stray.parse::<SocketAddr>().is_ok() {
        let tip = format!("an address follows its option with an equals sign: --oidc={stray}");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The command line as this program was called: by its name, or by kubectl.
fn command(program: &OsStr) -> clap::Command {
    let command = Cli::command();
    if Path::new(program).file_stem() == Some(OsStr::new(PLUGIN)) {
        with_plugin_examples(command.bin_name("kubectl headgate"))
    } else {
        command
    }
}

fn with_plugin_examples(command: clap::Command) -> clap::Command {
    let examples = command.get_after_help().map(|help| help.to_string().replace("  headgate ", "  kubectl headgate "));
    let names: Vec<String> = command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
    let command = names.into_iter().fold(command, |outer, name| outer.mut_subcommand(name, with_plugin_examples));
    match examples {
        Some(text) => command.after_help(text),
        None => command,
    }
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

    fn help(words: &[&str]) -> String {
        let error = Cli::from_words(&words.iter().map(OsString::from).collect::<Vec<_>>()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn the_command_line_has_no_contradiction() {
        Cli::command().debug_assert();
    }

    /// What is broken by hand is broken again at the width of a terminal, and then ragged.
    #[test]
    fn a_paragraph_of_a_help_text_is_one_line_and_a_remark_fits_beside_its_example() {
        const COLUMNS: usize = 80;
        let command = Cli::command();
        let keys = command.find_subcommand("keys").unwrap();
        for command in command.get_subcommands().chain(keys.get_subcommands()).chain([&command]) {
            let (name, help) = (command.get_name(), command.get_after_help().unwrap().to_string());
            let mut in_paragraph = false;
            for line in help.lines() {
                let is_prose = !line.is_empty() && !line.starts_with(' ');
                assert!(!(is_prose && in_paragraph), "{name}: broken by hand before: {line}");
                assert!(!line.starts_with("     "), "{name}: continued by hand: {line}");
                let has_remark = line.trim_start().contains("   ");
                assert!(!has_remark || line.chars().count() <= COLUMNS, "{name}: too long: {line}");
                in_paragraph = is_prose && !line.ends_with(':');
            }
        }
    }

    #[test]
    fn every_command_shows_examples() {
        let command = Cli::command();
        let keys = command.find_subcommand("keys").unwrap();
        for command in command.get_subcommands().chain(keys.get_subcommands()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  headgate"), "{} has no examples", command.get_name());
        }
    }

    /// A heading of a flattened group goes on for what is declared after the group.
    #[test]
    fn a_commands_own_options_do_not_stand_in_the_section_about_clusters() {
        let of_a_cluster = ["namespace", "context", "kubeconfig", "key_name", "port_forward"];
        let command = Cli::command();
        let keys = command.find_subcommand("keys").unwrap();
        for command in command.get_subcommands().chain(keys.get_subcommands()) {
            for argument in command.get_arguments().filter(|argument| argument.get_help_heading() == Some("Cluster")) {
                let (id, command) = (argument.get_id().as_str(), command.get_name());
                assert!(of_a_cluster.contains(&id), "{command}: {id}");
            }
        }
    }

    #[test]
    fn as_a_plugin_the_usage_is_kubectls() {
        let usage = help(&["/usr/local/bin/kubectl-headgate", "keys", "rotate", "--help"]);
        assert!(usage.contains("Usage: kubectl headgate keys rotate "), "{usage}");
        assert!(usage.contains("\n  kubectl headgate keys rotate orders web\n"), "{usage}");
        assert!(help(&["headgate", "why", "--help"]).contains("Usage: headgate why "));
    }

    #[test]
    fn the_namespace_is_kubectls_option_wherever_that_is_free() {
        let namespace = |words: &str| match Cli::from_words(&words.split(' ').map(OsString::from).collect::<Vec<_>>()) {
            Ok(Cli { command: Command::Why(args) }) => args.cluster.namespace,
            Ok(Cli { command: Command::Stream(args) }) => args.cluster.namespace,
            other => panic!("{words}: {other:?}"),
        };
        for words in ["headgate why orders -n shop", "headgate why orders -N shop", "headgate stream orders -N shop"] {
            assert_eq!(namespace(words).as_deref(), Some("shop"), "{words}");
        }
        let mistaken = help(&["headgate", "stream", "orders", "-n", "shop"]);
        assert!(mistaken.contains("--namespace"), "{mistaken}");
    }

    #[test]
    fn an_address_that_is_not_joined_to_its_option_is_told_how() {
        let told = help(&["headgate", "dev", "--oidc", "127.0.0.1:8085"]);
        assert!(told.contains("--oidc=127.0.0.1:8085"), "{told}");
        assert!(!help(&["headgate", "dev", "--oidc", "orders"]).contains("--oidc="));
        assert!(!help(&["headgate", "list", "127.0.0.1:8085"]).contains("--oidc="));
    }

    #[test]
    fn a_value_may_contain_an_equals_sign_and_a_name_is_needed() {
        assert_eq!(name_and_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(name_and_value("a="), Ok(("a".to_owned(), String::new())));
        assert!(name_and_value("=b").is_err());
        assert!(name_and_value("ab").is_err());
    }
}
