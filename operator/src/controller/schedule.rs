//! When an endpoint is looked at again although nothing has changed.
//!
//! Owns the times. Pure but for the clock. Must never be the only way in which a change is noticed, except of what no
//! watch can show: that brokers answer again, and that a key's time has come.

use super::{Context, backoff::spread};
use crate::keys::KeyPlan;
use headgate_crds::StreamEndpoint;
use headgate_crds::reasons::{ConditionType, Reason};
use headgate_crds::v1alpha1::StreamEndpointStatus;
use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use std::time::Duration;

/// How soon an endpoint is looked at again whose pods do not serve yet, or do not reach Kafka.
const POLL: Duration = Duration::from_secs(10);
/// Shortest time until a key's time has come, so that a clock that is a little early is no loop.
const SHORTEST: Duration = Duration::from_secs(1);

/// In case that a change was missed.
pub(super) fn resync(object: &DeserializeGuard<StreamEndpoint>, context: &Context) -> Action {
    Action::requeue(spread(context.installation.resync, &object.uid().unwrap_or_default(), 0))
}

/// After everything was applied.
pub(super) fn next(
    object: &DeserializeGuard<StreamEndpoint>,
    status: &StreamEndpointStatus,
    plan: &KeyPlan,
    context: &Context,
) -> Action {
    let resync = spread(context.installation.resync, &object.uid().unwrap_or_default(), 0);
    Action::requeue(wait(status, plan.next_change, context.now(), resync))
}

fn wait(status: &StreamEndpointStatus, next_change: Option<Timestamp>, now: Timestamp, resync: Duration) -> Duration {
    let usual = if settles(status) { resync.min(POLL) } else { resync };
    let until = |change: Timestamp| Duration::try_from(change.duration_since(now)).unwrap_or_default().max(SHORTEST);
    next_change.map_or(usual, |change| usual.min(until(change)))
}

/// Whether something is on its way that no watch shows: pods that do not serve yet, or do not reach Kafka.
fn settles(status: &StreamEndpointStatus) -> bool {
    let reason = |type_: ConditionType| {
        let condition = status.conditions.iter().find(|condition| condition.type_ == type_.as_str())?;
        (condition.status != "True").then(|| Reason::parse(&condition.reason))
    };
    let waits = |reason: Option<Reason>| reason.is_none_or(|r| r != Reason::Stopped && !r.needs_change());
    [ConditionType::Available, ConditionType::KafkaReady].into_iter().filter_map(reason).any(waits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    const RESYNC: Duration = Duration::from_mins(5);

    fn status(conditions: &[(ConditionType, &str, Reason)]) -> StreamEndpointStatus {
        let condition = |(type_, status, reason): &(ConditionType, &str, Reason)| Condition {
            type_: type_.as_str().to_owned(),
            status: (*status).to_owned(),
            reason: reason.as_str().to_owned(),
            message: String::new(),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        };
        StreamEndpointStatus {
            conditions: conditions.iter().map(condition).collect(),
            ..StreamEndpointStatus::default()
        }
    }

    fn waits(conditions: &[(ConditionType, &str, Reason)], next_change: Option<i64>) -> Duration {
        let at = |second| Timestamp::from_second(second).unwrap();
        wait(&status(conditions), next_change.map(at), at(1000), RESYNC)
    }

    #[test]
    fn an_endpoint_that_serves_is_left_in_peace() {
        use ConditionType::{Available, KafkaReady};
        let serving = [(Available, "True", Reason::ReplicasReady), (KafkaReady, "True", Reason::KafkaReachable)];
        assert_eq!(waits(&serving, None), RESYNC);
        assert_eq!(
            waits(&[(Available, "False", Reason::Stopped), (KafkaReady, "Unknown", Reason::Stopped)], None),
            RESYNC
        );
    }

    #[test]
    fn one_that_waits_for_pods_or_brokers_is_polled() {
        use ConditionType::{Available, KafkaReady};
        assert_eq!(waits(&[(Available, "False", Reason::RolloutInProgress)], None), POLL);
        assert_eq!(waits(&[(KafkaReady, "False", Reason::KafkaUnreachable)], None), POLL);
        assert_eq!(waits(&[(KafkaReady, "Unknown", Reason::KafkaNotProbed)], None), POLL);
    }

    #[test]
    fn a_key_is_looked_after_when_its_time_has_come() {
        assert_eq!(waits(&[], Some(1060)), Duration::from_mins(1));
        assert_eq!(waits(&[], Some(5000)), RESYNC);
        assert_eq!(waits(&[], Some(10)), SHORTEST);
    }
}
