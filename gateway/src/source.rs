//! Where records come from. Everything below this module, and nothing else in the gateway, knows Kafka's client library.
//!
//! * `client_config`: the settings of every consumer
//! * `live`: one consumer that reads every partition, for all clients
//! * `replay`: a bounded pool of consumers that read older records
//! * `lookup`: questions of clients; `watermarks`: where partitions begin and end; `last_records`: how far back n records are
//! * [`status`]: what is known about the connection to Kafka
//!
//! No consumer joins a group or commits anything: positions belong to clients.

mod client_config;
mod events;
mod evidence;
mod last_records;
mod lately;
mod live;
mod lookup;
mod record;
mod repair;
mod replay;
pub mod status;
mod watermarks;

pub use lookup::{Lookup, LookupError};
pub use replay::ReplayPool;
pub use status::{KafkaState, SourceStatus};
pub use watermarks::{TopicWatermarks, Watermarks};

use crate::stream::feed::FeedSender;
use crate::supervision::Supervision;
use headgate_wire::config::Kafka;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Why a source cannot even be set up. Nothing here depends on a broker.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A mounted credential file cannot be read.
    #[error("kafka: cannot read {path}: {error}; mount it, or correct its path")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The client library refuses a setting. The value may be secret, so only the name is told.
    #[error("kafka.properties: the Kafka client refuses `{0}`; see librdkafka's CONFIGURATION.md for its values")]
    Property(String),
    /// A setting that the gateway needs for itself.
    #[error("kafka.properties: `{0}` is set by the gateway itself, because resuming depends on it; remove it")]
    Reserved(String),
    /// The client library gives no consumer.
    #[error("kafka: cannot create a consumer: {0}")]
    Consumer(String),
    /// The operating system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What every consumer of a stream needs to know.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// Brokers, topic, credentials.
    pub kafka: Kafka,
    /// Names this gateway to the brokers.
    pub client_id: String,
    /// Records larger than this, in bytes, become gaps.
    pub max_record_bytes: usize,
    /// Bytes of records that are read before the first client is served: as many as stay in memory.
    pub warm_up_bytes: usize,
    /// Most replays at the same time.
    pub max_replays: usize,
}

/// A running source.
#[derive(Debug)]
pub struct Source {
    /// What is known about Kafka.
    pub status: Arc<SourceStatus>,
    /// Questions to the brokers.
    pub lookup: Lookup,
    /// Older records.
    pub replays: ReplayPool,
    live: SyncSender<live::Control>,
    live_thread: Mutex<Option<JoinHandle<()>>>,
}

impl Source {
    /// Sets the consumers up; they connect by themselves, now or later. `replays` made earlier is shared with the shards.
    ///
    /// # Errors
    /// If the settings cannot work, whatever the brokers say.
    pub fn start(
        settings: &SourceSettings,
        replays: ReplayPool,
        feeds: Vec<FeedSender>,
        status: SourceStatus,
        supervision: &Supervision,
    ) -> Result<Self, SourceError> {
        let status = Arc::new(status);
        let (live, live_thread) = live::spawn(settings, feeds, status.clone(), supervision.alive("kafka-live"))?;
        let lookup = Lookup::spawn(settings, live.clone(), supervision)?;
        Ok(Self { status, lookup, replays, live, live_thread: Mutex::new(Some(live_thread)) })
    }

    /// Ends all consumers and waits for the live one.
    pub fn stop(&self) {
        // If the thread is gone, there is nothing to stop.
        let _ = self.live.send(live::Control::Stop);
        self.replays.stop();
        let thread = self.live_thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the Kafka consumer ended by a panic");
        }
    }
}
