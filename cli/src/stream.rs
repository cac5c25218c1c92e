//! Following a stream: where it is, what was shown already, when to connect again, how an event looks.
//!
//! Everything that decides is a pure function or state machine; only `client` has a socket and a clock.

pub(crate) mod client;
mod credentials;
mod render;
mod retry;
mod session;
mod target;
mod tls;

pub(crate) use credentials::{Credential, Given, choose};
pub(crate) use render::Style;
pub(crate) use retry::{Failure, FailureKind};
pub(crate) use target::{Query, resolve};
pub(crate) use tls::{connector, install_provider};
