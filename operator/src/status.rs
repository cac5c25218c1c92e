//! The status of a `StreamEndpoint`, computed from what was observed.
//!
//! Owns which conditions there are, and in which order the checks decide about `Ready`. Each check is a pure function of
//! the observation. Must never read or write anything, and must never put something into the status that changes without
//! a cause.
//!
//! | module | owns |
//! |---|---|
//! | `view` | what the checks look at: children of ours, pods that count, the status so far |
//! | `rollout` | what a Deployment says about its pods, as one word |
//! | `available`, `kafka`, `credentials`, `exposed` | one condition each |
//! | `summary` | `Ready`, and what is there only while it is true |
//! | `address` | where clients connect |

mod address;
mod available;
mod credentials;
mod exposed;
mod finding;
mod kafka;
mod rollout;
mod summary;
mod view;

pub use address::url;
pub use rollout::Rollout;

use crate::keys::KeyPlan;
use crate::model;
use crate::probe::GatewayPod;
use crate::resources::{Applied, Existing, Resources};
use crate::validate::Invalid;
use finding::Finding;
use headgate_crds::StreamEndpoint;
use headgate_crds::names;
use headgate_crds::reasons::{ConditionType, Reason};
use headgate_crds::v1alpha1::{Binding, KeyState, KeyStatus, StreamEndpointStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use view::View;

/// How far this reconciliation came.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// The endpoint cannot be built as it is; its children stay as they were.
    Invalid(&'a Invalid),
    /// A step failed.
    Failed {
        /// The word for it.
        reason: Reason,
        /// What failed, as a sentence.
        message: &'a str,
    },
    /// Every child is as it should be.
    Applied {
        /// What was applied.
        endpoint: &'a model::Endpoint,
        /// The API server's answers.
        resources: &'a Resources<Applied>,
        /// The keys.
        plan: &'a KeyPlan,
    },
    /// The annotation asks to leave the children alone.
    Paused,
}

/// Everything that a status follows from.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The endpoint as it was read, with the status that it has.
    pub object: &'a StreamEndpoint,
    /// How far this reconciliation came.
    pub outcome: Outcome<'a>,
    /// The children as they were found.
    pub existing: &'a Existing,
    /// The gateway pods, with their own reports.
    pub pods: &'a [GatewayPod],
    /// The Secret of `publicAccess.tls` is not there, or has no certificate yet.
    pub certificate_missing: bool,
    /// DNS domain of the cluster, like `cluster.local`.
    pub cluster_domain: &'a str,
    /// The time of transitions.
    pub now: Timestamp,
}

/// What judges one condition.
type Check = fn(&View<'_>) -> Finding;

/// What is judged on its own, in the order in which the status lists it. `Ready` comes before, abnormal conditions after.
const CHECKS: [(ConditionType, Check); 4] = [
    (ConditionType::Available, available::check),
    (ConditionType::KafkaReady, kafka::check),
    (ConditionType::CredentialsReady, credentials::check),
    (ConditionType::Exposed, exposed::check),
];

/// The status that the endpoint should have. Conditions whose status did not change keep the time of their transition.
pub fn compute(observation: &Observation<'_>) -> StreamEndpointStatus {
    let view = View::new(observation);
    let findings = CHECKS.map(|(type_, check)| (type_, check(&view)));
    let mut conditions = vec![view.condition(ConditionType::Ready, &summary::ready(&view, &findings))];
    conditions.extend(findings.iter().map(|(type_, finding)| view.condition(*type_, finding)));
    let ready = conditions[0].clone();
    conditions.extend(summary::abnormal(&view, &ready).into_iter().map(|(type_, found)| view.condition(type_, &found)));
    let deployment = view.deployment.and_then(|deployment| deployment.status.as_ref());
    let keys = keys(&view);
    let name = names::endpoint(observation.object.metadata.name.as_deref().unwrap_or_default());
    StreamEndpointStatus {
        observed_generation: view.generation,
        url: url_of(&view),
        replicas: Some(deployment.and_then(|status| status.replicas).unwrap_or_default()),
        ready_replicas: Some(deployment.and_then(|status| status.ready_replicas).unwrap_or_default()),
        selector: name.ok().map(|name| names::selector_text(&name)),
        binding: binding(&view),
        active_keys: Some(count_active(&keys)),
        keys,
        conditions,
    }
}

/// Whether the status has to be written. Conditions of others in it are theirs and do not count, nor does the order in
/// which the API server lists keys and conditions.
pub fn differs(old: Option<&StreamEndpointStatus>, new: &StreamEndpointStatus) -> bool {
    old.is_none_or(|old| comparable(old) != comparable(new))
}

fn comparable(status: &StreamEndpointStatus) -> StreamEndpointStatus {
    let mut status = status.clone();
    status.keys.sort_by(|a, b| a.name.cmp(&b.name));
    status.conditions.retain(|condition| ConditionType::parse(&condition.type_).is_some());
    status.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
    status
}

/// The condition of a type in a status.
fn condition(status: Option<&StreamEndpointStatus>, type_: ConditionType) -> Option<&Condition> {
    status?.conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

fn url_of(view: &View<'_>) -> Option<String> {
    match view.observation.outcome {
        Outcome::Applied { endpoint, .. } => {
            address::of(endpoint, view.public_service, view.observation.cluster_domain)
        }
        _ if view.is_withdrawn => None,
        _ => view.old.and_then(|status| status.url.clone()),
    }
}

/// The keys of a plan that was carried out, else those of the status so far.
fn keys(view: &View<'_>) -> Vec<KeyStatus> {
    match view.observation.outcome {
        Outcome::Applied { plan, .. } => plan.states.clone(),
        _ => view.old.map(|status| status.keys.clone()).unwrap_or_default(),
    }
}

fn binding(view: &View<'_>) -> Option<Binding> {
    match view.observation.outcome {
        Outcome::Applied { plan, .. } => plan.binding.as_ref().map(|name| Binding { name: name.clone() }),
        _ => view.old.and_then(|status| status.binding.clone()),
    }
}

fn count_active(keys: &[KeyStatus]) -> i32 {
    let active = keys.iter().filter(|key| matches!(key.state, KeyState::Active | KeyState::Rotating)).count();
    i32::try_from(active).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
