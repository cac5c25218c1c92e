//! A Lease as data, and what to write into it next. Pure: the wall clock is an argument, and only written for people to
//! read.

use super::candidate::{Decision, Timing};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use std::time::Duration;

/// Duration in a Lease that was given back, in seconds: the shortest that the API accepts.
const RELEASED_SECONDS: i32 = 1;

/// What matters of a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who holds it.
    pub holder: Option<String>,
    /// For how long after its last change it is the holder's.
    pub duration: Duration,
    /// `metadata.resourceVersion`, which every write changes.
    pub version: String,
}

/// The record in a Lease. A Lease that says nothing about its duration has ours.
pub fn of(lease: &Lease, timing: &Timing) -> Record {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: spec.and_then(|spec| spec.holder_identity.clone()).filter(|holder| !holder.is_empty()),
        duration: seconds.map_or(timing.lease, Duration::from_secs),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

/// The Lease that carries out a decision, or `None` if there is nothing to write. Made from the Lease that was found, so
/// that what others put there stays and the API server refuses it if somebody was faster.
pub fn next(decision: Decision, found: Option<&Lease>, me: &str, timing: &Timing, now: Timestamp) -> Option<Lease> {
    let mut lease = found.cloned().unwrap_or_default();
    let spec = lease.spec.get_or_insert_default();
    match decision {
        Decision::Wait { .. } => return None,
        Decision::Renew => {}
        Decision::Create | Decision::Acquire => {
            spec.lease_transitions = Some(match decision {
                Decision::Create => 0,
                _ => spec.lease_transitions.unwrap_or(0).saturating_add(1),
            });
            spec.acquire_time = Some(MicroTime(now));
        }
    }
    spec.holder_identity = Some(me.to_owned());
    spec.lease_duration_seconds = Some(i32::try_from(timing.lease.as_secs()).unwrap_or(i32::MAX));
    spec.renew_time = Some(MicroTime(now));
    Some(lease)
}

/// The Lease given back, or `None` if it is not `me` who holds it.
pub fn released(found: &Lease, me: &str, now: Timestamp) -> Option<Lease> {
    let spec = found.spec.as_ref().filter(|spec| spec.holder_identity.as_deref() == Some(me))?;
    let spec = LeaseSpec {
        holder_identity: None,
        lease_duration_seconds: Some(RELEASED_SECONDS),
        renew_time: Some(MicroTime(now)),
        ..spec.clone()
    };
    Some(Lease { spec: Some(spec), ..found.clone() })
}

/// A Lease of this name, still without an owner of any kind.
pub fn named(namespace: &str, name: &str) -> Lease {
    let metadata =
        ObjectMeta { name: Some(name.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() };
    Lease { metadata, spec: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn lease(decision: Decision, found: &Lease, me: &str, second: i64) -> Lease {
        next(decision, Some(found), me, &Timing::default(), at(second)).unwrap()
    }

    #[test]
    fn a_renewal_changes_the_time_only_and_an_acquisition_counts_a_transition() {
        let mut created = lease(Decision::Create, &named("headgate", "operator"), "a", 100);
        created.metadata.resource_version = Some("7".to_owned());
        created.metadata.labels = Some([("team".to_owned(), "platform".to_owned())].into());
        let renewed = lease(Decision::Renew, &created, "a", 102);
        let (before, after) = (created.spec.clone().unwrap(), renewed.spec.clone().unwrap());
        assert_eq!(LeaseSpec { renew_time: before.renew_time.clone(), ..after.clone() }, before);
        assert_eq!(after.renew_time, Some(MicroTime(at(102))));
        let taken = lease(Decision::Acquire, &renewed, "b", 130);
        assert_eq!(taken.metadata, created.metadata, "what others put there stays, and so does the version");
        let spec = taken.spec.unwrap();
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("b"), Some(1)));
        assert_eq!(spec.acquire_time, Some(MicroTime(at(130))));
    }

    #[test]
    fn only_the_holder_gives_a_lease_back_and_then_nobody_holds_it() {
        let held = lease(Decision::Create, &named("headgate", "operator"), "a", 100);
        assert_eq!(released(&held, "b", at(101)), None);
        let free = released(&held, "a", at(101)).unwrap();
        assert_eq!(of(&free, &Timing::default()).holder, None);
        assert_eq!(free.spec.unwrap().lease_duration_seconds, Some(1), "0 would be refused by the API");
    }

    #[test]
    fn a_wait_writes_nothing() {
        let wait = Decision::Wait { remaining: Duration::from_secs(1) };
        assert_eq!(next(wait, None, "a", &Timing::default(), at(1)), None);
    }

    #[test]
    fn an_empty_holder_is_none_and_a_missing_duration_is_ours() {
        let spec = LeaseSpec { holder_identity: Some(String::new()), ..LeaseSpec::default() };
        let record = of(&Lease { spec: Some(spec), ..Lease::default() }, &Timing::default());
        assert_eq!((record.holder, record.duration), (None, Timing::default().lease));
    }
}
