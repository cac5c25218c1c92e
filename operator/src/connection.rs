//! The controller of `KafkaConnection`s: tells the platform team whether endpoints can use them.
//!
//! Owns the status of connections, with every detail about their Secrets. Must never write anything else, and must never
//! be asked whether an endpoint may use a connection: validation judges that, endpoint by endpoint.

mod status;

use crate::controller::report::{changes, publish};
use crate::controller::{Context, ReconcileError, backoff::spread, broken};
use crate::dereference::{DereferenceError, namespace_labels, secrets, visible_endpoints};
use crate::model::SecretLocation;
use crate::references::References;
use crate::validate::{connection_problems, connection_secrets, wanted_secrets};
use headgate_crds::names::ANNOTATION_DEFAULT_CONNECTION;
use headgate_crds::{KafkaConnection, StreamEndpoint};
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Endpoints whose Secrets are looked at one by one. Beyond them, their own status says what is wrong.
const MAX_EXAMINED: usize = 1000;

/// Judges one connection, and writes what is new about it into its status.
///
/// # Errors
///
/// The step that failed. Whoever calls tries again if [`ReconcileError::retry`] says so.
pub async fn reconcile(
    object: Arc<DeserializeGuard<KafkaConnection>>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let resync = Action::requeue(spread(context.installation.resync, &object.name_any(), 0));
    let connection = match &object.0 {
        Ok(connection) if connection.metadata.deletion_timestamp.is_some() => return Ok(Action::await_change()),
        Ok(connection) => connection,
        Err(invalid) => {
            broken::report::<KafkaConnection>(invalid, &context).await.map_err(ReconcileError::Status)?;
            return Ok(resync);
        }
    };
    let endpoints = visible_endpoints(&context).await?;
    let users: Vec<&StreamEndpoint> =
        endpoints.iter().filter_map(|endpoint| endpoint.0.as_ref().ok()).filter(|e| uses(e, connection)).collect();
    let wanted = connection_secrets(connection);
    let granted = granted_secrets(connection, &users, &context).await?;
    let read = secrets(wanted.union(&granted).cloned(), &context).await.map_err(DereferenceError::from)?;
    let problems = connection_problems(connection, Some(&read));
    let unusable = status::unusable(granted.difference(&wanted), &read);
    let new = status::compute(connection, &problems, &unusable, users.len(), context.now());
    if connection.status.as_ref() != Some(&new) {
        let written =
            crate::controller::status::write::<KafkaConnection, _>(&context.client, &connection.metadata, &new);
        written.await.map_err(ReconcileError::Status)?;
        let before = connection.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        for event in changes(before, &new.conditions) {
            publish(event, connection, &context).await;
        }
    }
    Ok(resync)
}

/// Whether the endpoint is one of the connection's.
fn uses(endpoint: &StreamEndpoint, connection: &KafkaConnection) -> bool {
    let kafka = &endpoint.spec.kafka;
    let is_default =
        || connection.annotations().get(ANNOTATION_DEFAULT_CONNECTION).is_some_and(|value| value == "true");
    match &kafka.connection_ref {
        Some(reference) => connection.metadata.name.as_deref() == Some(reference.name.as_str()),
        None => kafka.bootstrap_servers.is_none() && is_default(),
    }
}

/// Secrets that the connection gives to those who use it, each namespace its own.
async fn granted_secrets(
    connection: &KafkaConnection,
    users: &[&StreamEndpoint],
    context: &Context,
) -> Result<BTreeSet<SecretLocation>, DereferenceError> {
    let templates: Vec<_> =
        connection.spec.allowed.iter().filter_map(|allowed| allowed.credentials_secret_ref.as_ref()).collect();
    if templates.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut labels: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut granted = BTreeSet::new();
    for endpoint in users.iter().take(MAX_EXAMINED) {
        let namespace = endpoint.namespace().unwrap_or_default();
        if !labels.contains_key(&namespace) {
            labels.insert(namespace.clone(), namespace_labels(&namespace, context).await?);
        }
        let references = References {
            namespace_labels: labels.get(&namespace).cloned().unwrap_or_default(),
            connections: vec![connection.clone()],
            ..References::default()
        };
        let wanted = wanted_secrets(endpoint, &references);
        let filled = templates.iter().filter_map(|template| {
            let name = template.name.fill(&namespace, &endpoint.spec.app).ok()?;
            Some(SecretLocation { namespace: template.namespace.clone(), name })
        });
        granted.extend(filled.filter(|location| wanted.contains(location)));
    }
    Ok(granted)
}
