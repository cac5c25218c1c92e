//! What a gateway measures. Labels are bounded: the app, a close code, a status, a static reason; never a key or address.

use headgate_wire::CloseReason;
use headgate_wire::message::GapReason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Label of everything that belongs to one stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AppLabel {
    app: String,
}

/// A stream and a static word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    app: String,
    reason: &'static str,
}

/// A stream and a close code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CloseLabel {
    app: String,
    code: u16,
    reason: &'static str,
}

/// A stream, an HTTP status and a static word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabel {
    app: String,
    status: u16,
    error: &'static str,
}

/// A stream and one of its pod's budgets of memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BudgetLabel {
    app: String,
    budget: &'static str,
}

/// A stream and a partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PartitionLabel {
    app: String,
    partition: i32,
}

/// Every metric of the process, by stream.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    connections: Family<AppLabel, Gauge>,
    opened: Family<AppLabel, Counter>,
    closed: Family<CloseLabel, Counter>,
    refused: Family<RefusalLabel, Counter>,
    writes: Family<AppLabel, Counter>,
    bytes_sent: Family<AppLabel, Counter>,
    messages_sent: Family<AppLabel, Counter>,
    blocked: Family<AppLabel, Counter>,
    slow_clients: Family<AppLabel, Counter>,
    gaps: Family<AppLabel, Counter>,
    skipped: Family<ReasonLabel, Counter>,
    records: Family<AppLabel, Counter>,
    record_bytes: Family<AppLabel, Counter>,
    recent_bytes: Family<AppLabel, Gauge>,
    log_bytes: Family<AppLabel, Gauge>,
    budget_bytes: Family<BudgetLabel, Gauge>,
    budget_full: Family<BudgetLabel, Counter>,
    views: Family<AppLabel, Gauge>,
    replays_started: Family<AppLabel, Counter>,
    replays_running: Family<AppLabel, Gauge>,
    kafka_up: Family<AppLabel, Gauge>,
    kafka_errors: Family<ReasonLabel, Counter>,
    kafka_lag: Family<PartitionLabel, Gauge>,
    kafka_held: Family<PartitionLabel, Gauge>,
}

impl Metrics {
    /// Registers everything under `…_gateway_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = &metrics;
        let r = registry.sub_registry_with_prefix("gateway");
        r.register("connections", "Open client connections", m.connections.clone());
        r.register("connections_opened", "Client connections accepted", m.opened.clone());
        r.register("connections_closed", "Client connections ended, by close code and reason", m.closed.clone());
        r.register("requests_refused", "Requests refused before the upgrade", m.refused.clone());
        r.register("socket_writes", "System calls that wrote to clients", m.writes.clone());
        r.register_with_unit("sent", "Bytes written to clients", Unit::Bytes, m.bytes_sent.clone());
        r.register("messages_sent", "Frames of the shared logs delivered to clients", m.messages_sent.clone());
        r.register("clients_blocked", "Times that a client's socket took no more bytes", m.blocked.clone());
        r.register("slow_clients", "Clients whose position left the log", m.slow_clients.clone());
        r.register("gaps", "Gap messages sent", m.gaps.clone());
        r.register("records_skipped", "Records that could not be shown, by reason", m.skipped.clone());
        r.register("records_received", "Records read from Kafka", m.records.clone());
        r.register_with_unit("received", "Bytes of records read from Kafka", Unit::Bytes, m.record_bytes.clone());
        r.register_with_unit(
            "recent",
            "Memory of the newest records, shared by all shards",
            Unit::Bytes,
            m.recent_bytes.clone(),
        );
        r.register_with_unit("log", "Memory of all logs", Unit::Bytes, m.log_bytes.clone());
        r.register_with_unit(
            "budget_used",
            "Memory that clients use of each budget of the pod",
            Unit::Bytes,
            m.budget_bytes.clone(),
        );
        r.register(
            "budget_full",
            "Times that somebody had to wait, or to go, because a budget was full",
            m.budget_full.clone(),
        );
        r.register("views", "Different views that clients have of the stream, summed over shards", m.views.clone());
        r.register("replays_started", "Reads of older records from Kafka", m.replays_started.clone());
        r.register("replays_running", "Consumers reading older records now", m.replays_running.clone());
        r.register("kafka_up", "1 while at least one broker answers", m.kafka_up.clone());
        r.register("kafka_errors", "Errors of the Kafka client, by reason", m.kafka_errors.clone());
        r.register("kafka_lag_records", "Records in Kafka that may be read and were not read yet", m.kafka_lag.clone());
        r.register(
            "kafka_held_records",
            "Offsets of a partition behind the beginning of an open transaction",
            m.kafka_held.clone(),
        );
        metrics
    }

    /// The handles of one stream.
    pub fn of(&self, app: &str) -> StreamMetrics {
        let label = AppLabel { app: app.to_owned() };
        StreamMetrics {
            connections: self.connections.get_or_create(&label).clone(),
            opened: self.opened.get_or_create(&label).clone(),
            writes: self.writes.get_or_create(&label).clone(),
            bytes_sent: self.bytes_sent.get_or_create(&label).clone(),
            messages_sent: self.messages_sent.get_or_create(&label).clone(),
            blocked: self.blocked.get_or_create(&label).clone(),
            slow_clients: self.slow_clients.get_or_create(&label).clone(),
            gaps: self.gaps.get_or_create(&label).clone(),
            records: self.records.get_or_create(&label).clone(),
            record_bytes: self.record_bytes.get_or_create(&label).clone(),
            recent_bytes: self.recent_bytes.get_or_create(&label).clone(),
            log_bytes: self.log_bytes.get_or_create(&label).clone(),
            views: Share::of(&self.views.get_or_create(&label)),
            replays_started: self.replays_started.get_or_create(&label).clone(),
            replays_running: Share::of(&self.replays_running.get_or_create(&label)),
            kafka_up: self.kafka_up.get_or_create(&label).clone(),
            app: app.to_owned(),
            all: self.clone(),
        }
    }
}

