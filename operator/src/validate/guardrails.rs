//! What an entry of a `KafkaConnection` lets an endpoint do beyond reading the topic.
//!
//! Must only be asked about an entry that allows the endpoint's namespace and topic: before that, guardrails are nobody's
//! business.

use super::{Problem, Problems, Request, connection};
use crate::references::Neighbour;
use headgate_crds::reasons::Reason;
use headgate_crds::types::{HostnamePattern, Text};
use headgate_crds::v1alpha1::{Allowed, AnonymousAccess, Guardrails, KafkaConnection, PublicAccess};

/// Host name patterns that a message lists.
const LISTED_PATTERNS: usize = 5;
/// Last part of every message.
const ASK: &str = "or ask the platform team to widen the guardrails";

/// What the endpoint asks for beyond the entry.
pub(super) fn violations(request: &Request<'_>, connection: &KafkaConnection, allowed: &Allowed) -> Vec<Problem> {
    let mut problems = Problems::default();
    publish(request, allowed, &mut problems);
    let Guardrails { max_endpoints, max_replicas_per_endpoint, anonymous, .. } = &allowed.guardrails;
    let access = &request.spec.public_access;
    if !usize::try_from(*max_endpoints).is_ok_and(|most| earlier_endpoints(request, connection) < most) {
        let message = format!(
            "the KafkaConnection allows a namespace {max_endpoints} StreamEndpoints, and {} has them: delete one, {ASK}",
            request.namespace
        );
        problems.add(Reason::GuardrailExceeded, "spec.kafka", message);
    }
    let replicas = request.spec.replicas;
    if replicas > *max_replicas_per_endpoint {
        let message =
            format!("is {replicas}, and the KafkaConnection allows {max_replicas_per_endpoint}: lower it, {ASK}");
        problems.add(Reason::GuardrailExceeded, "spec.replicas", message);
    }
    if access.anonymous && *anonymous == AnonymousAccess::Forbidden {
        let message = format!("the KafkaConnection does not allow anonymous callers: set it to false, {ASK}");
        problems.add(Reason::GuardrailExceeded, "spec.publicAccess.anonymous", message);
    }
    exposure(access, &allowed.guardrails, &mut problems);
    hostname(request, &allowed.guardrails.hostnames, &mut problems);
    problems.0
}

/// Endpoints of the namespace that came before this one and use the same connection, whether they name it or not.
fn earlier_endpoints(request: &Request<'_>, connection: &KafkaConnection) -> usize {
    let uses_it = |neighbour: &&Neighbour| match &neighbour.connection {
        _ if neighbour.own_cluster || neighbour.namespace != request.namespace.as_str() => false,
        Some(name) => connection.metadata.name.as_ref() == Some(name),
        None => connection::is_default(connection),
    };
    request.references.earlier.iter().filter(uses_it).count()
}

fn publish(request: &Request<'_>, allowed: &Allowed, problems: &mut Problems) {
    let Some(publish) = &request.spec.stream.publish else { return };
    if problems.text("spec.stream.publish.topic", &publish.topic).is_err() {
        return;
    }
    if !connection::matches_any(&allowed.publish_topics, request, publish.topic.as_str()) {
        let message = format!(
            "the KafkaConnection does not allow the namespace {} to publish to the topic {}: ask the platform team to \
             allow it, or correct the topic",
            request.namespace, publish.topic
        );
        problems.add(Reason::TopicNotAllowed, "spec.stream.publish.topic", message);
    }
}

fn exposure(access: &PublicAccess, guardrails: &Guardrails, problems: &mut Problems) {
    if !guardrails.exposures.contains(&access.exposure) {
        let offered: Vec<_> = guardrails.exposures.iter().map(|exposure| exposure.as_str()).collect();
        let (offered, asked) = (offered.join(", "), access.exposure.as_str());
        let message = format!("is {asked}, and the KafkaConnection allows {offered}: choose one of them, {ASK}");
        problems.add(Reason::GuardrailExceeded, "spec.publicAccess.exposure", message);
    }
}

fn hostname(request: &Request<'_>, patterns: &[HostnamePattern], problems: &mut Problems) {
    let Some(hostname) = &request.spec.public_access.hostname else { return };
    if problems.text("spec.publicAccess.hostname", hostname).is_err() {
        return;
    }
    let matches = |p: &HostnamePattern| p.check().is_ok() && p.matches(request.namespace, request.app, hostname);
    if patterns.iter().any(matches) {
        return;
    }
    let mut listed: Vec<_> = patterns.iter().take(LISTED_PATTERNS).map(HostnamePattern::as_str).collect();
    if patterns.len() > LISTED_PATTERNS {
        listed.push("…");
    }
    let offered = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
    let message = format!("is {hostname}, and the KafkaConnection allows {offered}: choose such a name, {ASK}");
    problems.add(Reason::GuardrailExceeded, "spec.publicAccess.hostname", message);
}
