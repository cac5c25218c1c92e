//! Which endpoints a change of something else concerns.
//!
//! Owns the reverse of every reference that `dereference` follows. Pure. May name an endpoint too many, which costs a few
//! reads; must never name one too few, or a change would only be noticed at the next resync.

use super::queue::{Connection, Endpoint};
use crate::keys::LABEL_BRINGS_KEY_FOR;
use headgate_crds::reasons::{ConditionType, Reason};
use headgate_crds::v1alpha1::{Kafka, KafkaConnectionSpec, NamespacedSecretRef};
use headgate_crds::{KafkaConnection, StreamEndpoint, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource as _, ResourceExt as _};
use std::sync::Arc;

/// Endpoints as a watch keeps them. Those that are not understood refer to nothing.
type Endpoints = [Arc<Endpoint>];
/// Connections as a watch keeps them. Those that are not understood are used by nobody.
type Connections = [Arc<Connection>];

/// The endpoint that has this child.
pub(super) fn of_child(child: &ObjectMeta) -> Vec<ObjectRef<Endpoint>> {
    let namespace = child.namespace.as_deref().unwrap_or_default();
    owners(child).map(|endpoint| ObjectRef::new(endpoint).within(namespace)).collect()
}

/// Those that own the Secret, take a key from it, or log in with it.
pub(super) fn of_secret(
    secret: &ObjectMeta,
    endpoints: &Endpoints,
    connections: &Connections,
) -> Vec<ObjectRef<Endpoint>> {
    let namespace = secret.namespace.as_deref().unwrap_or_default();
    let name = secret.name.as_deref().unwrap_or_default();
    let understood = connections.iter().filter_map(|connection| connection.0.as_ref().ok());
    let connections: Vec<_> = understood.filter(|connection| names_namespace(&connection.spec, namespace)).collect();
    let concerned = |endpoint: &StreamEndpoint| {
        let in_namespace = endpoint.metadata.namespace.as_deref() == Some(namespace);
        (in_namespace && (names_secret(endpoint, name) || keeps_key_in(endpoint, name)))
            || connections.iter().any(|connection| {
                may_use(&endpoint.spec.kafka, connection) && grants(&connection.spec, endpoint, namespace, name)
            })
    };
    let mut references = select(endpoints, concerned);
    references.extend(belonging(secret).map(|endpoint| ObjectRef::new(endpoint).within(namespace)));
    references
}

/// Those that use the connection, or would if it were marked as default.
pub(super) fn of_connection(connection: &Connection, endpoints: &Endpoints) -> Vec<ObjectRef<Endpoint>> {
    let name = connection.name_any();
    select(endpoints, |endpoint| {
        let kafka = &endpoint.spec.kafka;
        match &kafka.connection_ref {
            Some(reference) => reference.name.as_str() == name,
            // It may just have stopped being the default.
            None => kafka.bootstrap_servers.is_none(),
        }
    })
}

/// Those in the namespace, whose labels say what they are allowed.
pub(super) fn of_namespace(name: &str, endpoints: &Endpoints) -> Vec<ObjectRef<Endpoint>> {
    select(endpoints, |endpoint| {
        endpoint.metadata.namespace.as_deref() == Some(name) && endpoint.spec.kafka.bootstrap_servers.is_none()
    })
}

/// Those that want what the endpoint has, and may get it when it changes or goes.
pub(super) fn of_endpoint(changed: &Endpoint, endpoints: &Endpoints) -> Vec<ObjectRef<Endpoint>> {
    let concerned = |other: &StreamEndpoint| {
        let same_namespace = other.metadata.namespace == changed.meta().namespace;
        // Its own status may not have arrived yet.
        let rivals = changed.0.as_ref().is_ok_and(|changed| are_rivals(changed, other));
        rivals || waits_for_a_name(other) || (same_namespace && waits_for_room(other))
    };
    select(endpoints, |other| other.meta().uid != changed.meta().uid && concerned(other))
}

/// Connections that log in with this Secret, whoever uses them.
pub(super) fn connections_of_secret(secret: &ObjectMeta, connections: &Connections) -> Vec<ObjectRef<Connection>> {
    let namespace = secret.namespace.as_deref().unwrap_or_default();
    let understood = connections.iter().filter_map(|connection| connection.0.as_ref().ok());
    let concerned = understood.filter(|connection| names_namespace(&connection.spec, namespace));
    concerned.map(|connection| ObjectRef::new(&connection.name_any())).collect()
}

/// Connections that count this endpoint.
pub(super) fn connections_of_endpoint(endpoint: &Endpoint, connections: &Connections) -> Vec<ObjectRef<Connection>> {
    let Ok(endpoint) = &endpoint.0 else { return Vec::new() };
    let understood = connections.iter().filter_map(|connection| connection.0.as_ref().ok());
    let concerned = understood.filter(|connection| may_use(&endpoint.spec.kafka, connection));
    concerned.map(|connection| ObjectRef::new(&connection.name_any())).collect()
}

fn select(endpoints: &Endpoints, concerned: impl Fn(&StreamEndpoint) -> bool) -> Vec<ObjectRef<Endpoint>> {
    let understood = endpoints.iter().filter_map(|endpoint| endpoint.0.as_ref().ok());
    let concerned = understood.filter(|endpoint| concerned(endpoint));
    concerned
        .map(|endpoint| ObjectRef::new(&endpoint.name_any()).within(&endpoint.namespace().unwrap_or_default()))
        .collect()
}

