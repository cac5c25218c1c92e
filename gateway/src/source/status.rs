//! What is known about the connection to Kafka, for `/status`, readiness, metrics and the log.

use super::lately::Lately;
use crate::metrics::StreamMetrics;
use crate::stream::entry::Entry;
use crate::stream::position::Position;
use headgate_process::Latch;
use rdkafka::types::RDKafkaErrorCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A transaction that is open for longer is worth telling of.
const HELD_LONG: Duration = Duration::from_secs(10);
/// Partitions that are named then.
const HELD_NAMED: usize = 8;
/// Refusals of leaders that are further apart belong to two events.
const REFUSAL_PAUSE: Duration = Duration::from_secs(5);
/// A broker that is behind says outdated things for less than this.
const REFUSAL_LASTS: Duration = Duration::from_secs(5);

/// How the stream stands with Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum KafkaState {
    /// No answer yet.
    Connecting,
    /// Records flow, or would if there were any.
    Reading,
    /// No broker answers; the consumer keeps trying.
    Unreachable,
    /// The topic does not exist, or may not be described.
    TopicNotFound,
    /// The brokers refuse the credentials.
    AuthenticationFailed,
    /// The brokers accept the credentials but refuse the topic.
    AuthorizationFailed,
}

impl KafkaState {
    /// Stable word, also used as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "Connecting",
            Self::Reading => "Reading",
            Self::Unreachable => "Unreachable",
            Self::TopicNotFound => "TopicNotFound",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::AuthorizationFailed => "AuthorizationFailed",
        }
    }
}

/// Where a partition ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    /// The offset up to which the consumer may read.
    pub readable: i64,
    /// The offset that the next record will get.
    pub high: i64,
    /// The end that the consumer has reached last; negative if it has reached none.
    pub read: i64,
}

/// Shared between the consumer and whoever asks.
#[derive(Debug)]
pub struct SourceStatus {
    inner: Mutex<Inner>,
    metrics: StreamMetrics,
    ready: Latch,
    /// The topic is not the one that was read so far.
    replaced: AtomicBool,
    /// Since when, and until when, the client library has refused what the brokers say of their leaders.
    refusing_leaders: Mutex<Option<(Instant, Instant)>>,
}

#[derive(Debug)]
struct Inner {
    state: KafkaState,
    reason: Option<String>,
    since: Instant,
    position: Position,
    /// What was read before it.
    lately: Lately,
    /// Partitions whose end is held back by an open transaction, and since when.
    held: BTreeMap<i32, Instant>,
    /// A check of the id of the topic; 0 while it is not known.
    topic: u32,
    /// How often the stream has begun, or begun again, at a position that does not follow from the one before it.
    generation: u64,
    started: bool,
    /// When a broker last refused the credentials.
    last_refusal: Option<Instant>,
}

/// What `/status` shows.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// State.
    pub state: KafkaState,
    /// The client library's words, if something is wrong, or that an open transaction holds records back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long the state has lasted, in seconds.
    pub for_seconds: u64,
    /// Next offset of every partition.
    pub positions: Vec<i64>,
}

impl Inner {
    /// Which partitions an open transaction has held back for a while.
    fn held_back(&self) -> Option<String> {
        let long = self.held.iter().filter(|(_, since)| since.elapsed() >= HELD_LONG);
        let partitions: Vec<String> = long.take(HELD_NAMED).map(|(partition, _)| partition.to_string()).collect();
        let named = partitions.join(", ");
        (!named.is_empty()).then(|| {
            format!(
                "an open transaction of a producer holds back the end of partition {named}; nobody who reads committed \
                 records gets further until it ends or times out"
            )
        })
    }
}

