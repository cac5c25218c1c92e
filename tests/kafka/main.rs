//! The harness against the real broker: what every other test with Kafka relies on.
//!
//! Nothing of the product is tested here.

mod lifecycle;
mod records;
mod security;
