//! Asks gateway pods how they stand with Kafka and the identity provider, which nobody else in the cluster knows.
//!
//! Owns the request to a pod's admin port and every bound on it: a pod answers soon and shortly, or has not answered. Must
//! never send anything secret, follow what an answer says, or fail a reconcile: a pod that does not answer is data.

mod http;

pub use http::HttpProbe;

use crate::metrics::ProbeFailure;
use serde::Deserialize;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

/// Most characters of a pod's words that are kept.
const MAX_REASON_CHARACTERS: usize = 512;

/// A gateway pod, as the API server and the pod itself describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPod {
    /// Name.
    pub name: String,
    /// `metadata.uid`: whoever changes the pod means this one and no later one of that name.
    pub uid: String,
    /// Whether Services send clients to it.
    pub ready: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Label `pod-template-hash`: which ReplicaSet made it.
    pub template_hash: Option<String>,
    /// Annotation of the configuration that it runs with.
    pub config_hash: Option<String>,
    /// Annotation of the content that it was last told to reload.
    pub reload_hash: Option<String>,
    /// Annotation `controller.kubernetes.io/pod-deletion-cost`.
    pub deletion_cost: Option<String>,
    /// Why its container does not run, like `ImagePullBackOff`; absent where it does.
    pub waiting: Option<String>,
    /// Where it can be asked; absent before it has an address.
    pub admin: Option<SocketAddr>,
    /// What it says; absent if it did not answer.
    pub report: Option<PodReport>,
}

/// What a gateway pod says about its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodReport {
    /// `Connecting`, `Reading`, `Unreachable`, `TopicNotFound`, `AuthenticationFailed` or `AuthorizationFailed`.
    pub kafka_state: String,
    /// The Kafka client's words, if something is wrong.
    pub kafka_reason: Option<String>,
    /// Why no token can be checked: the gateway's words about the provider. Absent while tokens can be checked, or none
    /// are accepted.
    pub provider_problem: Option<String>,
    /// Clients that are connected.
    pub connections: u64,
}

/// The part of a pod's report that is news when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodState {
    /// As in [`PodReport`].
    pub kafka: String,
    /// Whether no token can be checked.
    pub lacks_provider_keys: bool,
}

/// A pod that did not tell its state.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No connection.
    #[error("failed to connect to {address}")]
    Connect {
        /// The pod's admin port.
        address: SocketAddr,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// No answer within the deadline.
    #[error("{0} did not answer in time")]
    Timeout(SocketAddr),
    /// An answer that is too large, or is not a status.
    #[error("{0} did not answer with the status of a gateway")]
    Answer(SocketAddr),
}

/// The answer of a pod, once it is there.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Result<PodReport, ProbeError>> + Send + 'a>>;

/// Whoever can ask a gateway pod. Tests have one that answers without a network.
pub trait Probe: Send + Sync + fmt::Debug {
    /// Asks the pod whose admin port is at `address` about the stream of `app`.
    fn ask<'a>(&'a self, address: SocketAddr, app: &'a str) -> Asked<'a>;
}

/// What `/status` of a gateway answers, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Answer {
    streams: Vec<Stream>,
}

#[derive(Debug, Deserialize)]
struct Stream {
    app: String,
    kafka: Kafka,
    oidc: Option<Provider>,
    #[serde(default)]
    connections: u64,
}

#[derive(Debug, Deserialize)]
struct Provider {
    /// Keys from before go on while the provider is away.
    usable: bool,
    problem: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Kafka {
    state: String,
    reason: Option<String>,
}

impl ProbeError {
    /// The word for it in metrics.
    pub const fn failure(&self) -> ProbeFailure {
        match self {
            Self::Connect { .. } => ProbeFailure::Connect,
            Self::Timeout(_) => ProbeFailure::Timeout,
            Self::Answer(_) => ProbeFailure::Answer,
        }
    }
}

impl PodReport {
    /// Reads the body of a gateway's `/status`; `None` if it is not one, or is about other apps only, as after a pod's
    /// address has become another pod's.
    pub fn parse(body: &[u8], app: &str) -> Option<Self> {
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let stream = answer.streams.into_iter().find(|stream| stream.app == app)?;
        let provider_problem = stream.oidc.filter(|provider| !provider.usable).and_then(|provider| provider.problem);
        Some(Self {
            kafka_state: shorten(stream.kafka.state),
            kafka_reason: stream.kafka.reason.map(shorten),
            provider_problem: provider_problem.map(shorten),
            connections: stream.connections,
        })
    }

    /// What matters to somebody who asks whether anything has changed.
    pub fn state(&self) -> PodState {
        PodState { kafka: self.kafka_state.clone(), lacks_provider_keys: self.provider_problem.is_some() }
    }
}

fn shorten(text: String) -> String {
    match text.char_indices().nth(MAX_REASON_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"version": "0.1.0", "ready": false, "missing": ["kafka"], "streams": [{"app": "orders",
        "topic": "shop.orders", "kafka": {"state": "TopicNotFound", "reason": "unknown topic", "forSeconds": 3,
        "positions": []}, "connections": 7, "draining": false}]}"#;

    #[test]
    fn the_status_of_a_gateway_is_understood() {
        let told = PodReport::parse(ANSWER.as_bytes(), "orders").unwrap();
        let (kafka_state, kafka_reason) = ("TopicNotFound".to_owned(), Some("unknown topic".to_owned()));
        assert_eq!(told, PodReport { kafka_state, kafka_reason, provider_problem: None, connections: 7 });
    }

    #[test]
    fn a_provider_is_a_problem_only_where_it_was_asked_in_vain_and_no_keys_are_left() {
        for (provider, problem) in [
            (r#"{"usable": false, "problem": "refused"}"#, Some("refused")),
            (r#"{"usable": false, "problem": null}"#, None),
            (r#"{"usable": true, "problem": "refused"}"#, None),
            ("null", None),
        ] {
            let answer = ANSWER.replace("\"connections\"", &format!("\"oidc\": {provider}, \"connections\""));
            let report = PodReport::parse(answer.as_bytes(), "orders").unwrap();
            assert_eq!(
                (report.provider_problem.as_deref(), report.state().lacks_provider_keys),
                (problem, problem.is_some()),
                "{provider}"
            );
        }
    }

    #[test]
    fn the_answer_of_another_app_is_not_taken_for_this_ones() {
        assert_eq!(PodReport::parse(ANSWER.as_bytes(), "payments"), None);
        assert_eq!(PodReport::parse(b"<html>", "orders"), None);
    }

    #[test]
    fn a_pod_cannot_say_more_than_a_status_holds() {
        let answer = ANSWER.replace("unknown topic", &"ä".repeat(10_000));
        let reason = PodReport::parse(answer.as_bytes(), "orders").unwrap().kafka_reason.unwrap();
        assert_eq!(reason.chars().count(), MAX_REASON_CHARACTERS + 1);
    }
}
