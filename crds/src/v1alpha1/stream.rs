//! `spec.stream`: what clients get.
//!
//! Owns the section. Must never say how frames look; the protocol's documentation does.

use super::filter::Filter;
use crate::types::{EventType, Text, TopicName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What clients get, and from where on.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stream {
    /// Format for a client that asks for none: `CloudEvents` (one JSON event per message), `Raw` (the record's value) or
    /// `TopicPayload` (`{"topic":…,"payload":…}`).
    pub format: Format,
    /// CloudEvents type of a plain record, which is not a CloudEvent already and is wrapped into one.
    pub event_type: EventType,
    /// Where a client without a cursor begins: `Latest` or `Earliest`.
    pub start: Start,
    /// Filters on CloudEvents attributes that hold for every client. An event must match all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub filters: Vec<Filter>,
    /// How far back, and at what cost, clients can resume.
    pub replay: Replay,
    /// What happens to a client that reads more slowly than the topic is written: `Disconnect` (it comes back with its
    /// cursor and misses nothing), `SkipWithGap` (it is told what it missed) or `LatestOnly` (it gets the newest).
    pub slow_client: SlowClient,
    /// How long a record may wait for others, so that many leave in one write. 0 sends each at once.
    #[schemars(range(min = 0, max = 1000))]
    pub max_delay_milliseconds: i32,
    /// Where messages of clients go. Absent: the stream is read-only. Gateways of this version take none, and refuse it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            format: Format::default(),
            event_type: EventType::unchecked("dev.headgate.record.v1".to_owned()),
            start: Start::default(),
            filters: Vec::new(),
            replay: Replay::default(),
            slow_client: SlowClient::default(),
            max_delay_milliseconds: 5,
            publish: None,
        }
    }
}

/// Format of one message.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Format {
    /// A structured CloudEvent in JSON.
    #[default]
    CloudEvents,
    /// The value of the record.
    Raw,
    /// The value with its topic.
    TopicPayload,
}

/// Where a client without a cursor begins.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Start {
    /// With the next record.
    #[default]
    Latest,
    /// With the oldest record that Kafka still has.
    Earliest,
}

/// What happens to a client that is too slow.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SlowClient {
    /// It is disconnected and may come back with its cursor.
    #[default]
    Disconnect,
    /// It is told what it missed and goes on.
    SkipWithGap,
    /// It gets the newest record only.
    LatestOnly,
}

/// How far back clients can resume.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Replay {
    /// Memory of each gateway pod for recent messages, from which clients resume without asking Kafka, in bytes.
    #[schemars(range(min = 1_048_576, max = 1_073_741_824))]
    pub ring_bytes: i64,
    /// Clients per gateway pod that may read older records from Kafka at the same time; others wait their turn.
    #[schemars(range(min = 1, max = 256))]
    pub max_concurrent: i32,
}

impl Default for Replay {
    fn default() -> Self {
        Self { ring_bytes: 16 * 1024 * 1024, max_concurrent: 32 }
    }
}

/// Where messages of clients go.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Publish {
    /// Kafka topic for messages of clients that have the permission Publish.
    pub topic: TopicName,
}
