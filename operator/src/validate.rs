//! The only reader of the spec: from what a user wrote, and what it points at, to a model that builders may trust.
//!
//! Owns the order of the checks and the list of problems. Must never stop at the first problem, and must never let a
//! value into the model that was not checked: dev mode and objects that were stored under older rules have not passed
//! the API server of today.
//!
//! | module | refuses |
//! |---|---|
//! | `schema` | what the API server refuses, with its own rules |
//! | `offered` | what the API has and the gateways of this version do not |
//! | `connection`, `guardrails` | what the platform team does not allow |
//! | `conflicts` | what another endpoint has already |
//! | `secrets` | Secrets that are missing or cannot be used |
//! | `kafka`, `stream`, `auth`, `tokens`, `access` | values that their section of the model cannot hold |
//! | `platform` | a `KafkaConnection` by itself |

mod access;
mod auth;
mod conflicts;
mod connection;
mod filters;
mod guardrails;
mod kafka;
mod offered;
mod platform;
mod schema;
mod secrets;
mod stream;
mod tokens;

pub use platform::{connection_problems, connection_secrets};
pub use secrets::wanted_secrets;

use crate::model::{Endpoint, Rotation};
use crate::references::References;
use headgate_crds::reasons::Reason;
use headgate_crds::types::{AppName, EndpointName, InvalidName, NamespaceName, Text, TopicName};
use headgate_crds::v1alpha1::{self as api, Limits, StreamEndpointSpec};
use headgate_crds::{StreamEndpoint, names};
use std::fmt;

/// One thing that is wrong with an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, like `spec.auth.apiKeys[0].name`.
    pub field: String,
    /// What is wrong, and what to do about it.
    pub message: String,
    /// The word for it in conditions, events and metrics.
    pub reason: Reason,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// An endpoint that cannot be built as it is; only a change by somebody can help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the StreamEndpoint cannot be used: {}", sentences(problems))]
pub struct Invalid {
    /// All problems that could be found, by field: at least one.
    pub problems: Vec<Problem>,
}

fn sentences(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// There is no value, and the list of problems says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reported;

/// A part of the model. Whoever has several of them makes all before it uses one, so that no problem hides another.
type Parsed<T> = Result<T, Reported>;

/// What is wrong so far.
#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    /// Something that the schema refuses too, or that cannot work.
    fn invalid(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.add(Reason::InvalidSpec, field, message);
    }

    fn add(&mut self, reason: Reason, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into(), reason });
    }

    /// A value that was deserialized, and therefore not checked yet.
    fn text<T: Text + Clone>(&mut self, field: impl Into<String>, value: &T) -> Parsed<T> {
        self.name(field, value.check().map(|()| value.clone()))
    }

    fn name<T>(&mut self, field: impl Into<String>, name: Result<T, InvalidName>) -> Parsed<T> {
        name.map_err(|error| {
            self.invalid(field, error.to_string());
            Reported
        })
    }

    /// In an order that depends on nothing but the problems, or the status would change without a cause.
    fn into_invalid(mut self) -> Invalid {
        self.0.sort_by(|a, b| (&a.field, &a.message).cmp(&(&b.field, &b.message)));
        // Sections that depend on the same value report it each.
        self.0.dedup();
        Invalid { problems: self.0 }
    }

    /// Whether the field, or one that it is part of, is already reported as invalid.
    fn covers(&self, field: &str) -> bool {
        let within = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
        self.0.iter().any(|problem| {
            problem.reason == Reason::InvalidSpec && field.strip_prefix(problem.field.as_str()).is_some_and(within)
        })
    }
}

/// The endpoint as builders need it, or everything that is wrong with it.
///
/// # Errors
///
/// Every problem of the endpoint at once. Rules that relate fields to each other are, as in the API server, only judged
/// once every field has the right shape.
pub fn validate(endpoint: &StreamEndpoint, references: &References) -> Result<Endpoint, Invalid> {
    let mut problems = Problems::default();
    let model = parse(endpoint, references, &mut problems);
    offered::check(&endpoint.spec, &mut problems);
    schema::check(endpoint, &mut problems);
    match model {
        Ok(model) if problems.0.is_empty() => Ok(model),
        _ => Err(problems.into_invalid()),
    }
}