/// Names of the endpoints that own the object.
fn owners(object: &ObjectMeta) -> impl Iterator<Item = &str> {
    let owners = object.owner_references.iter().flatten();
    owners.filter(|owner| owner.kind == StreamEndpoint::kind(&())).map(|owner| owner.name.as_str())
}

/// The endpoint that the Secret is made for, by whoever made it.
fn belonging(secret: &ObjectMeta) -> impl Iterator<Item = &str> {
    let label = |label: &&str| secret.labels.as_ref()?.get(*label);
    let labelled = [names::LABEL_ENDPOINT, LABEL_BRINGS_KEY_FOR];
    owners(secret).chain(labelled.into_iter().filter_map(move |name| label(&name)).map(String::as_str))
}

/// Whether the spec names this Secret of its namespace.
fn names_secret(endpoint: &StreamEndpoint, name: &str) -> bool {
    let spec = &endpoint.spec;
    let tls = spec.kafka.tls.as_ref();
    [
        tls.and_then(|tls| tls.ca_secret_ref.as_ref()).map(|ca| &ca.name),
        tls.and_then(|tls| tls.client_cert_secret_ref.as_ref()).map(|certificate| &certificate.name),
        spec.kafka.sasl.as_ref().map(|sasl| &sasl.credentials_secret_ref.name),
        spec.public_access.tls.as_ref().map(|tls| &tls.secret_ref.name),
        spec.auth.oidc.as_ref().and_then(|oidc| oidc.ca_secret_ref.as_ref()).map(|authority| &authority.name),
    ]
    .into_iter()
    .flatten()
    .any(|secret| *secret == *name)
}

/// Whether a key was last seen in this Secret, which may have lost its labels.
fn keeps_key_in(endpoint: &StreamEndpoint, name: &str) -> bool {
    let keys = endpoint.status.iter().flat_map(|status| &status.keys);
    keys.filter_map(|key| key.secret_ref.as_ref()).any(|secret| secret.name == *name)
}

fn may_use(kafka: &Kafka, connection: &KafkaConnection) -> bool {
    match &kafka.connection_ref {
        Some(reference) => connection.metadata.name.as_deref() == Some(reference.name.as_str()),
        None => kafka.bootstrap_servers.is_none(),
    }
}

/// Whether any Secret of the connection is in this namespace.
fn names_namespace(connection: &KafkaConnectionSpec, namespace: &str) -> bool {
    let templates = connection.allowed.iter().filter_map(|allowed| allowed.credentials_secret_ref.as_ref());
    own_secrets(connection)
        .map(|secret| secret.0)
        .chain(templates.map(|t| t.namespace.as_str()))
        .any(|n| n == namespace)
}

/// Namespace and name of every Secret that the connection itself names.
fn own_secrets(connection: &KafkaConnectionSpec) -> impl Iterator<Item = (&str, &str)> {
    fn pair(secret: &NamespacedSecretRef) -> (&str, &str) {
        (secret.namespace.as_str(), secret.name.as_str())
    }
    let tls = connection.tls.as_ref();
    let authority = tls.and_then(|tls| tls.ca_secret_ref.as_ref()).map(|ca| (ca.namespace.as_str(), ca.name.as_str()));
    let certificate = tls.and_then(|tls| tls.client_cert_secret_ref.as_ref()).map(pair);
    let user = connection.sasl.as_ref().map(|sasl| pair(&sasl.credentials_secret_ref));
    [authority, certificate, user].into_iter().flatten()
}

/// Whether the connection gives the endpoint this Secret to log in with.
fn grants(connection: &KafkaConnectionSpec, endpoint: &StreamEndpoint, namespace: &str, name: &str) -> bool {
    let endpoint_namespace = endpoint.namespace().unwrap_or_default();
    let mut templates = connection.allowed.iter().filter_map(|allowed| allowed.credentials_secret_ref.as_ref());
    own_secrets(connection).any(|secret| secret == (namespace, name))
        || templates.any(|template| {
            template.namespace == *namespace
                && template.name.fill(&endpoint_namespace, &endpoint.spec.app).is_ok_and(|filled| filled == *name)
        })
}

fn reason(endpoint: &StreamEndpoint) -> Option<Reason> {
    let mut conditions = endpoint.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.find(|condition| condition.type_ == ConditionType::Ready.as_str())?;
    Reason::parse(&ready.reason)
}

/// Whether both want the same path, in their namespace or under a host name.
fn are_rivals(one: &StreamEndpoint, other: &StreamEndpoint) -> bool {
    let hostname = |endpoint: &StreamEndpoint| endpoint.spec.public_access.hostname.clone();
    let same_host = hostname(one).is_some() && hostname(one) == hostname(other);
    one.spec.app == other.spec.app && (same_host || one.metadata.namespace == other.metadata.namespace)
}

/// Whether it waits for a name that another endpoint has.
fn waits_for_a_name(endpoint: &StreamEndpoint) -> bool {
    matches!(reason(endpoint), Some(Reason::AppConflict | Reason::HostnameConflict))
}

/// Whether it waits until its namespace has fewer endpoints.
fn waits_for_room(endpoint: &StreamEndpoint) -> bool {
    reason(endpoint) == Some(Reason::GuardrailExceeded)
}

#[cfg(test)]
mod tests;
