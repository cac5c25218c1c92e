//! Texts with a meaning: one type per kind of name, with its limits.
//!
//! Owns each limit once: the type puts it into the schema, where the API server enforces it, and into the parse error
//! of [`new`](Text::new), where the operator relies on it. Must never know a field: where a text is used is said in
//! `v1alpha1`.
//!
//! Deserializing does not check, so that an object that was stored under older limits can still be read;
//! whoever acts on a value calls [`check`](Text::check) first.

#[macro_use]
mod text;
#[macro_use]
mod port;
mod access;
mod auth;
mod kafka;
mod kubernetes;
mod owner;
mod pattern;

pub use access::{Cidr, Hostname, Origin};
pub use auth::{Audience, ClaimPath, IssuerUrl, KeyHash, KeyName};
pub use kafka::{AppName, AttributeName, BootstrapServers, EventType, TopicName};
pub use kubernetes::{DataKey, EndpointName, NamespaceName, ObjectName, SecretName};
pub(crate) use owner::owner;
pub use pattern::{HostnamePattern, SecretNameTemplate, TopicPattern};
pub use text::{InvalidName, Text};

#[cfg(test)]
mod tests;
