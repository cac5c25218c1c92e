//! Issuers of tokens for the tests: real OpenID Connect providers, and one of ours that does what a test tells it to.
//!
//! Everything is plain HTTP on 127.0.0.1, but for what is given a certificate or another address of this machine.

pub mod browser;
pub mod hostile;
pub mod keycloak;
pub mod keys;
pub mod provider;
