//! Records into Kafka: the one producer of this command, for `publish` and for the sample events of `dev`.
//!
//! With `dev::mock_kafka` the only module that names rdkafka. A record counts as stored when every in-sync replica has it.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a record may take until it is stored, in milliseconds; `-X message.timeout.ms=` changes it.
const MESSAGE_TIMEOUT_MS: &str = "15000";
/// How long a record waits for its answer until the user is told what it waits for.
const SILENCE: Duration = Duration::from_secs(2);
/// How long records may wait to share a request, in milliseconds.
const LINGER_MS: &str = "5";
/// How long an administrative request may take.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Replication factor that leaves the choice to the broker (KIP-464).
const BROKER_DEFAULT: i32 = -1;

/// One record to store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Topic.
    pub(crate) topic: String,
    /// Key: records of one key share a partition.
    pub(crate) key: Option<String>,
    /// Headers in order.
    pub(crate) headers: Vec<(String, String)>,
    /// Value.
    pub(crate) value: Vec<u8>,
}

/// Where a record was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Kafka partition.
    pub(crate) partition: i32,
    /// Kafka offset.
    pub(crate) offset: i64,
}

/// Why Kafka did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// A property of the client is wrong.
    #[error("failed to set up the Kafka client: {0}")]
    Config(KafkaError),
    /// No broker answers.
    #[error("failed to reach Kafka: {0}")]
    Unreachable(KafkaError),
    /// The record was refused or got no answer.
    #[error("failed to store the record: {cause}{detail}")]
    Record {
        /// librdkafka's error.
        cause: KafkaError,
        /// What the connection last complained about, with a separator; empty if nothing.
        detail: String,
    },
    /// The client ended first.
    #[error("failed to store the record: the Kafka client was closed")]
    Closed,
    /// A topic cannot be created.
    #[error("failed to create topic `{topic}`: {cause}; create it yourself, or ask for the right to")]
    Topic {
        /// Its name.
        topic: String,
        /// Why.
        cause: String,
    },
}

/// The answer to one record, as it will arrive.
#[derive(Debug)]
pub(crate) struct Delivery {
    answer: oneshot::Receiver<Result<Stored, KafkaError>>,
    connection: Arc<Mutex<Connection>>,
}

/// Stores records. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Producer {
    inner: Arc<ThreadedProducer<Deliveries>>,
    connection: Arc<Mutex<Connection>>,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Producer")
    }
}

/// What is known of the connection to the brokers.
#[derive(Debug, Default)]
struct Connection {
    /// What it last complained about.
    complaint: Option<String>,
    /// The user has heard what a record waits for.
    told: bool,
}

/// Hands every delivery report to the one who waits for it, and keeps the last complaint of the connection.
struct Deliveries(Arc<Mutex<Connection>>);

impl ClientContext for Deliveries {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!("{reason}");
        let mut connection = lock(&self.0);
        // That no broker is left says less than why the last one is gone.
        if connection.complaint.is_none() || error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            connection.complaint = Some(reason.to_owned());
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<oneshot::Sender<Result<Stored, KafkaError>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, waiting: Self::DeliveryOpaque) {
        let answer = match result {
            Ok(message) => Ok(Stored { partition: message.partition(), offset: message.offset() }),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody waits any more if the command was interrupted.
        let _ = waiting.send(answer);
    }
}

impl Producer {
    /// Prepares a producer; the connection is made with the first record. Later properties win.
    pub(crate) fn new(bootstrap: &str, properties: &[(String, String)]) -> Result<Self, StoreError> {
        let mut config = client_config(bootstrap);
        config.set("acks", "all").set("message.timeout.ms", MESSAGE_TIMEOUT_MS).set("linger.ms", LINGER_MS);
        for (name, value) in properties {
            config.set(name, value);
        }
        let connection = Arc::default();
        let inner = ThreadedProducer::from_config_and_context(&config, Deliveries(Arc::clone(&connection)))
            .map_err(StoreError::Config)?;
        Ok(Self { inner: Arc::new(inner), connection })
    }

