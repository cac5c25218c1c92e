//! Dev mode: the operator's logic and the gateway's code in one process, with a Kafka that needs no installation.
//!
//! No third implementation of anything: it owns the embedded broker, the sample events, keys for one run, and the words
//! that tell a newcomer what to try. It leaves nothing behind.

pub(crate) mod announce;
pub(crate) mod demo;
pub(crate) mod issuer;
pub(crate) mod keys;
pub(crate) mod manifest;
mod mock_kafka;
pub(crate) mod rows;
pub(crate) mod waiting;

use crate::kafka::create_missing_topics;
use crate::output::notice;
use anyhow::Context as _;
use mock_kafka::{FETCH_WAIT, MockKafka, PARTITIONS};

/// The Kafka of this run.
pub(crate) enum Kafka {
    /// Ours, in this process.
    Embedded(MockKafka),
    /// Somebody else's.
    External(String),
}

impl Kafka {
    /// Starts the embedded broker with these topics, or creates in `external` those that it lacks.
    pub(crate) async fn start(external: Option<&str>, topics: &[String]) -> anyhow::Result<Self> {
        let Some(bootstrap) = external else {
            let embedded = MockKafka::start(topics).context("failed to start the embedded Kafka")?;
            return Ok(Self::Embedded(embedded));
        };
        let created = create_missing_topics(bootstrap, topics, PARTITIONS).await.with_context(|| {
            format!("--kafka {bootstrap} must have, or let us create, the topics {}", topics.join(", "))
        })?;
        for topic in created {
            notice(format_args!("created topic {topic} with {PARTITIONS} partitions"));
        }
        Ok(Self::External(bootstrap.to_owned()))
    }

    /// Where clients find it: host:port,…
    pub(crate) fn bootstrap_servers(&self) -> String {
        match self {
            Self::Embedded(kafka) => kafka.bootstrap_servers(),
            Self::External(bootstrap) => bootstrap.clone(),
        }
    }

    /// Properties that a gateway needs with this Kafka.
    pub(crate) const fn properties(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Embedded(_) => &[FETCH_WAIT],
            Self::External(_) => &[],
        }
    }
}
