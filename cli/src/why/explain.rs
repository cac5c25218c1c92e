//! What the evidence means: the first thing that is wrong, everything else that is, and what to do. Pure.

use super::gather::Evidence;
use super::pods::{self, PodReport};
use headgate_crds::StreamEndpoint;
use headgate_crds::reasons::{ConditionType, Reason};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use serde::Serialize;

/// Most events that are told, the newest.
const MAX_EVENTS: usize = 10;
/// What a remedy says where there is nothing to remedy.
const NOTHING: &str = "Nothing to do.";
/// What to do if the operator is silent.
const OPERATOR: &str = "Wait a moment; if it stays, ask the platform team whether the operator runs and watches this \
                        namespace (kubectl get pods -A -l app.kubernetes.io/name=headgate-operator).";

/// The explanation, as `-o json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    /// Namespace of the endpoint.
    pub(crate) namespace: String,
    /// Name of the endpoint.
    pub(crate) name: String,
    /// Whether a client can connect now.
    pub(crate) ready: bool,
    /// The first thing that is wrong.
    pub(crate) cause: Finding,
    /// Where clients connect.
    pub(crate) url: Option<String>,
    /// Every condition in its order.
    pub(crate) conditions: Vec<ConditionReport>,
    /// Every gateway pod.
    pub(crate) pods: Vec<PodReport>,
    /// The connection, if it may be seen and is not ready.
    pub(crate) kafka_connection: Option<ConnectionReport>,
    /// The newest events, oldest first.
    pub(crate) events: Vec<EventReport>,
    /// What works and is probably not meant.
    pub(crate) warnings: Vec<String>,
    /// What could not be read.
    pub(crate) unseen: Vec<String>,
}

/// A reason with its sentences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A word of the conditions, or one of ours where there is no condition.
    pub(crate) reason: String,
    /// What is the matter.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConditionReport {
    /// Its type.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// `True`, `False` or `Unknown`.
    pub(crate) status: String,
    /// Whether it is as it should be.
    pub(crate) good: bool,
    /// What it says.
    #[serde(flatten)]
    pub(crate) finding: Finding,
    /// Since when, RFC 3339.
    pub(crate) since: String,
}

/// A `KafkaConnection` that is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConnectionReport {
    /// Its name.
    pub(crate) name: String,
    /// What its condition `Ready` says.
    #[serde(flatten)]
    pub(crate) finding: Finding,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct EventReport {
    /// When it happened last, RFC 3339.
    pub(crate) time: String,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Kind and name of the object.
    pub(crate) object: String,
    /// Its reason.
    pub(crate) reason: String,
    /// Its sentence.
    pub(crate) message: String,
}

/// What the evidence means.
pub(crate) fn explain(evidence: &Evidence, now: Timestamp) -> Explanation {
    let endpoint = &evidence.endpoint;
    let status = endpoint.status.clone().unwrap_or_default();
    let conditions = conditions(&status.conditions);
    let current = crate::cluster::is_current(endpoint);
    let ready = current && conditions.iter().any(|one| one.kind == ConditionType::Ready.as_str() && one.good);
    let namespace = endpoint.namespace().unwrap_or_default();
    Explanation {
        cause: cause(endpoint, &conditions, current),
        ready,
        url: status.url,
        pods: evidence.pods.iter().map(|pod| pods::report(pod, &namespace)).collect(),
        kafka_connection: connection(evidence).filter(|_| !ready),
        events: if ready { Vec::new() } else { events(evidence) },
        warnings: headgate_operator::warnings(&endpoint.spec, now).iter().map(ToString::to_string).collect(),
        unseen: evidence.unseen.clone(),
        name: endpoint.name_any(),
        namespace,
        conditions,
    }
}

fn conditions(all: &[Condition]) -> Vec<ConditionReport> {
    let place = |condition: &Condition| {
        ConditionType::ALL.iter().position(|kind| kind.as_str() == condition.type_).unwrap_or(usize::MAX)
    };
    let mut sorted: Vec<&Condition> = all.iter().collect();
    sorted.sort_by_key(|condition| place(condition));
    sorted.into_iter().map(condition).collect()
}

