//! `Ready`, and the conditions that are there only while they are true.
//!
//! Owns which of several findings is the one to act on: causes come before what they cause. Follows kstatus: `Stalled`
//! means that waiting is useless, `Reconciling` that it is not over.

use super::Outcome;
use super::available;
use super::finding::{Finding, Truth, capitalized, sentence};
use super::rollout::Rollout;
use super::view::View;
use headgate_crds::reasons::{ConditionType, Reason};
use headgate_crds::v1alpha1::{AuthMode, KeyState};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

type Findings = [(ConditionType, Finding); 4];

/// What keeps clients from connecting, the first that finds something.
const CHAIN: [fn(&View<'_>, &Findings) -> Option<Finding>; 9] = [
    not_applied,
    stopped,
    // Pods do not become ready without Kafka or the keys for tokens, and then that is what to look at.
    kafka_fails,
    tokens_cannot_be_checked,
    too_few_pods,
    not_rolled_out,
    not_begun,
    credentials,
    not_exposed,
];

/// Whether a client can connect now.
pub(super) fn ready(view: &View<'_>, findings: &Findings) -> Finding {
    let problem = CHAIN.iter().find_map(|check| check(view, findings));
    problem.unwrap_or_else(|| Finding::yes(Reason::Serving, "Clients can connect."))
}

/// `Reconciling`, `Stalled` and `ReconciliationPaused`, as far as they hold.
pub(super) fn abnormal(view: &View<'_>, ready: &Condition) -> Vec<(ConditionType, Finding)> {
    let mut found = Vec::new();
    let reason = Reason::parse(&ready.reason).unwrap_or(Reason::Progressing);
    let message = ready.message.clone();
    if let Outcome::Paused = view.observation.outcome {
        let message = format!("The operator leaves the children alone. {}", Reason::PausedByUser.remedy());
        found.push((ConditionType::ReconciliationPaused, Finding::yes(Reason::PausedByUser, message)));
    } else if ready.status == Truth::False.as_str() && is_stalled(reason) {
        found.push((ConditionType::Stalled, Finding::yes(reason, message)));
    } else if ready.status == Truth::False.as_str() && is_in_flight(reason) {
        found.push((ConditionType::Reconciling, Finding::yes(reason, message)));
    } else if let Outcome::Failed { reason, message } = view.observation.outcome {
        found.push((ConditionType::Reconciling, Finding::yes(reason, capitalized(&sentence(message)))));
    } else if is_rolling(&view.rollout) && !view.is_stopped() {
        let finding = Finding::yes(Reason::RolloutInProgress, "New gateway pods are starting.");
        found.push((ConditionType::Reconciling, finding));
    }
    found
}

fn is_stalled(reason: Reason) -> bool {
    reason.needs_change() || reason == Reason::RolloutFailed
}

fn is_in_flight(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Progressing
            | Reason::ApiServerError
            | Reason::QuotaExceeded
            | Reason::RolloutInProgress
            | Reason::KafkaNotProbed
            | Reason::RoutePending
            | Reason::CertificatePending
    )
}

fn is_rolling(rollout: &Rollout) -> bool {
    matches!(rollout, Rollout::Unobserved | Rollout::InProgress { .. })
}

/// The spec could not be turned into children. What failed for the moment is no news to clients that are served already.
fn not_applied(view: &View<'_>, _: &Findings) -> Option<Finding> {
    match view.observation.outcome {
        Outcome::Invalid(invalid) => {
            let reason = invalid.problems.first().map_or(Reason::InvalidSpec, |problem| problem.reason);
            Some(Finding::no_as_told(reason, capitalized(&invalid.to_string())))
        }
        Outcome::Failed { reason, .. } if !reason.needs_change() && view.was_ready() => None,
        Outcome::Failed { reason, message } => Some(Finding::no(reason, capitalized(message))),
        Outcome::Paused if view.deployment.is_none() => {
            Some(Finding::no(Reason::PausedByUser, "Nothing has been made for the endpoint"))
        }
        Outcome::Applied { .. } | Outcome::Paused => None,
    }
}

fn stopped(view: &View<'_>, findings: &Findings) -> Option<Finding> {
    view.is_stopped().then(|| found(findings, ConditionType::Available).clone())
}

fn kafka_fails(_: &View<'_>, findings: &Findings) -> Option<Finding> {
    failing(findings, ConditionType::KafkaReady)
}

/// Where keys are accepted too, they go on without a provider.
fn tokens_cannot_be_checked(view: &View<'_>, _: &Findings) -> Option<Finding> {
    let spec = &view.observation.object.spec;
    let pods = view.pods();
    let reports = pods.iter().filter_map(|pod| pod.report.as_ref());
    let problems: Vec<&str> = reports.map(|report| report.provider_problem.as_deref()).collect::<Option<_>>()?;
    let problem = problems.first().filter(|_| spec.auth.mode == AuthMode::Oidc)?;
    let what = "The gateway pods cannot check tokens, because they have no keys of the identity provider";
    let finding = Finding::no(Reason::ProviderUnavailable, what);
    Some(finding.said_by_a_pod(Some(problem), view.told(ConditionType::Ready)))
}

fn too_few_pods(_: &View<'_>, findings: &Findings) -> Option<Finding> {
    failing(findings, ConditionType::Available)
}

/// Old pods serve, but not what this generation asks for. A rollout for another reason harms nobody unless it is stuck.
fn not_rolled_out(view: &View<'_>, _: &Findings) -> Option<Finding> {
    let name = view.deployment.and_then(|deployment| deployment.metadata.name.as_deref()).unwrap_or_default();
    if let Some(stuck) = available::stuck(view, &view.rollout, name) {
        return Some(stuck);
    }
    let is_news = is_rolling(&view.rollout) && !view.was_ready();
    is_news.then(|| Finding::no(Reason::RolloutInProgress, format!("Deployment {name} is replacing its gateway pods")))
}

/// A pod is ready only once it reads the topic, so that ready pods which do not answer the operator hold nothing up.
fn not_begun(view: &View<'_>, findings: &Findings) -> Option<Finding> {
    let kafka = found(findings, ConditionType::KafkaReady);
    let nobody_is_ready = !view.pods().iter().any(|pod| pod.ready);
    (kafka.truth == Truth::Unknown && nobody_is_ready).then(|| Finding { truth: Truth::False, ..kafka.clone() })
}

/// A key that has expired is as its owner wanted it; what matters is that another one, or a token, can be used.
fn credentials(view: &View<'_>, findings: &Findings) -> Option<Finding> {
    let finding = found(findings, ConditionType::CredentialsReady);
    let any_key = super::keys(view).iter().any(|key| matches!(key.state, KeyState::Active | KeyState::Rotating));
    let spec = &view.observation.object.spec;
    let opens = any_key || spec.auth.mode.accepts_tokens() || spec.public_access.anonymous;
    let harmless = finding.reason == Reason::KeyExpired && opens;
    (finding.truth != Truth::True && !harmless).then(|| Finding { truth: Truth::False, ..finding.clone() })
}

fn not_exposed(_: &View<'_>, findings: &Findings) -> Option<Finding> {
    failing(findings, ConditionType::Exposed)
}

fn failing(findings: &Findings, type_: ConditionType) -> Option<Finding> {
    Some(found(findings, type_)).filter(|finding| finding.truth == Truth::False).cloned()
}

fn found(findings: &Findings, type_: ConditionType) -> &Finding {
    let position = findings.iter().position(|(found, _)| *found == type_).unwrap_or_default();
    &findings[position].1
}
