//! `Available`: enough gateway pods accept clients.

use super::finding::Finding;
use super::rollout::{Rollout, desired};
use super::view::View;
use headgate_crds::reasons::Reason;

/// How many pods may be missing: as many as a disruption budget lets go at once. One pod is always needed.
const TOLERATED_MISSING: i32 = 1;

/// What a container waits for while all is well.
const NORMAL_WAITS: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// From the Deployment.
pub(super) fn check(view: &View<'_>) -> Finding {
    if view.is_stopped() {
        return Finding::no(Reason::Stopped, "No gateway pod runs, because spec.stopped is true");
    }
    let Some(deployment) = view.deployment else {
        return Finding::no_as_told(
            Reason::ReplicasUnavailable,
            "No gateway pod runs, because there is no Deployment.",
        );
    };
    let desired = desired(deployment);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default();
    if desired == 0 {
        let message = "No gateway pod runs, because spec.replicas is 0; raise it to serve clients.";
        return Finding::no_as_told(Reason::ReplicasUnavailable, message);
    }
    if ready >= (desired - TOLERATED_MISSING).max(1) {
        return Finding::yes(Reason::ReplicasReady, format!("{ready} of {desired} gateway pods accept clients."));
    }
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    lacking(view, name, &format!("{ready} of {desired} gateway pods of Deployment {name} accept clients"))
}

/// Why there are too few pods, as far as the Deployment knows.
fn lacking(view: &View<'_>, name: &str, count: &str) -> Finding {
    match &view.rollout {
        rollout @ (Rollout::OverQuota(_) | Rollout::Denied(_) | Rollout::Failed(_)) => {
            stuck(view, rollout, name).unwrap_or_else(|| Finding::no(Reason::ReplicasUnavailable, count))
        }
        Rollout::Unobserved | Rollout::InProgress { .. } => Finding::no(
            Reason::RolloutInProgress,
            format!("{count}, and new ones are starting{}", waiting(view, false)),
        ),
        Rollout::Absent | Rollout::Settled => {
            Finding::no(Reason::ReplicasUnavailable, format!("{count}{}", waiting(view, false)))
        }
    }
}

/// A rollout that does not go on, whether or not older pods still serve.
pub(super) fn stuck(view: &View<'_>, rollout: &Rollout, name: &str) -> Option<Finding> {
    match rollout {
        Rollout::OverQuota(why) => {
            Some(Finding::no(Reason::QuotaExceeded, format!("The pods of Deployment {name} are refused: {why}")))
        }
        Rollout::Denied(why) => {
            Some(Finding::no(Reason::AdmissionDenied, format!("The pods of Deployment {name} are refused: {why}")))
        }
        Rollout::Failed(why) => {
            let waiting = waiting(view, true);
            let why = why.trim_end_matches('.');
            Some(Finding::no(
                Reason::RolloutFailed,
                format!("The new pods of Deployment {name} do not become ready: {why}{waiting}"),
            ))
        }
        Rollout::Absent | Rollout::Unobserved | Rollout::InProgress { .. } | Rollout::Settled => None,
    }
}

/// What the first container that does not run waits for; what is normal only where it has lasted too long.
fn waiting(view: &View<'_>, even_normal: bool) -> String {
    let reason = view.pods().into_iter().filter_map(|pod| pod.waiting.as_deref());
    let reason = reason.filter(|reason| even_normal || !NORMAL_WAITS.contains(reason)).map(|reason| match reason {
        // The kubelet says both in turn.
        "ErrImagePull" => "ImagePullBackOff",
        other => other,
    });
    reason.min().map(|reason| format!(" ({reason})")).unwrap_or_default()
}