    /// Queues a record; its fate is known when the delivery resolves.
    pub(crate) fn send(&self, record: &Record) -> Result<Delivery, StoreError> {
        let (waiting, answer) = oneshot::channel();
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (name, value)| {
            headers.insert(Header { key: name, value: Some(value) })
        });
        let mut base = BaseRecord::<str, [u8], _>::with_opaque_to(&record.topic, Box::new(waiting))
            .payload(&record.value)
            .headers(headers);
        if let Some(key) = &record.key {
            base = base.key(key);
        }
        self.inner.send(base).map_err(|(cause, _)| StoreError::Record { cause, detail: String::new() })?;
        Ok(Delivery { answer, connection: Arc::clone(&self.connection) })
    }
}

impl Delivery {
    /// Waits until the record is stored.
    pub(crate) async fn stored(self) -> Result<Stored, StoreError> {
        let answer = self.answer.await;
        judged(answer, &self.connection)
    }

    /// The same; if it takes long, `tell` hears what is in the way, once for each producer.
    pub(crate) async fn stored_or_told(mut self, tell: impl FnOnce(&str)) -> Result<Stored, StoreError> {
        if let Ok(answer) = tokio::time::timeout(SILENCE, &mut self.answer).await {
            return judged(answer, &self.connection);
        }
        let (told, complaint) = {
            let mut connection = lock(&self.connection);
            (std::mem::replace(&mut connection.told, true), connection.complaint.clone())
        };
        if !told {
            tell(complaint.as_deref().unwrap_or("no broker has answered yet"));
        }
        self.stored().await
    }
}

fn judged(
    answer: Result<Result<Stored, KafkaError>, oneshot::error::RecvError>,
    connection: &Mutex<Connection>,
) -> Result<Stored, StoreError> {
    answer.map_err(|_| StoreError::Closed)?.map_err(|cause| {
        let complaint = lock(connection).complaint.take();
        StoreError::Record { cause, detail: complaint.map(|words| format!(" ({words})")).unwrap_or_default() }
    })
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates the topics that do not exist yet, with the broker's default replication. Returns those that it created.
pub(crate) async fn create_missing_topics(
    bootstrap: &str,
    topics: &[String],
    partitions: i32,
) -> Result<Vec<String>, StoreError> {
    let admin = AdminClient::from_config_and_context(&client_config(bootstrap), Deliveries(Arc::default()))
        .map_err(StoreError::Config)?;
    let (admin, existing) = existing_topics(admin).await?;
    let missing: Vec<&String> = topics.iter().filter(|topic| !existing.contains(topic)).collect();
    let wanted: Vec<_> =
        missing.iter().map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(BROKER_DEFAULT))).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |topic: &str, cause: String| StoreError::Topic { topic: topic.to_owned(), cause };
    let options = AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT));
    let answer = admin.create_topics(&wanted, &options).await;
    let mut created = Vec::new();
    for result in answer.map_err(|error| failed(missing[0], error.to_string()))? {
        match result {
            Ok(topic) => created.push(topic),
            // Somebody else was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(failed(&topic, code.to_string())),
        }
    }
    Ok(created)
}

type Admin = AdminClient<Deliveries>;

/// Every topic that this user may see. Asking for all of them never makes a broker create one.
async fn existing_topics(admin: Admin) -> Result<(Admin, Vec<String>), StoreError> {
    let asking = tokio::task::spawn_blocking(move || {
        let names = admin
            .inner()
            .fetch_metadata(None, ADMIN_TIMEOUT)
            .map(|metadata| metadata.topics().iter().map(|topic| topic.name().to_owned()).collect());
        (admin, names)
    });
    let (admin, names) = asking.await.map_err(|_| StoreError::Closed)?;
    Ok((admin, names.map_err(StoreError::Unreachable)?))
}

fn client_config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("client.id", "headgate-cli");
    config
}
