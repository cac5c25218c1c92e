//! The arguments of `headgate login`, `headgate logout` and `headgate token`.

use super::ClusterArgs;
use clap::Args;
use std::path::PathBuf;

/// The client that a provider must know, unless another one is named.
const DEFAULT_CLIENT: &str = "headgate-cli";

const LOGIN_EXAMPLES: &str = "\
Examples:
  headgate login https://id.example.com/realms/shop   in a browser here
  headgate login orders -n shop                       at its provider
  headgate login orders --device                      a code for another device
  headgate login https://id.example.com --client-id shop-cli --resource https://streams.example.com

The provider must know the client as a public one, with the redirect http://127.0.0.1/callback on any port (RFC 8252), or \
with the device flow. The tokens are kept in ~/.config/headgate/logins, readable for you only, and renewed when needed.

Exit codes: 0 logged in; 1 not.";

const LOGOUT_EXAMPLES: &str = "\
Examples:
  headgate logout   where only one login is kept
  headgate logout https://id.example.com/realms/shop
  headgate logout --all

The provider is asked to revoke the login, if it offers that. Exit codes: 0 forgotten; 1 not.";

const TOKEN_EXAMPLES: &str = "\
Examples:
  headgate token                  where only one login is kept
  headgate token orders -n shop   for the StreamEndpoint `orders`
  curl -N -H 'Accept: text/event-stream' -H \"Authorization: Bearer $(headgate token)\" https://streams.example.com/orders

A token that is about to end is renewed first. Exit codes: 0 printed; 1 nobody is logged in there, or renewing failed.";

/// Arguments of `headgate login`.
#[derive(Debug, Args)]
#[command(after_help = LOGIN_EXAMPLES, mut_arg("namespace", |arg| arg.short('n').short_alias('N')))]
pub(crate) struct LoginArgs {
    /// Issuer URL of the provider, or name of a StreamEndpoint that takes its tokens
    #[arg(value_name = "ISSUER|NAME")]
    pub(crate) target: String,

    /// Show a code to type on another device, instead of opening a browser here
    #[arg(long)]
    pub(crate) device: bool,

    /// Client that the provider knows
    #[arg(long, value_name = "ID", env = "HEADGATE_CLIENT_ID", default_value = DEFAULT_CLIENT)]
    pub(crate) client_id: String,

    /// Scopes, separated by spaces; absent = openid, and offline_access where the provider has it
    #[arg(long, value_name = "SCOPES")]
    pub(crate) scope: Option<String>,

    /// Parameter `audience` of the request, which some providers need for a token that others accept
    #[arg(long, value_name = "AUDIENCE")]
    pub(crate) audience: Option<String>,

    /// Parameter `resource` of the request (RFC 8707), for the same
    #[arg(long, value_name = "URI")]
    pub(crate) resource: Option<String>,

    /// Only print the address of the page; open no browser
    #[arg(long, conflicts_with = "device")]
    pub(crate) no_browser: bool,

    /// How long to wait for somebody to log in
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) timeout: u32,

    /// Trust only the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Arguments of `headgate logout`.
#[derive(Debug, Args)]
#[command(after_help = LOGOUT_EXAMPLES, mut_arg("namespace", |arg| arg.short('n').short_alias('N')))]
pub(crate) struct LogoutArgs {
    /// Issuer URL of the provider, or name of a StreamEndpoint; absent = the only login
    #[arg(value_name = "ISSUER|NAME")]
    pub(crate) target: Option<String>,

    /// Every login
    #[arg(long, conflicts_with = "target")]
    pub(crate) all: bool,

    /// Trust only the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Arguments of `headgate token`.
#[derive(Debug, Args)]
#[command(after_help = TOKEN_EXAMPLES, mut_arg("namespace", |arg| arg.short('n').short_alias('N')))]
pub(crate) struct TokenArgs {
    /// Issuer URL of the provider, or name of a StreamEndpoint; absent = the only login
    #[arg(value_name = "ISSUER|NAME")]
    pub(crate) target: Option<String>,

    /// Trust only the certificate authorities in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}
