//! Producers of their own, for what the harness has no word for: any settings, transactions.

use anyhow::{Context as _, Result};
use headgate_tests::kafka::{Listener, RealKafka};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use std::time::Duration;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// A producer and the topic that it writes to.
#[derive(Clone)]
pub struct Producer {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
}

impl Producer {
    /// Connects with these settings beside the usual ones.
    pub fn new(kafka: &RealKafka, topic: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let mut config = kafka.client(Listener::Plaintext);
        for (name, value) in settings {
            config.set(*name, *value);
        }
        Ok(Self { producer: config.create()?, topic: topic.to_owned() })
    }

    /// Sends values, each to its partition, and waits until the broker has them.
    pub async fn send(&self, records: impl IntoIterator<Item = (i32, String)> + Send + 'static) -> Result<()> {
        self.run(move |this| {
            for (partition, value) in records {
                let record = BaseRecord::<(), _>::to(&this.topic).partition(partition).payload(&value);
                this.producer.send(record).map_err(|(error, _)| error).context("cannot produce")?;
            }
            Ok(this.producer.flush(DEADLINE)?)
        })
        .await
    }

    /// Prepares for transactions: needs the setting `transactional.id`.
    pub async fn init_transactions(&self) -> Result<()> {
        self.run(|this| Ok(this.producer.init_transactions(DEADLINE)?)).await
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<()> {
        Ok(self.producer.begin_transaction()?)
    }

    /// Ends the transaction; its records become visible.
    pub async fn commit(&self) -> Result<()> {
        self.run(|this| Ok(this.producer.commit_transaction(DEADLINE)?)).await
    }

    /// Ends the transaction; its records will never be visible.
    pub async fn abort(&self) -> Result<()> {
        self.run(|this| Ok(this.producer.abort_transaction(DEADLINE)?)).await
    }

    /// Blocks where that is allowed.
    async fn run(&self, work: impl FnOnce(&Self) -> Result<()> + Send + 'static) -> Result<()> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&this)).await?
    }
}
