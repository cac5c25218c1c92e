//! When an object is looked at again.
//!
//! Owns the times. Pure but for the count of failures. Must never yield zero, or a broken object would be a hot loop, nor
//! the same time for all objects, or they would all come at once.

use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// First wait after a failure.
const FIRST: Duration = Duration::from_secs(1);
/// Longest wait after a failure.
const LONGEST: Duration = Duration::from_mins(5);
/// Share of a wait by which objects differ, in percent.
const JITTER_PERCENT: u32 = 20;

/// How often each object has failed since it last succeeded. At most one entry for each object that exists, because
/// those that succeed or are gone are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

impl Backoff {
    /// The object failed: how long to wait before the next attempt.
    pub(crate) fn failed(&self, object: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(object.to_owned()).or_default();
        *count = count.saturating_add(1);
        wait(object, *count)
    }

    /// The object succeeded, or is gone.
    pub(crate) fn forget(&self, object: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

/// Wait after this many failures in a row, at least one: 1 s, 2 s, 4 s … 5 min, a little less for some objects.
fn wait(object: &str, failures: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    spread(doubled.min(LONGEST), object, failures)
}

/// The time less up to a fifth of it. What it is less follows from the object and the round alone, so that objects differ
/// from each other and a test knows what comes.
pub(crate) fn spread(time: Duration, object: &str, round: u32) -> Duration {
    let digest = Sha256::new().chain_update(object).chain_update(round.to_be_bytes()).finalize();
    let percent = u32::from(digest[0]) * JITTER_PERCENT / u32::from(u8::MAX);
    time.saturating_sub(time * percent / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_doubles_the_wait_up_to_five_minutes() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..40).map(|_| backoff.failed("shop/orders")).collect();
        for (index, wait) in waits.iter().enumerate() {
            let full = FIRST.saturating_mul(1_u32.checked_shl(index as u32).unwrap_or(u32::MAX)).min(LONGEST);
            assert!(*wait <= full && *wait >= full * (100 - JITTER_PERCENT) / 100, "{index}: {wait:?} of {full:?}");
        }
    }

    #[test]
    fn a_success_begins_anew() {
        let backoff = Backoff::default();
        let first = backoff.failed("shop/orders");
        backoff.failed("shop/orders");
        backoff.forget("shop/orders");
        assert_eq!(backoff.failed("shop/orders"), first);
        assert_eq!(backoff.failures.lock().unwrap().len(), 1);
    }

    #[test]
    fn objects_that_fail_together_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<_> =
            (0..50).map(|index| spread(LONGEST, &format!("shop/{index}"), 1)).collect();
        assert!(waits.len() > 15, "{waits:?}");
    }
}
