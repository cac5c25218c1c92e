//! What becomes known of a reconcile: the status, and events about what changed.
//!
//! Owns that nothing is said twice. Must never fail a reconcile because of an event, nor put a value of a Secret anywhere.

use super::{Context, ReconcileError, status as writer};
use crate::dereference::Dereferenced;
use crate::keys::{KeyEvent, KeyPlan};
use crate::model::SecretLocation;
use crate::settings::CERTIFICATE_FILE;
use crate::status::{self, Observation, Outcome};
use headgate_crds::reasons::{ConditionType, Reason};
use headgate_crds::types::NamespaceName;
use headgate_crds::v1alpha1::StreamEndpointStatus;
use headgate_crds::{StreamEndpoint, names};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt as _};
use std::collections::BTreeSet;

/// Most characters of an event's note; the API server takes no more than 1024 bytes.
const MAX_NOTE_CHARACTERS: usize = 250;
/// What the operator was doing, for events.
const ACTION: &str = "Reconcile";

/// Writes the status that follows from what was found and how far the reconcile came, if it is another than before, and
/// reports what changed. Returns the status.
pub(super) async fn conclude(
    endpoint: &StreamEndpoint,
    found: &Dereferenced,
    outcome: Outcome<'_>,
    context: &Context,
) -> Result<StreamEndpointStatus, ReconcileError> {
    let observation = Observation {
        object: endpoint,
        outcome,
        existing: &found.existing,
        pods: &found.pods,
        certificate_missing: certificate_missing(endpoint, found),
        cluster_domain: &context.settings.cluster_domain,
        now: context.now(),
    };
    let status = status::compute(&observation);
    if status::differs(endpoint.status.as_ref(), &status) {
        let written = writer::write::<StreamEndpoint, _>(&context.client, &endpoint.metadata, &status).await;
        written.map_err(ReconcileError::Status)?;
        if let Some(ready) = status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str())
        {
            tracing::info!(ready = ready.status, reason = ready.reason, message = ready.message, "status written");
        }
        let before = endpoint.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        for event in changes(before, &status.conditions) {
            publish(event, endpoint, context).await;
        }
    }
    Ok(status)
}

/// Reports what became of keys.
pub(super) async fn keys(endpoint: &StreamEndpoint, plan: &KeyPlan, context: &Context) {
    for event in &plan.events {
        publish(key_event(event, endpoint), endpoint, context).await;
    }
}

/// Reports an event. One that cannot be reported is only logged: events are for people, and nothing depends on them.
pub(crate) async fn publish<K: Resource<DynamicType = ()>>(event: Event, object: &K, context: &Context) {
    // Without its version, events about the same object are the same.
    let reference = ObjectReference { resource_version: None, ..object.object_ref(&()) };
    if let Err(error) = context.recorder.publish(&event, &reference).await {
        tracing::debug!(reason = event.reason, error = crate::api_server::message(&error), "failed to report an event");
    }
}

/// An event of the operator.
pub(crate) fn event(type_: EventType, reason: &str, note: &str) -> Event {
    let note = match note.char_indices().nth(MAX_NOTE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &note[..end]),
        None => note.to_owned(),
    };
    Event { type_, reason: reason.to_owned(), note: Some(note), action: ACTION.to_owned(), secondary: None }
}

/// One event for each reason that is new, the summary's first.
pub(crate) fn changes(before: &[Condition], after: &[Condition]) -> Vec<Event> {
    let is_new = |condition: &&Condition| {
        let old = before.iter().find(|old| old.type_ == condition.type_);
        old.is_none_or(|old| (&old.status, &old.reason) != (&condition.status, &condition.reason))
    };
    let is_summary = |condition: &&Condition| {
        let type_ = ConditionType::ALL.iter().find(|type_| type_.as_str() == condition.type_);
        type_.is_some_and(|type_| !type_.only_while_true() || *type_ == ConditionType::ReconciliationPaused)
    };
    let mut said = BTreeSet::new();
    let new = after.iter().filter(is_summary).filter(is_new).filter(|condition| said.insert(condition.reason.clone()));
    new.map(|condition| event(severity(condition), &condition.reason, &condition.message)).collect()
}

