//! The Kubernetes API of Headgate: `StreamEndpoint` and `KafkaConnection` in group `headgate.dev`.
//!
//! Owns the types, their schema with every bound and rule, the names derived from them, and the vocabulary of
//! conditions. Must never talk to a cluster, read a clock or decide what a controller does: the operator, the CLI,
//! the tests and third parties all depend on this crate, and none of them should need the others for it.
//!
//! # Promise
//!
//! Within a version the API only grows: new optional fields with defaults that keep the old behaviour. A field is
//! never renamed, removed or given another meaning, and no limit becomes narrower. `v1alpha1` is served until a
//! later version can represent everything that it can, and for at least two minor releases after that.
#![deny(missing_docs)]

pub mod codegen;
pub mod lint;
pub mod names;
pub mod reasons;
pub mod types;
pub mod v1alpha1;
pub mod yaml;

/// API group of every kind in this crate, and the prefix of our labels and annotations.
pub const GROUP: &str = "headgate.dev";
/// The one version that is served and stored.
pub const VERSION: &str = "v1alpha1";
/// `group/version`, as manifests write it.
pub const API_VERSION: &str = "headgate.dev/v1alpha1";

pub use types::InvalidName;
pub use v1alpha1::{KafkaConnection, StreamEndpoint};
