//! The harness of the tests that need more than Rust: real servers, real processes, and waiting for them.
//!
//! It owns what several test binaries share. It never decides what is right: assertions belong to the tests.

pub mod apiserver;
pub mod certificates;
pub mod client;
pub mod cluster;
pub mod folders;
pub mod gateway;
pub mod images;
pub mod kafka;
pub mod mock_kafka;
pub mod oidc;
pub mod ports;
pub mod process;
pub mod raw;
pub mod spawn;
pub mod tools;
pub mod wait;
