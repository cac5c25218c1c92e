//! From a `StreamEndpoint` to what a gateway reads: the operator's pure steps.
//!
//! ```text
//! StreamEndpoint + References ──validate──► model::Endpoint ──build──► GatewayConfig ──► gateway.yaml
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`references`] | what a spec points at, as data that somebody else has read |
//! | [`mod@validate`] | the only reader of the spec: every rule, every problem, and the way into the model |
//! | [`model`] | an endpoint that builders may trust |
//! | [`settings`] | what the installation decides for all gateways: addresses and mount paths |
//! | [`build`] | one file per thing that is made from the model |
//!
//! Nothing here may know a client, a clock or randomness: the same input gives the same output, byte for byte, in a
//! cluster and in `headgate dev`.
#![deny(missing_docs)]

pub mod build;
pub mod model;
pub mod references;
pub mod settings;
pub mod validate;

pub use build::{gateway_config, to_yaml};
pub use references::References;
pub use settings::Settings;
pub use validate::{Invalid, Problem, validate};
