//! From a real Kafka through a real gateway to real clients.
//!
//! Tests that stop or count their broker have one of their own ([`broker`]); all others share one.

mod broker;
mod compaction;
mod connections;
mod crashes;
mod filters;
mod histories;
mod leaderless;
mod many_partitions;
mod outage;
mod producer;
mod reader;
mod records;
mod resume;
mod retention;
mod security;
mod server_sent_events;
mod start;
mod topic;
mod transactions;
mod wire_records;
