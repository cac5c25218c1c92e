//! What the operator measures. Labels are bounded: a controller, a word of [`Reason`], a kind; never the name of an object.
//!
//! Owns names, help and units; `docs/operations.md` has the same table, checked by a test. Must never decide anything.

use headgate_crds::reasons::Reason;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// Upper bounds of the buckets of a reconcile's duration, in seconds: a run that writes nothing, one that writes
/// everything, one that waits for pods that do not answer.
const DURATION_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Which controller did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Controller {
    /// Of `StreamEndpoint`s.
    StreamEndpoint,
    /// Of `KafkaConnection`s.
    KafkaConnection,
}

/// How one run of a controller over one object ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReconcileResult {
    /// The object is as it is wanted, or on its way.
    Success,
    /// Only somebody's change can help.
    Invalid,
    /// It is tried again.
    Failure,
}

/// Why a gateway pod's admin port could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeFailure {
    /// No connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// An answer that is too large, or is not a status.
    Answer,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabel {
    controller: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    controller: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// Every metric of the process. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    reconciles: Family<ReconcileLabels, Counter>,
    errors: Family<ReasonLabel, Counter>,
    duration: Family<ControllerLabel, Histogram, fn() -> Histogram>,
    leader: Gauge,
    endpoints: Gauge,
    watch_errors: Family<KindLabel, Counter>,
    probe_failures: Family<ReasonLabel, Counter>,
}

impl Controller {
    const fn as_str(self) -> &'static str {
        match self {
            Self::StreamEndpoint => "streamendpoint",
            Self::KafkaConnection => "kafkaconnection",
        }
    }
}

impl ReconcileResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Invalid => "invalid",
            Self::Failure => "failure",
        }
    }
}

impl ProbeFailure {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Answer => "answer",
        }
    }
}

impl Default for Metrics {
    /// Metrics that nobody reads, for tests.
    fn default() -> Self {
        Self {
            reconciles: Family::default(),
            errors: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            leader: Gauge::default(),
            endpoints: Gauge::default(),
            watch_errors: Family::default(),
            probe_failures: Family::default(),
        }
    }
}

impl Metrics {
    /// Registers everything under `…_operator_…`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let m = &metrics;
        let r = registry.sub_registry_with_prefix("operator");
        r.register("reconcile", "Runs of a controller over one object, by how they ended", m.reconciles.clone());
        r.register("reconcile_errors", "Runs that did not succeed, by reason", m.errors.clone());
        r.register_with_unit(
            "reconcile_duration",
            "Time of one run over one object, until its status is written",
            Unit::Seconds,
            m.duration.clone(),
        );
        r.register("leader", "1 while this replica holds the Lease and therefore works", m.leader.clone());
        r.register("endpoints", "StreamEndpoints that this replica looks after", m.endpoints.clone());
        r.register("watch_errors", "Watches of the API server that broke and were begun anew, by kind", {
            m.watch_errors.clone()
        });
        r.register("probe_failures", "Gateway pods that did not tell their state, by reason", m.probe_failures.clone());
        metrics
    }

    /// One run over one object ended after this time.
    pub fn reconciled(&self, controller: Controller, result: ReconcileResult, took: Duration) {
        let controller = controller.as_str();
        self.reconciles.get_or_create(&ReconcileLabels { controller, result: result.as_str() }).inc();
        self.duration.get_or_create(&ControllerLabel { controller }).observe(took.as_secs_f64());
    }

    /// One run did not succeed, for this reason.
    pub fn failed(&self, reason: Reason) {
        self.errors.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }

    /// Whether this replica is the leader.
    pub fn set_leader(&self, leader: bool) {
        self.leader.set(leader.into());
    }

    /// How many `StreamEndpoint`s there are in the namespaces that are watched.
    pub fn set_endpoints(&self, count: usize) {
        self.endpoints.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A watch of this kind (as in manifests, `StreamEndpoint`) broke.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_errors.get_or_create(&KindLabel { kind }).inc();
    }

    /// A gateway pod did not tell its state.
    pub fn probe_failed(&self, failure: ProbeFailure) {
        self.probe_failures.get_or_create(&ReasonLabel { reason: failure.as_str() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    fn exercised() -> String {
        let mut registry = Registry::with_prefix("headgate");
        let metrics = Metrics::register(&mut registry);
        metrics.reconciled(Controller::StreamEndpoint, ReconcileResult::Success, Duration::from_millis(30));
        metrics.reconciled(Controller::KafkaConnection, ReconcileResult::Failure, Duration::from_mins(1));
        metrics.failed(Reason::TopicNotAllowed);
        metrics.set_leader(true);
        metrics.set_endpoints(7);
        metrics.watch_failed("Secret");
        metrics.probe_failed(ProbeFailure::Timeout);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn metrics_have_the_names_labels_and_units_that_dashboards_use() {
        let text = exercised();
        for line in [
            r#"headgate_operator_reconcile_total{controller="streamendpoint",result="success"} 1"#,
            r#"headgate_operator_reconcile_total{controller="kafkaconnection",result="failure"} 1"#,
            r#"headgate_operator_reconcile_errors_total{reason="TopicNotAllowed"} 1"#,
            "# UNIT headgate_operator_reconcile_duration_seconds seconds",
            r#"headgate_operator_reconcile_duration_seconds_bucket{le="0.05",controller="streamendpoint"} 1"#,
            r#"headgate_operator_reconcile_duration_seconds_bucket{le="30.0",controller="kafkaconnection"} 0"#,
            "headgate_operator_leader 1",
            "headgate_operator_endpoints 7",
            r#"headgate_operator_watch_errors_total{kind="Secret"} 1"#,
            r#"headgate_operator_probe_failures_total{reason="timeout"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn the_operations_page_describes_every_metric() {
        let page = include_str!("../../docs/operations.md");
        for line in exercised().lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
            assert!(page.contains(&format!("| `{name}` | {kind} |")), "docs/operations.md lacks {name} ({kind})");
        }
    }
}