fn condition(condition: &Condition) -> ConditionReport {
    let abnormal = ConditionType::parse(&condition.type_).is_some_and(ConditionType::only_while_true);
    ConditionReport {
        kind: condition.type_.clone(),
        status: condition.status.clone(),
        good: (condition.status == "True") != abnormal,
        finding: finding(condition),
        since: condition.last_transition_time.0.to_string(),
    }
}

fn finding(condition: &Condition) -> Finding {
    let remedy = Reason::parse(&condition.reason).map(Reason::remedy).filter(|remedy| *remedy != NOTHING);
    Finding { reason: condition.reason.clone(), message: condition.message.clone(), remedy: remedy.map(str::to_owned) }
}

/// The first thing that is wrong; `Ready` copies it from the other conditions.
fn cause(endpoint: &StreamEndpoint, conditions: &[ConditionReport], current: bool) -> Finding {
    let silent =
        |message: String| Finding { reason: "NotObserved".to_owned(), message, remedy: Some(OPERATOR.to_owned()) };
    if endpoint.metadata.deletion_timestamp.is_some() {
        let message = "the endpoint is being deleted".to_owned();
        return Finding { reason: "Deleting".to_owned(), message, remedy: None };
    }
    let Some(ready) = conditions.iter().find(|one| one.kind == ConditionType::Ready.as_str()) else {
        return silent("the operator has not looked at the endpoint yet".to_owned());
    };
    if !current {
        let generation = endpoint.metadata.generation.unwrap_or_default();
        let seen = endpoint.status.as_ref().and_then(|status| status.observed_generation).unwrap_or_default();
        return silent(format!(
            "the operator has not looked at the last change yet: the spec is at generation {generation}, the status \
             describes {seen}"
        ));
    }
    ready.finding.clone()
}

fn connection(evidence: &Evidence) -> Option<ConnectionReport> {
    let connection = evidence.connection.as_ref()?;
    let conditions = connection.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str());
    let finding = match ready {
        Some(ready) if ready.status == "True" => return None,
        Some(ready) => finding(ready),
        None => Finding {
            reason: "NotObserved".to_owned(),
            message: "the operator has not looked at it yet".to_owned(),
            remedy: None,
        },
    };
    Some(ConnectionReport { name: connection.name_any(), finding })
}

fn events(evidence: &Evidence) -> Vec<EventReport> {
    let ours = evidence.events.iter().filter(|event| is_about(&event.involved_object, evidence));
    let mut reports: Vec<EventReport> = ours.map(event).collect();
    reports.sort();
    reports.dedup();
    reports.split_off(reports.len().saturating_sub(MAX_EVENTS))
}

/// Whether an event tells of the endpoint, its workload or one of its pods.
fn is_about(object: &ObjectReference, evidence: &Evidence) -> bool {
    let name = object.name.as_deref().unwrap_or_default();
    let gateway = format!("{}-gateway", evidence.endpoint.name_any());
    match object.kind.as_deref().unwrap_or_default() {
        "StreamEndpoint" => name == evidence.endpoint.name_any(),
        "Pod" => evidence.pods.iter().any(|pod| pod.name_any() == name),
        // `<deployment>-<hash of the template>`
        "ReplicaSet" => name.rsplit_once('-').is_some_and(|(deployment, _)| deployment == gateway),
        "Deployment" | "Service" | "Ingress" | "HTTPRoute" => name == gateway,
        _ => false,
    }
}

fn event(event: &Event) -> EventReport {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let micro = event.event_time.as_ref().map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let made = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let time = series.or(last).or(micro).or(made);
    let object = &event.involved_object;
    let word = |text: Option<&String>| text.cloned().unwrap_or_default();
    EventReport {
        time: time.map(|time| time.to_string()).unwrap_or_default(),
        kind: word(event.type_.as_ref()),
        object: format!("{} {}", word(object.kind.as_ref()), word(object.name.as_ref())),
        reason: word(event.reason.as_ref()),
        message: word(event.message.as_ref()),
    }
}
