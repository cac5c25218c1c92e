//! The Kafka of tests for which Kafka's own behaviour does not matter: librdkafka's mock cluster, in this process.
//!
//! It keeps at most 5 MiB or 100,000 records per partition, has no retention, no transactions and no security; whoever
//! needs those takes [`crate::kafka::RealKafka`].

use crate::kafka::{Producer, Record, produce_many, producer};
use anyhow::{Context as _, Result, anyhow};
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Topics that may wait to be created.
const WAITING_TOPICS: usize = 16;

type NewTopic = (String, i32, SyncSender<Result<()>>);

/// A running mock cluster. It ends when this is dropped.
pub struct MockKafka {
    bootstrap: String,
    topics: SyncSender<NewTopic>,
    producer: Producer,
}

impl std::fmt::Debug for MockKafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MockKafka").field("bootstrap", &self.bootstrap).finish_non_exhaustive()
    }
}

impl MockKafka {
    /// Starts a cluster of one broker. It lives on a thread of its own, because librdkafka's handle may not move.
    pub fn start() -> Result<Self> {
        let (topics, wanted) = sync_channel(WAITING_TOPICS);
        let (started, bootstrap) = sync_channel(1);
        std::thread::spawn(move || run(&started, &wanted));
        let bootstrap = bootstrap.recv().context("the mock cluster ended")??;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &bootstrap);
        Ok(Self { producer: producer(config)?, bootstrap, topics })
    }

    /// The cluster that the tests of this process share; give your topics [`crate::kafka::unique`] names.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<MockKafka, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| MockKafka::start().map_err(|error| format!("{error:#}")));
        shared.as_ref().map_err(|error| anyhow!("{error}"))
    }

    /// Where clients find it: `127.0.0.1:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Makes a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<()> {
        let (reply, created) = sync_channel(1);
        self.topics.send((topic.to_owned(), partitions, reply)).context("the mock cluster ended")?;
        created.recv().context("the mock cluster ended")?
    }

    /// Stores records, pipelined and in order, and gives their offsets once the cluster has them all.
    pub async fn produce(&self, records: impl IntoIterator<Item = Record>) -> Result<Vec<i64>> {
        produce_many(&self.producer, records).await
    }
}

/// Serves until nobody can ask for a topic any more.
fn run(started: &SyncSender<Result<String>>, wanted: &Receiver<NewTopic>) {
    let cluster = match MockCluster::new(1) {
        Ok(cluster) => cluster,
        Err(error) => {
            // Nobody waits only if the caller is gone.
            let _ = started.send(Err(error.into()));
            return;
        }
    };
    let _ = started.send(Ok(cluster.bootstrap_servers()));
    for (topic, partitions, reply) in wanted {
        let created = cluster.create_topic(&topic, partitions, 1);
        let _ = reply.send(created.with_context(|| format!("cannot create {topic}")));
    }
}
