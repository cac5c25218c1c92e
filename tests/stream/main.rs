//! From a real Kafka through a real gateway to real clients.
//!
//! Tests that stop or count their broker have one of their own ([`broker`]); all others share one.

mod broker;
mod connections;
mod filters;
mod outage;
mod reader;
mod resume;
mod retention;
mod start;
mod topic;
