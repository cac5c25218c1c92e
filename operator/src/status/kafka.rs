//! `KafkaReady`: the topic exists and can be read, as the gateway pods say.

use super::condition;
use super::finding::{Finding, Truth};
use super::view::View;
use crate::probe::{GatewayPod, PodReport};
use headgate_crds::reasons::{ConditionType, Reason};

/// What the client library says where TLS is what fails. Names of protocols, which have `ssl` in them, are lower-case.
const SIGNS_OF_TLS: [&str; 3] = ["SSL handshake", "SSL routines", "certificate"];

/// The problems that gateways report, those that explain others first.
const PROBLEMS: [Reason; 5] = [
    Reason::AuthenticationFailed,
    Reason::AuthorizationFailed,
    Reason::TlsFailed,
    Reason::TopicNotFound,
    Reason::KafkaUnreachable,
];

/// From the pods that have the present configuration.
pub(super) fn check(view: &View<'_>) -> Finding {
    let topic = view.observation.object.spec.topic.as_str();
    let pods = view.pods();
    let reports: Vec<&PodReport> = pods.iter().filter_map(|pod| pod.report.as_ref()).collect();
    let reading = reports.iter().filter(|report| report.kafka_state == "Reading").count();
    if reading > 0 && reading == reports.len() {
        return Finding::yes(Reason::KafkaReachable, format!("The gateway pods read topic {topic}."));
    }
    if reading > 0 {
        let message = format!("{reading} of {} gateway pods read topic {topic}.", reports.len());
        return Finding::yes(Reason::KafkaReachable, message);
    }
    let problem =
        |wanted: &Reason| reports.iter().find(|report| problem(report) == Some(*wanted)).map(|r| (*wanted, *r));
    if let Some((reason, report)) = PROBLEMS.iter().find_map(problem) {
        return failing(view, reason, report, topic);
    }
    silent(view, &pods, reports.is_empty(), topic)
}

/// No pod has told anything that helps.
fn silent(view: &View<'_>, pods: &[&GatewayPod], no_answer: bool, topic: &str) -> Finding {
    if view.is_stopped() {
        return Finding::unknown(Reason::Stopped, format!("No gateway pod runs that could read topic {topic}"));
    }
    if no_answer && let Some(known) = last_known(view, pods) {
        return known;
    }
    let message = if pods.is_empty() {
        format!("There is no gateway pod yet that could read topic {topic}")
    } else if no_answer {
        format!("No gateway pod has told yet whether it reads topic {topic}")
    } else {
        format!("The gateway pods are connecting to Kafka to read topic {topic}")
    };
    Finding::unknown(Reason::KafkaNotProbed, message)
}

/// What pods said before, while one of them is still there that does not answer at the moment.
fn last_known(view: &View<'_>, pods: &[&GatewayPod]) -> Option<Finding> {
    let old = condition(view.old, ConditionType::KafkaReady)?;
    let truth = match old.status.as_str() {
        // A pod becomes ready only once it has read the topic.
        "True" if pods.iter().any(|pod| pod.ready) => Truth::True,
        "False" if !pods.is_empty() && old.observed_generation == view.generation => Truth::False,
        _ => return None,
    };
    Some(Finding { truth, reason: Reason::parse(&old.reason)?, message: old.message.clone() })
}

fn problem(report: &PodReport) -> Option<Reason> {
    let detail = report.kafka_reason.as_deref().unwrap_or_default();
    match report.kafka_state.as_str() {
        "AuthenticationFailed" => Some(Reason::AuthenticationFailed),
        "AuthorizationFailed" => Some(Reason::AuthorizationFailed),
        "TopicNotFound" => Some(Reason::TopicNotFound),
        "Unreachable" if SIGNS_OF_TLS.iter().any(|sign| detail.contains(sign)) => Some(Reason::TlsFailed),
        "Unreachable" => Some(Reason::KafkaUnreachable),
        _ => None,
    }
}

fn failing(view: &View<'_>, reason: Reason, report: &PodReport, topic: &str) -> Finding {
    let what = match reason {
        Reason::AuthenticationFailed => format!("Kafka refuses the log-in to read topic {topic}"),
        Reason::AuthorizationFailed => format!("The Kafka user may not read topic {topic}"),
        Reason::TopicNotFound => format!("Topic {topic} does not exist, or the Kafka user may not describe it"),
        Reason::TlsFailed => format!("The TLS connection to the brokers of topic {topic} fails"),
        _ => format!("No broker of topic {topic} can be reached"),
    };
    Finding::no(reason, what).said_by_a_pod(report.kafka_reason.as_deref(), view.told(ConditionType::KafkaReady))
}