/// One shard's part of a gauge that sums over shards.
#[derive(Debug)]
pub struct Share {
    total: Gauge,
    mine: i64,
}

impl Share {
    fn of(total: &Gauge) -> Self {
        Self { total: total.clone(), mine: 0 }
    }

    /// Sets this part.
    pub fn set(&mut self, value: i64) {
        self.total.inc_by(value - self.mine);
        self.mine = value;
    }
}

impl Clone for Share {
    /// A part of its own, which begins at nothing.
    fn clone(&self) -> Self {
        Self::of(&self.total)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The metrics of one stream; cheap to clone and to count with.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is described where it is registered")]
pub struct StreamMetrics {
    pub connections: Gauge,
    pub opened: Counter,
    pub writes: Counter,
    pub bytes_sent: Counter,
    pub messages_sent: Counter,
    pub blocked: Counter,
    pub slow_clients: Counter,
    pub gaps: Counter,
    pub records: Counter,
    pub record_bytes: Counter,
    pub recent_bytes: Gauge,
    pub log_bytes: Gauge,
    pub views: Share,
    pub replays_started: Counter,
    pub replays_running: Share,
    pub kafka_up: Gauge,
    app: String,
    all: Metrics,
}

impl StreamMetrics {
    /// A client connection ended; without a reason, its path broke.
    pub fn closed(&self, reason: Option<CloseReason>) {
        let code = reason.map_or(1006, CloseReason::code);
        let reason = reason.map_or("connection lost", CloseReason::as_str);
        self.all.closed.get_or_create(&CloseLabel { app: self.app.clone(), code, reason }).inc();
    }

    /// A request was refused before the upgrade.
    pub fn refused(&self, status: u16, error: &'static str) {
        self.all.refused.get_or_create(&RefusalLabel { app: self.app.clone(), status, error }).inc();
    }

    /// What clients use of a budget now, in bytes.
    pub fn budget(&self, budget: &'static str, used: usize) {
        self.all.budget_bytes.get_or_create(&BudgetLabel { app: self.app.clone(), budget }).set(used as i64);
    }

    /// Somebody has to wait, or to go, because a budget is full.
    pub fn budget_full(&self, budget: &'static str) {
        self.all.budget_full.get_or_create(&BudgetLabel { app: self.app.clone(), budget }).inc();
    }

    /// A record could not be shown to the clients of one view.
    pub fn skipped(&self, reason: GapReason) {
        self.all.skipped.get_or_create(&self.reason(reason.as_str())).inc();
    }

    /// The Kafka client reported an error.
    pub fn kafka_error(&self, reason: &'static str) {
        self.all.kafka_errors.get_or_create(&self.reason(reason)).inc();
    }

    /// Records of a partition that Kafka has and this gateway has not read.
    pub fn kafka_lag(&self, partition: i32, records: i64) {
        self.all.kafka_lag.get_or_create(&PartitionLabel { app: self.app.clone(), partition }).set(records);
    }

    /// Offsets of a partition that an open transaction holds back.
    pub fn kafka_held(&self, partition: i32, offsets: i64) {
        self.all.kafka_held.get_or_create(&PartitionLabel { app: self.app.clone(), partition }).set(offsets);
    }

    fn reason(&self, reason: &'static str) -> ReasonLabel {
        ReasonLabel { app: self.app.clone(), reason }
    }
}
