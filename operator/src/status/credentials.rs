//! `CredentialsReady`: every key that the endpoint lists can be used.

use super::finding::{Finding, Truth};
use super::view::View;
use super::{Outcome, condition};
use crate::keys::{KeyPlan, KeyProblem};
use headgate_crds::reasons::{ConditionType, Reason};
use headgate_crds::v1alpha1::KeyState;

/// From the plan of the keys, once it is carried out.
pub(super) fn check(view: &View<'_>) -> Finding {
    match view.observation.outcome {
        Outcome::Applied { plan, .. } => planned(plan),
        _ => so_far(view),
    }
}

fn planned(plan: &KeyPlan) -> Finding {
    if plan.states.is_empty() {
        return Finding::yes(Reason::KeysNotUsed, "The endpoint has no API keys.");
    }
    let (waiting, wrong): (Vec<&KeyProblem>, Vec<&KeyProblem>) =
        plan.problems.iter().partition(|problem| problem.reason == Reason::RotationPending);
    if let Some(first) = wrong.first() {
        return Finding::no_as_told(first.reason, sentences(&wrong));
    }
    let expired = named(plan, |state| state == KeyState::Expired);
    if !expired.is_empty() {
        return Finding::no(Reason::KeyExpired, format!("These keys have expired: {}", expired.join(", ")));
    }
    // The entropy has failed, or another problem without a sentence.
    let pending = named(plan, |state| matches!(state, KeyState::Pending | KeyState::Conflict));
    if !pending.is_empty() {
        return Finding::no(Reason::Progressing, format!("These keys are not issued yet: {}", pending.join(", ")));
    }
    match waiting.first() {
        Some(_) => Finding::yes(Reason::RotationPending, sentences(&waiting)),
        None => {
            Finding::yes(Reason::KeysIssued, format!("Every key can be used: {}.", named(plan, |_| true).join(", ")))
        }
    }
}

fn named(plan: &KeyPlan, which: impl Fn(KeyState) -> bool) -> Vec<&str> {
    plan.states.iter().filter(|key| which(key.state)).map(|key| key.name.as_str()).collect()
}

fn sentences(problems: &[&KeyProblem]) -> String {
    problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join(" ")
}

/// What was so when the keys were last looked at.
fn so_far(view: &View<'_>) -> Finding {
    let old = condition(view.old, ConditionType::CredentialsReady);
    let known = old.and_then(|old| {
        let truth = if old.status == "True" { Truth::True } else { Truth::False };
        let reason = Reason::parse(&old.reason).filter(|_| old.status != "Unknown")?;
        Some(Finding { truth, reason, message: old.message.clone() })
    });
    known.unwrap_or_else(|| Finding::unknown(Reason::Progressing, "No key has been looked at yet"))
}