impl SourceStatus {
    /// Nothing is known yet.
    pub fn new(metrics: StreamMetrics, ready: Latch) -> Self {
        let inner = Inner {
            state: KafkaState::Connecting,
            reason: None,
            since: Instant::now(),
            position: Position::default(),
            lately: Lately::default(),
            held: BTreeMap::new(),
            topic: 0,
            generation: 0,
            started: false,
            last_refusal: None,
        };
        Self {
            inner: Mutex::new(inner),
            metrics,
            ready,
            replaced: AtomicBool::new(false),
            refusing_leaders: Mutex::new(None),
        }
    }

    /// The metrics of this stream.
    pub(super) fn metrics(&self) -> &StreamMetrics {
        &self.metrics
    }

    /// The whole picture.
    pub fn report(&self) -> StatusReport {
        let inner = self.lock();
        StatusReport {
            state: inner.state,
            reason: inner.reason.clone().or_else(|| inner.held_back()),
            for_seconds: inner.since.elapsed().as_secs(),
            positions: inner.position.iter().map(|(_, next)| next).collect(),
        }
    }

    /// Next offset of every partition, as far as the live consumer has read, and how often the stream has begun: shards
    /// that count as many beginnings understand the position.
    pub fn standing(&self) -> (Position, u64) {
        let inner = self.lock();
        (inner.position.clone(), inner.generation)
    }

    /// True once the stream's position is known: from then on clients can be served.
    pub fn has_started(&self) -> bool {
        self.lock().started
    }

    pub(super) fn started(&self) {
        self.lock().started = true;
        self.ready.release();
        self.set(KafkaState::Reading, None);
    }

    /// True if a reader at `position` has certainly seen the log that this gateway reads, no further than it has.
    pub fn agrees_with(&self, position: &Position) -> bool {
        let inner = self.lock();
        let is_same_topic = position.topic == 0 || inner.topic == 0 || position.topic == inner.topic;
        is_same_topic && inner.position.reaches(position) && inner.lately.agrees_with(position)
    }

    /// A check of the id of the topic; 0 while it is not known.
    pub fn topic(&self) -> u32 {
        self.lock().topic
    }

    /// The topic has this id, in the words of the client library.
    pub(super) fn set_topic(&self, id: &str) {
        // 0 says that it is not known.
        self.lock().topic = crc32fast::hash(id.as_bytes()).max(1);
    }

    /// The stream has passed these steps, and stands at `position`.
    pub(super) fn pass(&self, entries: &[Entry], position: &Position) {
        let mut inner = self.lock();
        for entry in entries {
            inner.lately.pass(entry);
        }
        inner.position.clone_from(position);
    }

    /// The stream begins, or begins again, at this position.
    pub(super) fn restarted(&self, position: &Position) {
        let mut inner = self.lock();
        inner.position.clone_from(position);
        inner.lately.clear();
        inner.generation += 1;
    }

    /// A broker answers. Problems with the topic or with permissions are not over by that.
    pub(super) fn broker_up(&self) {
        let (started, state) = {
            let inner = self.lock();
            (inner.started, inner.state)
        };
        self.metrics.kafka_up.set(1);
        if started && state == KafkaState::Unreachable {
            self.set(KafkaState::Reading, None);
        }
    }

    /// Where a partition ends now, in the words of the client library.
    pub(super) fn ends(&self, partition: i32, ends: &Ends) {
        let mut inner = self.lock();
        // The end that was reached may be behind markers of transactions, which are no records.
        let next = inner.position.next(partition).max(ends.read);
        if ends.readable < ends.high {
            inner.held.entry(partition).or_insert_with(Instant::now);
        } else {
            inner.held.remove(&partition);
        }
        drop(inner);
        self.metrics.kafka_lag(partition, (ends.readable - next).max(0));
        self.metrics.kafka_held(partition, ends.high - ends.readable);
    }

    /// The topic was deleted and made again.
    pub(super) fn replaced(&self) {
        self.replaced.store(true, Ordering::Release);
    }

    /// The client library refuses what a broker says of a leader, because it has heard of a later one.
    pub(super) fn refused_leader(&self) {
        let now = Instant::now();
        let mut refusing = self.refusing_leaders.lock().unwrap_or_else(PoisonError::into_inner);
        let since =
            refusing.filter(|(_, until)| now.duration_since(*until) < REFUSAL_PAUSE).map_or(now, |(since, _)| since);
        *refusing = Some((since, now));
    }

