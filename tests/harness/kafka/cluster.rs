//! Several brokers and a controller of their own, so that any broker may die.
//!
//! Without users and TLS: what one broker does with those is the matter of [`super::RealKafka`].

use super::java::{self, Java};
use super::properties::FILE;
use super::topics::options;
use crate::folders;
use crate::ports::free_port;
use crate::spawn::Guarded;
use crate::wait::eventually_ok;
use anyhow::{Context as _, Result, anyhow, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// The cluster is there after about 5 s; a loaded machine gets more.
const START: Duration = Duration::from_mins(1);
const ANSWER: Duration = Duration::from_secs(2);
/// The controller's node; brokers follow it.
const CONTROLLER: usize = 1;

/// What every node is told. A dead broker is noticed after three seconds.
const EVERY_NODE: &str = "\
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
controlled.shutdown.enable=false
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.io.buffer.size=131072
";

/// A running cluster. Dropping it kills every node and removes its folder.
pub struct KafkaCluster {
    folder: TempDir,
    java: Java,
    ports: Vec<u16>,
    /// By node; brokers that were killed are `None`.
    brokers: Vec<Option<Guarded>>,
    _controller: Guarded,
    admin: AdminClient<DefaultClientContext>,
}

impl std::fmt::Debug for KafkaCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaCluster").field("bootstrap", &self.bootstrap()).finish_non_exhaustive()
    }
}

impl KafkaCluster {
    /// Starts so many brokers and waits until they know of each other.
    pub async fn start(brokers: usize) -> Result<Self> {
        let folder = folders::of_this_process("headgate-kafka-cluster-")?;
        let java = Java::find()?;
        let controller = free_port()?;
        let ports = (0..brokers).map(|_| free_port()).collect::<Result<Vec<u16>>>()?;
        let nodes = CONTROLLER..=CONTROLLER + brokers;
        for node in nodes {
            let home = folder.path().join(node.to_string());
            fs::create_dir(&home)?;
            let port = node.checked_sub(CONTROLLER + 1).map(|index| ports[index]);
            let data = home.join("data");
            let text = properties(node, controller, port) + &format!("log.dirs={}\n", data.display());
            fs::write(home.join(FILE), text)?;
            java.format(&home).await?;
        }
        let served = java.serve(&folder.path().join(CONTROLLER.to_string()))?;
        let admin = client(&ports).create()?;
        let mut cluster = Self { folder, java, ports, brokers: Vec::new(), _controller: served, admin };
        for broker in 0..brokers {
            cluster.brokers.push(None);
            cluster.start_broker(broker)?;
        }
        cluster.wait_for_brokers(brokers).await?;
        Ok(cluster)
    }

    /// Where clients connect: every broker.
    pub fn bootstrap(&self) -> String {
        addresses(&self.ports)
    }

    /// Starts a broker, counted from 0, with the storage that it has.
    pub fn start_broker(&mut self, broker: usize) -> Result<()> {
        self.brokers[broker] = Some(self.java.serve(&self.home(broker))?);
        Ok(())
    }

    /// Ends a broker, counted from 0, at once.
    pub fn kill(&mut self, broker: usize) -> Result<()> {
        self.brokers[broker].take().context("this broker is not running")?.kill()
    }

    /// Creates a topic whose partitions have these replicas, named by the brokers' numbers, and waits for leaders.
    pub async fn create_topic(&self, name: &str, replicas: &[&[usize]]) -> Result<()> {
        let nodes: Vec<Vec<i32>> =
            replicas.iter().map(|brokers| brokers.iter().copied().map(node_id).collect()).collect();
        let nodes: Vec<&[i32]> = nodes.iter().map(Vec::as_slice).collect();
        let topic = NewTopic::new(name, i32::try_from(nodes.len())?, TopicReplication::Variable(&nodes));
        for result in self.admin.create_topics(&[topic], &options()).await? {
            result.map_err(|(topic, code)| anyhow!("cannot create {topic}: {code}"))?;
        }
        self.wait_for_leaders(name, replicas.len()).await
    }

    /// Waits until so many partitions of a topic have a leader, and no more.
    pub async fn wait_for_leaders(&self, topic: &str, count: usize) -> Result<()> {
        eventually_ok(format!("{count} leaders of {topic}"), START, async || {
            let metadata = tokio::task::block_in_place(|| self.admin.inner().fetch_metadata(Some(topic), ANSWER))?;
            let topic = metadata.topics().first().context("it is not in the metadata")?;
            let led = topic.partitions().iter().filter(|partition| partition.leader() >= 0).count();
            ensure!(led == count, "{led} partitions have a leader");
            Ok(())
        })
        .await
    }

    async fn wait_for_brokers(&self, count: usize) -> Result<()> {
        let outcome = eventually_ok(format!("{count} brokers"), START, async || {
            let metadata = tokio::task::block_in_place(|| self.admin.inner().fetch_metadata(None, ANSWER))?;
            ensure!(metadata.brokers().len() == count, "there are {}", metadata.brokers().len());
            Ok(())
        });
        outcome
            .await
            .with_context(|| format!("the log of the first broker ends with:\n{}", java::log_tail(&self.home(0))))
    }

    fn home(&self, broker: usize) -> PathBuf {
        self.folder.path().join(node_id(broker).to_string())
    }
}

fn node_id(broker: usize) -> i32 {
    (CONTROLLER + 1 + broker) as i32
}

fn addresses(ports: &[u16]) -> String {
    ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
}

fn client(ports: &[u16]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", addresses(ports));
    config.set("reconnect.backoff.ms", "20").set("reconnect.backoff.max.ms", "200");
    config
}

/// The controller has no port for clients.
fn properties(node: usize, controller: u16, port: Option<u16>) -> String {
    let mut text =
        format!("{EVERY_NODE}node.id={node}\ncontroller.quorum.voters={CONTROLLER}@127.0.0.1:{controller}\n");
    // Writing to a string cannot fail.
    let _ = match port {
        None => writeln!(text, "process.roles=controller\nlisteners=CONTROLLER://127.0.0.1:{controller}"),
        Some(port) => writeln!(
            text,
            "process.roles=broker\ninter.broker.listener.name=PLAINTEXT\nlisteners=PLAINTEXT://127.0.0.1:{port}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}"
        ),
    };
    text
}
