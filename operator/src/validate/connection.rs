//! Topic authorisation: whether a `KafkaConnection` lets the endpoint's namespace stream the topic, and as whom.
//!
//! Owns the decision, and that a connection which is missing cannot be told from one that is forbidden: no problem may
//! depend on a connection before one of its entries allows the namespace and the topic.
//!
//! An endpoint is allowed by one entry as a whole: the first one that allows everything it asks for. Entries are never
//! added up, so that the guardrails and the credentials of an entry always belong to its own topics.

use super::kafka::Cluster;
use super::{Parsed, Problems, Reported, Request, guardrails, kafka};
use crate::credentials::KafkaFiles;
use crate::model::{Kafka, KafkaSasl, KafkaTls, SecretEntry, SecretLocation};
use headgate_crds::names::ANNOTATION_DEFAULT_CONNECTION;
use headgate_crds::reasons::Reason;
use headgate_crds::types::{InvalidName, Text, TopicPattern};
use headgate_crds::v1alpha1::{Allowed, ConnectionSasl, ConnectionTls, KafkaConnection, NamespacedSecretRef};
use kube::core::{Selector, SelectorExt as _};
use std::collections::BTreeMap;

/// The cluster of the connection, if the endpoint may use it.
pub(super) fn resolve(request: &Request<'_>, problems: &mut Problems) -> Parsed<Cluster> {
    let connection = find(request, problems)?;
    let candidates = connection.iter().flat_map(|connection| connection.spec.allowed.iter().map(|a| (*connection, a)));
    let labels = &request.references.namespace_labels;
    let usable = candidates.filter(|(_, allowed)| {
        selects(allowed, labels) && matches_any(&allowed.topics, request, request.topic.as_str())
    });
    // The first of those with the fewest problems.
    let judged =
        usable.map(|(connection, allowed)| (connection, allowed, guardrails::violations(request, connection, allowed)));
    let Some((connection, allowed, violations)) = judged.min_by_key(|(_, _, violations)| violations.len()) else {
        problems.add(Reason::TopicNotAllowed, "spec.topic", not_allowed(request));
        return Err(Reported);
    };
    problems.0.extend(violations);
    let name = connection.metadata.name.clone().unwrap_or_default();
    let kafka = cluster(request, connection, allowed).map_err(|why| {
        let message = format!("the KafkaConnection {name} cannot be used: {why}; ask the platform team to correct it");
        problems.invalid("spec.kafka", message);
        Reported
    })?;
    Ok(Cluster { kafka, connection: Some(name) })
}

/// The connection that is meant; `None` if it is named and does not exist.
fn find<'a>(request: &Request<'a>, problems: &mut Problems) -> Parsed<Option<&'a KafkaConnection>> {
    let connections = &request.references.connections;
    if let Some(reference) = &request.spec.kafka.connection_ref {
        let has_name = |c: &&KafkaConnection| c.metadata.name.as_deref() == Some(reference.name.as_str());
        return Ok(connections.iter().find(has_name));
    }
    let mut defaults = connections.iter().filter(|connection| is_default(connection));
    let (reason, message) = match (defaults.next(), defaults.next()) {
        (Some(only), None) => return Ok(Some(only)),
        (None, _) => (Reason::NoDefaultConnection, "names no cluster, and no KafkaConnection is marked as default"),
        (Some(_), Some(_)) => {
            (Reason::SeveralDefaultConnections, "names no cluster, and several KafkaConnections are marked as default")
        }
    };
    problems.add(
        reason,
        "spec.kafka",
        format!(
            "{message}: set connectionRef or bootstrapServers, or ask the platform team to annotate exactly one \
             KafkaConnection with {ANNOTATION_DEFAULT_CONNECTION}: \"true\""
        ),
    );
    Err(Reported)
}

/// Whether the connection is for endpoints that name none.
pub(super) fn is_default(connection: &KafkaConnection) -> bool {
    let annotations = connection.metadata.annotations.as_ref();
    annotations.and_then(|a| a.get(ANNOTATION_DEFAULT_CONNECTION)).is_some_and(|value| value == "true")
}

