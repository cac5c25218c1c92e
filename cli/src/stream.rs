//! Following a stream: where it is, what was shown already, when to connect again, how an event looks.
//!
//! Everything that decides is a pure function or state machine; only `client`, `route` and `local` have a socket or a clock.

pub(crate) mod client;
mod connected;
mod credentials;
pub(crate) mod local;
mod render;
mod renewing;
mod retry;
mod route;
mod session;
mod target;
mod tls;

pub(crate) use credentials::{Credential, Given, choose, from_key};
pub(crate) use render::Style;
pub(crate) use renewing::Renewing;
pub(crate) use retry::{Failure, FailureKind};
pub(crate) use route::Route;
pub(crate) use target::{Query, resolve};
pub(crate) use tls::{TrustError, client_config, connector, install_provider};