fn parse(endpoint: &StreamEndpoint, references: &References, problems: &mut Problems) -> Parsed<Endpoint> {
    let spec = &endpoint.spec;
    let name = name(endpoint, problems);
    let namespace = namespace(endpoint, problems);
    let app = problems.text("spec.app", &spec.app);
    let topic = problems.text("spec.topic", &spec.topic);
    let stream = stream::parse(&spec.stream, problems);
    let auth = auth::parse(&spec.auth, references, problems);
    let public_access = access::parse(&spec.public_access, problems);
    let exposure = access::exposure(&spec.public_access, problems);
    // What may be used, and what is taken, depends on all three.
    let (Ok(namespace), Ok(app), Ok(topic)) = (namespace, app, topic) else { return Err(Reported) };
    let request = Request { namespace: &namespace, app: &app, topic: &topic, spec, references };
    conflicts::check(&request, problems);
    let kafka = kafka::parse(&request, problems).and_then(|cluster| secrets::log_in(&request, cluster, problems));
    let certificate = secrets::certificate(&request, problems);
    let authority = secrets::provider_authority(&request, problems);
    let kafka = kafka?;
    Ok(Endpoint {
        name: name?,
        uid: endpoint.metadata.uid.clone().unwrap_or_default(),
        kafka,
        stream: stream?,
        auth: tokens::with_authority(auth?, authority?),
        public_access: public_access?,
        certificate: certificate?,
        exposure: exposure?,
        limits: limits(&spec.limits),
        drain_seconds: unsigned(spec.drain_seconds),
        replicas: if spec.stopped { 0 } else { unsigned(spec.replicas) },
        stopped: spec.stopped,
        pod: spec.pod.clone(),
        rotation: spec.auth.rotation.map(rotation),
        namespace,
        app,
    })
}

/// What is asked for, by whom, and what there is.
#[derive(Debug, Clone, Copy)]
struct Request<'a> {
    namespace: &'a NamespaceName,
    app: &'a AppName,
    topic: &'a TopicName,
    spec: &'a StreamEndpointSpec,
    references: &'a References,
}

fn name(endpoint: &StreamEndpoint, problems: &mut Problems) -> Parsed<EndpointName> {
    let name = endpoint.metadata.name.as_deref().unwrap_or_default();
    problems.name("metadata.name", names::endpoint(name))
}

fn namespace(endpoint: &StreamEndpoint, problems: &mut Problems) -> Parsed<NamespaceName> {
    let Some(namespace) = &endpoint.metadata.namespace else {
        problems.invalid("metadata.namespace", "is missing: say in which namespace the endpoint is");
        return Err(Reported);
    };
    problems.name("metadata.namespace", NamespaceName::new(namespace))
}

/// The texts of a list at `field`.
fn texts<T: Text + Clone + Into<String>>(field: &str, list: &[T], problems: &mut Problems) -> Parsed<Vec<String>> {
    let checked = list.iter().enumerate().map(|(index, text)| problems.text(format!("{field}[{index}]"), text));
    let checked: Vec<_> = checked.map(|text| text.map(Into::into)).collect();
    checked.into_iter().collect()
}

fn limits(limits: &Limits) -> headgate_wire::config::Limits {
    headgate_wire::config::Limits {
        max_connections: unsigned(limits.max_connections),
        max_connections_per_key: unsigned(limits.max_connections_per_key),
        max_connections_per_address: unsigned(limits.max_connections_per_address),
        max_inbound_bytes: unsigned(limits.max_inbound_bytes),
        handshakes_per_second: unsigned(limits.handshakes_per_second),
        idle_timeout_seconds: unsigned(limits.idle_timeout_seconds),
        ping_seconds: unsigned(limits.ping_seconds),
        max_connection_age_seconds: unsigned(limits.max_connection_age_seconds),
    }
}

fn rotation(rotation: api::Rotation) -> Rotation {
    Rotation { after_seconds: unsigned(rotation.after_seconds), overlap_seconds: unsigned(rotation.overlap_seconds) }
}

/// A number as the gateway has it. `schema` reports the negative ones with all others that are out of range.
fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests;
