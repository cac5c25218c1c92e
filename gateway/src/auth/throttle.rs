//! Slows down whoever guesses keys: a budget of wrong credentials for each client address.
//!
//! Many clients may share an address (a proxy, an office), and after a rotation many of them may repeat the same old key.
//! Repeating a wrong key is no guess, so it costs nothing: only *different* wrong keys use the budget up. Credentials are
//! remembered as keyed 64-bit hashes, whose key dies with the process.

use crate::auth::limits::client_of;
use crate::rejection::{Rejection, RejectionKind};
use jiff::Timestamp;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Different wrong credentials that one address may send in a minute.
pub const WRONG_CREDENTIALS_PER_MINUTE: u32 = 30;
/// Addresses that are remembered; beyond, the one with the oldest failure is forgotten.
pub const MAX_REMEMBERED_ADDRESSES: usize = 4096;
/// Wrong credentials of one address that are recognised when they come again.
const RECENT_CREDENTIALS: usize = 16;
const MILLISECONDS_PER_TOKEN: i64 = 60_000 / WRONG_CREDENTIALS_PER_MINUTE as i64;

/// Counts wrong credentials by client address.
#[derive(Debug, Default)]
pub struct FailureThrottle {
    hasher: RandomState,
    addresses: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    /// The budget is used up while this lies more than a minute ahead; each guess moves it by one token's time.
    owed_until: i64,
    last: i64,
    recent: [u64; RECENT_CREDENTIALS],
    next: usize,
}

impl FailureThrottle {
    /// Refuses an address that has used its budget up, before its credential is looked at.
    pub fn check(&self, address: IpAddr, now: Timestamp) -> Result<(), Rejection> {
        let now = now.as_millisecond();
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let owed = addresses.get(&client_of(address)).map_or(0, |failures| failures.owed_until - now);
        let excess = owed - (60_000 - MILLISECONDS_PER_TOKEN);
        if excess <= 0 {
            return Ok(());
        }
        let message = "too many different wrong credentials came from your address; try again later";
        let seconds = u32::try_from(excess.unsigned_abs().div_ceil(1000)).unwrap_or(u32::MAX);
        Err(Rejection::new(RejectionKind::TooManyFailures, message).retry_after(seconds))
    }

    /// Notes that this credential was wrong.
    pub fn note(&self, address: IpAddr, credential: &str, now: Timestamp) {
        let fingerprint = self.hasher.hash_one(credential);
        let now = now.as_millisecond();
        let client = client_of(address);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= MAX_REMEMBERED_ADDRESSES && !addresses.contains_key(&client) {
            make_room(&mut addresses, now);
        }
        addresses.entry(client).or_insert_with(|| Failures::none(now)).note(fingerprint, now);
    }
}

impl Failures {
    const fn none(now: i64) -> Self {
        Self { owed_until: now, last: now, recent: [0; RECENT_CREDENTIALS], next: 0 }
    }

    fn note(&mut self, fingerprint: u64, now: i64) {
        self.last = now;
        if self.recent.contains(&fingerprint) {
            return;
        }
        self.recent[self.next % RECENT_CREDENTIALS] = fingerprint;
        self.next = (self.next + 1) % RECENT_CREDENTIALS;
        self.owed_until = self.owed_until.max(now) + MILLISECONDS_PER_TOKEN;
    }
}

/// Forgets everybody who owes nothing, or else whoever failed longest ago.
fn make_room(addresses: &mut HashMap<IpAddr, Failures>, now: i64) {
    addresses.retain(|_, failures| failures.owed_until > now);
    if addresses.len() >= MAX_REMEMBERED_ADDRESSES
        && let Some(oldest) = addresses.iter().min_by_key(|(_, failures)| failures.last).map(|(client, _)| *client)
    {
        addresses.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn address(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn guessing_is_stopped_after_the_budget_and_allowed_again_later() {
        let throttle = FailureThrottle::default();
        for guess in 0..WRONG_CREDENTIALS_PER_MINUTE {
            assert!(throttle.check(address(1), NOW).is_ok(), "guess {guess}");
            throttle.note(address(1), &guess.to_string(), NOW);
        }
        let rejection = throttle.check(address(1), NOW).unwrap_err();
        assert_eq!(rejection.kind(), RejectionKind::TooManyFailures);
        let documented = RejectionKind::TooManyFailures.default_retry_after().unwrap();
        assert_eq!(rejection.headers()["retry-after"], documented.to_string());
        assert!(throttle.check(address(2), NOW).is_ok(), "others are not concerned");
        assert!(throttle.check(address(1), NOW + SignedDuration::from_secs(3)).is_ok());
    }

    #[test]
    fn clients_that_repeat_one_revoked_key_never_lock_their_address_out() {
        let throttle = FailureThrottle::default();
        for _ in 0..10 * WRONG_CREDENTIALS_PER_MINUTE {
            throttle.note(address(1), "the key before the rotation", NOW);
        }
        assert!(throttle.check(address(1), NOW).is_ok());
    }

    #[test]
    fn the_number_of_remembered_addresses_is_bounded() {
        let throttle = FailureThrottle::default();
        for n in 0..MAX_REMEMBERED_ADDRESSES as u32 + 100 {
            throttle.note(address(n), "guess", NOW);
        }
        assert_eq!(throttle.addresses.lock().unwrap().len(), MAX_REMEMBERED_ADDRESSES);
    }
}
