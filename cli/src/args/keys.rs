//! The arguments of `headgate keys`.

use super::EndpointArgs;
use clap::{Args, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  headgate keys list orders
  headgate keys issue orders web --expires 90d
  headgate keys show orders web
  headgate keys rotate orders web
  headgate keys revoke orders web

Exit codes: 0 done; 1 not done, or the operator did not answer within --timeout.";

const LIST_EXAMPLES: &str = "\
Examples:
  headgate keys list orders
  headgate keys list orders -n shop -o json

It never prints a key; headgate keys show does.";

const SHOW_EXAMPLES: &str = "\
Examples:
  headgate keys show orders   the only key of the endpoint
  headgate keys show orders web
  export HEADGATE_KEY=\"$(headgate keys show orders web)\"

The key is printed alone. It needs the right to read the Secret of the key.";

const ISSUE_EXAMPLES: &str = "\
Examples:
  headgate keys issue orders web
  headgate keys issue orders etl --permission read --permission publish
  headgate keys issue orders web --expires 90d
  headgate keys issue orders web --expires 2027-01-01T00:00:00Z
  headgate keys issue orders own --hash \"$(headgate keys hash <key.txt)\"

It adds an entry to spec.auth.apiKeys and waits for the operator. The key is not printed; it is in its Secret. If a \
manifest in Git describes the endpoint, add the same entry there, or applying it again takes the key away.";

const ROTATE_EXAMPLES: &str = "\
Examples:
  headgate keys rotate orders web
  headgate keys rotate orders --all

The old key stays accepted for spec.auth.rotation.overlapSeconds, one day if the endpoint does not say. A key that must \
end now is revoked instead.";

const REVOKE_EXAMPLES: &str = "\
Examples:
  headgate keys revoke orders web

Connections with the key are closed within seconds. The only key of an endpoint is replaced by a new one instead, because \
an endpoint in a mode with keys always has one.";

const HASH_EXAMPLES: &str = "\
Examples:
  headgate keys hash <key.txt
  openssl rand -hex 32 | tee key.txt | headgate keys hash

The digest goes into keyHash of spec.auth.apiKeys, fit for Git: nobody gets the key from it.";

/// Arguments of `headgate keys`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

/// The commands about keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Every key of an endpoint, without the keys themselves
    #[command(after_help = LIST_EXAMPLES)]
    List(EndpointArgs),
    /// Print a key
    #[command(visible_alias = "get")]
    Show(KeyShowArgs),
    /// Add a key to an endpoint
    Issue(KeyIssueArgs),
    /// Replace a key by a new one
    Rotate(KeyRotateArgs),
    /// Take a key away, and close its connections
    Revoke(KeyRevokeArgs),
    /// Print the digest of a key that is read from the standard input
    Hash(KeyHashArgs),
}

/// Arguments of `headgate keys show`.
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct KeyShowArgs {
    /// Name of the key; may be left out if the endpoint has one only
    #[arg(value_name = "KEY", index = 2)]
    pub(crate) key: Option<String>,

    /// Whose key, and how to print. Last, because the heading of its options goes on after it.
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// Arguments of `headgate keys issue`.
#[derive(Debug, Args)]
#[command(after_help = ISSUE_EXAMPLES)]
pub(crate) struct KeyIssueArgs {
    /// Name of the new key, such as the client that gets it
    #[arg(value_name = "KEY", index = 2)]
    pub(crate) key: String,

    /// What the key allows; may be given twice
    #[arg(long = "permission", value_name = "PERMISSION", ignore_case = true, default_value = "read")]
    pub(crate) permissions: Vec<KeyPermission>,

    /// When the key ends: a time (RFC 3339), a date, or from now on, such as 90d or 12h; absent = it does not end
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,

    /// Accept a key of your own, known by this digest (`headgate keys hash`), instead of issuing one
    #[arg(long, value_name = "DIGEST")]
    pub(crate) hash: Option<String>,

    /// How long to wait for the operator; 0 = not at all
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u32,

    /// Whose key, and how to print. Last, because the heading of its options goes on after it.
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// Arguments of `headgate keys rotate`.
#[derive(Debug, Args)]
#[command(after_help = ROTATE_EXAMPLES)]
pub(crate) struct KeyRotateArgs {
    /// Name of the key; may be left out if the endpoint has one only
    #[arg(value_name = "KEY", index = 2, conflicts_with = "all")]
    pub(crate) key: Option<String>,

    /// Every key that Headgate issued for the endpoint
    #[arg(long)]
    pub(crate) all: bool,

    /// How long to wait for the operator; 0 = not at all
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u32,

    /// Whose key, and how to print. Last, because the heading of its options goes on after it.
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// Arguments of `headgate keys revoke`.
#[derive(Debug, Args)]
#[command(after_help = REVOKE_EXAMPLES)]
pub(crate) struct KeyRevokeArgs {
    /// Name of the key
    #[arg(value_name = "KEY", index = 2)]
    pub(crate) key: String,

    /// How long to wait for the operator; 0 = not at all
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) timeout: u32,

    /// Whose key, and how to print. Last, because the heading of its options goes on after it.
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
}

/// Arguments of `headgate keys hash`.
#[derive(Debug, Args)]
#[command(after_help = HASH_EXAMPLES)]
pub(crate) struct KeyHashArgs {}

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum KeyPermission {
    /// Receive the stream.
    Read,
    /// Send events to the topic in stream.publish.
    Publish,
}

impl KeyPermission {
    /// The word that manifests use.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Publish => "Publish",
        }
    }
}
