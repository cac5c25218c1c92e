//! Topics and groups of the broker, through the admin client.
//!
//! Every operation is awaited and its result checked: a topic that `create_topic` made can be written to.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::{Offset, TopicPartitionList};

use super::RealKafka;
use crate::wait::eventually_ok;

/// For one request: the broker is on the same machine.
const REQUEST: Duration = Duration::from_mins(1);
const ANSWER: Duration = Duration::from_millis(500);

/// A consumer group that the broker knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub name: String,
    /// Kafka's word for its state, such as `Stable` or `Empty`.
    pub state: String,
    /// The client ids of its members.
    pub members: Vec<String>,
}

impl RealKafka {
    /// Creates a topic and waits until its partitions have a leader.
    pub async fn create_topic(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        self.create(config.iter().fold(topic, |topic, (key, value)| topic.set(key, value)), partitions).await
    }

    /// Creates a topic with a partition on each of these brokers, and nowhere else.
    pub async fn create_topic_on(&self, name: &str, brokers: &[i32]) -> Result<()> {
        let replicas: Vec<&[i32]> = brokers.iter().map(std::slice::from_ref).collect();
        let partitions = brokers.len() as i32;
        self.create(NewTopic::new(name, partitions, TopicReplication::Variable(&replicas)), partitions).await
    }

    async fn create(&self, topic: NewTopic<'_>, partitions: i32) -> Result<()> {
        let name = topic.name;
        let results = self.admin.create_topics(&[topic], &options()).await?;
        for result in results {
            result.map_err(|(topic, code)| anyhow!("cannot create {topic}: {code}"))?;
        }
        self.wait_for_leaders(name, partitions).await
    }

    /// Deletes a topic with everything in it.
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        let results = self.admin.delete_topics(&[name], &options()).await?;
        for result in results {
            result.map_err(|(topic, code)| anyhow!("cannot delete {topic}: {code}"))?;
        }
        Ok(())
    }

    /// Removes every record below `offset`, as retention does in time.
    pub async fn delete_records_before(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        let result = self.admin.delete_records(&list, &options()).await?;
        for element in result.elements() {
            element.error().with_context(|| format!("cannot delete records of {topic}"))?;
        }
        Ok(())
    }

    /// The first offset that is still there and the one that comes next.
    pub async fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64)> {
        let topic = topic.to_owned();
        self.ask(move |client| Ok(client.fetch_watermarks(&topic, partition, REQUEST)?)).await
    }

    /// The broker that leads a partition; negative if none does.
    pub async fn leader(&self, topic: &str, partition: i32) -> Result<i32> {
        let topic = topic.to_owned();
        self.ask(move |client| {
            let metadata = client.fetch_metadata(Some(&topic), REQUEST)?;
            let partitions = metadata.topics().first().context("no such topic")?.partitions();
            Ok(partitions.iter().find(|found| found.id() == partition).context("no such partition")?.leader())
        })
        .await
    }

    /// The consumer groups, in the order of their names.
    pub async fn list_groups(&self) -> Result<Vec<Group>> {
        self.ask(|client| {
            let list = client.fetch_group_list(None, REQUEST)?;
            let mut groups: Vec<Group> = list.groups().iter().map(Group::from).collect();
            groups.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(groups)
        })
        .await
    }

    /// Asks once, and shortly, how many brokers there are: an error while it is down.
    pub(super) async fn brokers(&self) -> Result<()> {
        self.ask(|client| {
            let metadata = client.fetch_metadata(None, ANSWER)?;
            ensure!(!metadata.brokers().is_empty(), "it is not in its own metadata yet");
            Ok(())
        })
        .await
    }

    async fn wait_for_leaders(&self, topic: &str, partitions: i32) -> Result<()> {
        eventually_ok(format!("leaders of {topic}"), REQUEST, async || {
            let name = topic.to_owned();
            self.ask(move |client| {
                let metadata = client.fetch_metadata(Some(&name), ANSWER)?;
                let topic = metadata.topics().first().context("it is not in the metadata")?;
                let led = topic.partitions().iter().filter(|partition| partition.leader() >= 0).count();
                ensure!(led == usize::try_from(partitions)?, "{led} of {partitions} partitions have a leader");
                Ok(())
            })
            .await
        })
        .await
    }

    /// Runs a blocking question of the client where it may block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&rdkafka::client::Client) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let admin = self.admin.clone();
        tokio::task::spawn_blocking(move || question(admin.inner())).await?
    }
}

impl From<&rdkafka::groups::GroupInfo> for Group {
    fn from(info: &rdkafka::groups::GroupInfo) -> Self {
        let members = info.members().iter().map(|member| member.client_id().to_owned()).collect();
        Self { name: info.name().to_owned(), state: info.state().to_owned(), members }
    }
}

pub(super) fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST))
}