    /// True if that has gone on for longer than brokers need to agree: then the cluster was put back to an earlier state,
    /// and the library would wait for ever. It begins to count anew.
    pub(super) fn take_refusing_leaders(&self) -> bool {
        let mut refusing = self.refusing_leaders.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lasting = refusing.is_some_and(|(since, until)| until.duration_since(since) > REFUSAL_LASTS);
        if is_lasting {
            *refusing = None;
        }
        is_lasting
    }

    pub(super) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
    }

    pub(super) fn take_replaced(&self) -> bool {
        self.replaced.swap(false, Ordering::AcqRel)
    }

    /// Brokers are connected, but none of them has answered for a while.
    pub(super) fn silent(&self, silence: Duration) {
        let reason = format!("no broker has answered for {} s", silence.as_secs());
        self.client_error(Some(RDKafkaErrorCode::OperationTimedOut), &reason);
    }

    /// The client library reports an error.
    pub(super) fn client_error(&self, code: Option<RDKafkaErrorCode>, reason: &str) {
        if let Some(state) = code.and_then(state_of) {
            self.metrics.kafka_error(state.as_str());
            if state == KafkaState::Unreachable {
                self.metrics.kafka_up.set(0);
                if self.is_auth_failure() {
                    // A refused login also ends the connection; the refusal is the better reason.
                    return;
                }
            }
            self.set(state, Some(reason.to_owned()));
        }
    }

    /// A question to the brokers failed. Refused credentials explain that better than silence does.
    pub(super) fn problem(&self, state: KafkaState, reason: String) {
        if state != KafkaState::Unreachable || !self.is_auth_failure() {
            self.set(state, Some(reason));
        }
    }

    /// Records arrive: whatever was wrong is over.
    pub(super) fn receiving(&self) {
        let (started, state) = {
            let inner = self.lock();
            (inner.started, inner.state)
        };
        if started && state != KafkaState::Reading {
            self.set(KafkaState::Reading, None);
        }
    }

    fn is_auth_failure(&self) -> bool {
        /// How long a refused login explains broken connections.
        const AUTH_EXPLAINS: Duration = Duration::from_secs(30);
        let inner = self.lock();
        inner.state == KafkaState::AuthenticationFailed
            && inner.last_refusal.is_some_and(|at| at.elapsed() < AUTH_EXPLAINS)
    }

    pub(super) fn set(&self, state: KafkaState, reason: Option<String>) {
        let mut inner = self.lock();
        if inner.state != state {
            inner.since = Instant::now();
            match state {
                KafkaState::Reading => tracing::info!("reading from Kafka"),
                other => {
                    tracing::warn!(state = other.as_str(), reason = reason.as_deref(), "Kafka is not usable; retrying");
                }
            }
        }
        if state == KafkaState::AuthenticationFailed {
            inner.last_refusal = Some(Instant::now());
        }
        inner.state = state;
        inner.reason = reason;
        drop(inner);
        self.metrics.kafka_up.set(i64::from(state == KafkaState::Reading));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn state_of(code: RDKafkaErrorCode) -> Option<KafkaState> {
    use RDKafkaErrorCode as Code;
    Some(match code {
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
            KafkaState::AuthenticationFailed
        }
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => KafkaState::AuthorizationFailed,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => KafkaState::TopicNotFound,
        Code::AllBrokersDown
        | Code::BrokerTransportFailure
        | Code::Resolve
        | Code::SSL
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::NetworkException => KafkaState::Unreachable,
        _ => return None,
    })
}

/// The state that an error of a metadata request means.
pub(super) fn state_of_error(error: &rdkafka::error::KafkaError) -> KafkaState {
    error.rdkafka_error_code().and_then(state_of).unwrap_or(KafkaState::Unreachable)
}