/// Says nothing that the endpoint does not say itself.
fn not_allowed(request: &Request<'_>) -> String {
    let Request { namespace, topic, .. } = request;
    let connection = match &request.spec.kafka.connection_ref {
        Some(reference) => format!("the KafkaConnection {} does not exist, or", reference.name),
        None => "the default KafkaConnection".to_owned(),
    };
    format!(
        "{connection} does not allow the namespace {namespace} to stream the topic {topic}: ask the platform team to \
         allow it, or correct spec.topic and spec.kafka"
    )
}

/// Whether the entry is for a namespace with these labels. A selector that Kubernetes would not accept selects nothing.
fn selects(allowed: &Allowed, labels: &BTreeMap<String, String>) -> bool {
    let selector = &allowed.namespaces.selector;
    let lists_values = selector.match_expressions.iter().flatten().all(|requirement| {
        let has_values = requirement.values.as_ref().is_some_and(|values| !values.is_empty());
        has_values == matches!(requirement.operator.as_str(), "In" | "NotIn")
    });
    lists_values && Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}

/// Whether one of the patterns allows the topic. A pattern outside its limits allows nothing.
pub(super) fn matches_any(patterns: &[TopicPattern], request: &Request<'_>, topic: &str) -> bool {
    let matches = |p: &TopicPattern| p.check().is_ok() && p.matches(request.namespace, request.app, topic);
    patterns.iter().any(matches)
}

/// Why a connection cannot be used by anybody.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("its SASL mechanism OAuthBearer is not offered by gateways of this version")]
    Mechanism,
    #[error("it has credentials for the namespace and no sasl.mechanism to use them with")]
    CredentialsWithoutMechanism,
}

fn cluster(request: &Request<'_>, connection: &KafkaConnection, allowed: &Allowed) -> Result<Kafka, Unusable> {
    let spec = &connection.spec;
    spec.bootstrap_servers.check()?;
    Ok(Kafka {
        bootstrap_servers: spec.bootstrap_servers.clone(),
        topic: request.topic.clone(),
        tls: spec.tls.as_ref().map(tls).transpose()?,
        sasl: sasl(request, spec.sasl.as_ref(), allowed)?,
        isolation: kafka::isolation(request.spec.kafka.isolation),
        files: KafkaFiles::default(),
    })
}

/// How the connection is encrypted.
pub(super) fn tls(tls: &ConnectionTls) -> Result<KafkaTls, Unusable> {
    let authority = tls.ca_secret_ref.as_ref().map(|ca| {
        ca.key.check()?;
        let secret = NamespacedSecretRef { namespace: ca.namespace.clone(), name: ca.name.clone() };
        Ok::<_, Unusable>(SecretEntry { secret: location(&secret)?, key: ca.key.clone() })
    });
    let client_certificate = tls.client_cert_secret_ref.as_ref().map(location);
    Ok(KafkaTls { authority: authority.transpose()?, client_certificate: client_certificate.transpose()? })
}

fn sasl(
    request: &Request<'_>,
    sasl: Option<&ConnectionSasl>,
    allowed: &Allowed,
) -> Result<Option<KafkaSasl>, Unusable> {
    let Some(sasl) = sasl else {
        // Going on without a log-in would be another user than the platform team meant.
        let wanted = allowed.credentials_secret_ref.is_some();
        return if wanted { Err(Unusable::CredentialsWithoutMechanism) } else { Ok(None) };
    };
    let credentials = match &allowed.credentials_secret_ref {
        Some(own) => {
            own.name.check()?;
            let name = own.name.fill(request.namespace, request.app)?;
            location(&NamespacedSecretRef { namespace: own.namespace.clone(), name })?
        }
        None => location(&sasl.credentials_secret_ref)?,
    };
    let mechanism = kafka::mechanism(sasl.mechanism).ok_or(Unusable::Mechanism)?;
    Ok(Some(KafkaSasl { mechanism, credentials }))
}

/// Where a Secret is.
pub(super) fn location(secret: &NamespacedSecretRef) -> Result<SecretLocation, Unusable> {
    secret.namespace.check()?;
    secret.name.check()?;
    Ok(SecretLocation { namespace: secret.namespace.clone(), name: secret.name.clone() })
}

#[cfg(test)]
mod tests;