/// A warning where something has to be done, not where it is only to be waited for.
fn severity(condition: &Condition) -> EventType {
    let waits = matches!(
        Reason::parse(&condition.reason),
        Some(
            Reason::Progressing
                | Reason::Stopped
                | Reason::PausedByUser
                | Reason::RolloutInProgress
                | Reason::KafkaNotProbed
                | Reason::RoutePending
                | Reason::CertificatePending
                | Reason::RotationPending
        )
    );
    if condition.status == "True" || waits { EventType::Normal } else { EventType::Warning }
}

/// An event about a key names the key's Secret as well, so that events about several keys are several.
fn key_event(key: &KeyEvent, endpoint: &StreamEndpoint) -> Event {
    let name = format!("{}-key-{}", endpoint.name_any(), key.key);
    let secret = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Secret".to_owned()),
        name: Some(name),
        namespace: endpoint.namespace(),
        ..ObjectReference::default()
    };
    Event { secondary: Some(secret), ..event(EventType::Normal, key.reason.as_str(), &key.message) }
}

/// Whether the Secret of `publicAccess.tls` is not there or has no certificate yet, where the endpoint names one.
fn certificate_missing(endpoint: &StreamEndpoint, found: &Dereferenced) -> bool {
    let Some(tls) = &endpoint.spec.public_access.tls else { return false };
    let Ok(namespace) = NamespaceName::new(&endpoint.namespace().unwrap_or_default()) else { return false };
    let location = SecretLocation { namespace, name: tls.secret_ref.name.clone() };
    let content = found.references.secrets.as_ref().and_then(|secrets| secrets.get(&location)?.as_ref());
    content.is_none_or(|content| content.get(CERTIFICATE_FILE).is_none())
}

/// Whether the annotation asks to leave the children alone.
pub(super) fn is_paused(endpoint: &StreamEndpoint) -> bool {
    endpoint.annotations().get(names::ANNOTATION_PAUSE).is_some_and(|value| value == "true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn condition(type_: ConditionType, status: &str, reason: Reason) -> Condition {
        Condition {
            type_: type_.as_str().to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: "why".to_owned(),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        }
    }

    fn reasons(before: &[Condition], after: &[Condition]) -> Vec<(String, EventType)> {
        changes(before, after).into_iter().map(|event| (event.reason, event.type_)).collect()
    }

    #[test]
    fn each_new_reason_is_reported_once() {
        let broken = [
            condition(ConditionType::Ready, "False", Reason::TopicNotFound),
            condition(ConditionType::Available, "True", Reason::ReplicasReady),
            condition(ConditionType::KafkaReady, "False", Reason::TopicNotFound),
            condition(ConditionType::Reconciling, "True", Reason::Progressing),
        ];
        let expected =
            [("TopicNotFound".to_owned(), EventType::Warning), ("ReplicasReady".to_owned(), EventType::Normal)];
        assert_eq!(reasons(&[], &broken), expected);
        assert_eq!(reasons(&broken, &broken), []);
        let healed = [condition(ConditionType::Ready, "True", Reason::Serving), broken[1].clone()];
        assert_eq!(reasons(&broken, &healed), [("Serving".to_owned(), EventType::Normal)]);
    }

    #[test]
    fn what_only_has_to_be_waited_for_is_no_warning() {
        let waiting = [condition(ConditionType::Ready, "False", Reason::RolloutInProgress)];
        assert_eq!(reasons(&[], &waiting), [("RolloutInProgress".to_owned(), EventType::Normal)]);
    }

    #[test]
    fn a_note_is_never_longer_than_the_api_server_takes() {
        let note = event(EventType::Normal, "Serving", &"ä€😀".repeat(500)).note.unwrap();
        assert!(note.len() <= 1024, "{}", note.len());
    }
}
