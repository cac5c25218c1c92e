//! The operator: from a `StreamEndpoint` to gateway pods that serve it.
//!
//! ```text
//! dereference (reads) → validate (pure) → keys::plan (pure) → build (pure) → apply (writes) → status (pure, one write)
//! ```
//!
//! | modules | own |
//! |---|---|
//! | [`controller`] | the order of the steps, what wakes them, what becomes known of them |
//! | [`mod@dereference`], [`probe`] | everything that is read: the API server, the gateway pods |
//! | [`references`], [`mod@validate`], [`credentials`], [`cluster_tokens`], [`mod@warnings`], [`model`] | pure: every rule, every problem, an endpoint that builders may trust |
//! | [`keys`], [`build`](mod@build), [`resources`], [`settings`] | pure: which keys, which children, one file per kind |
//! | [`apply`](mod@apply) | the only writer of children |
//! | [`status`] | pure: conditions, keys, address |
//! | [`connection`] | the controller of `KafkaConnection`s |
//! | [`app`], [`args`], [`leader`], [`discovery`], [`metrics`] | the process |
//!
//! The pure modules know no client, no clock and no randomness: the same input gives the same output, byte for byte, in a
//! cluster and in `headgate dev`, which uses them as they are.
#![deny(missing_docs)]

pub mod api_server;
pub mod app;
pub mod apply;
pub mod args;
pub mod build;
pub mod check_websocket;
pub mod cluster_tokens;
pub mod connection;
pub mod controller;
pub mod credentials;
pub mod dereference;
pub mod discovery;
pub mod gateway_api;
pub mod keys;
pub mod leader;
pub mod metrics;
pub mod model;
pub mod probe;
pub mod references;
pub mod resources;
pub mod settings;
pub mod status;
pub mod validate;
pub mod warnings;

pub use app::App;
pub use build::{build, gateway_config, to_yaml};
pub use references::References;
pub use settings::Settings;
pub use validate::{Invalid, Problem, validate};
pub use warnings::{Warning, warnings};
