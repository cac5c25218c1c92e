//! Tells the cluster who leads, as an event on the Lease. Nothing depends on it.

use headgate_crds::names::MANAGED_BY;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};

/// The word of Kubernetes' own components for it.
const REASON: &str = "LeaderElection";
/// What was done.
const ACTION: &str = "Lead";

/// Writes one event: from now on, this replica leads. `identity` is its pod's name. A failure is only logged.
pub async fn announce(client: Client, namespace: &str, lease: &str, identity: &str) {
    let reference = ObjectReference {
        api_version: Some(Lease::api_version(&()).into_owned()),
        kind: Some(Lease::kind(&()).into_owned()),
        name: Some(lease.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectReference::default()
    };
    let event = Event {
        type_: EventType::Normal,
        reason: REASON.to_owned(),
        note: Some(format!("{identity} became leader")),
        action: ACTION.to_owned(),
        secondary: None,
    };
    let reporter = Reporter { controller: MANAGED_BY.to_owned(), instance: Some(identity.to_owned()) };
    if let Err(error) = Recorder::new(client, reporter).publish(&event, &reference).await {
        tracing::warn!(%error, "the event about the new leader was not written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::Value;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn the_event_is_about_the_lease_and_names_the_pod() {
        let written: Arc<Mutex<Vec<Value>>> = Arc::default();
        let write = {
            let written = Arc::clone(&written);
            async move |Json(event): Json<Value>| {
                written.lock().unwrap().push(event.clone());
                Json(event)
            }
        };
        let router = Router::new().route("/apis/events.k8s.io/v1/namespaces/headgate/events", post(write));
        announce(Client::new(router, "headgate"), "headgate", "headgate-operator", "operator-1").await;
        let written = written.lock().unwrap();
        assert_eq!(written.len(), 1);
        assert_eq!((&written[0]["reason"], &written[0]["note"]), (&REASON.into(), &"operator-1 became leader".into()));
        assert_eq!(written[0]["regarding"]["name"], "headgate-operator");
    }
}
