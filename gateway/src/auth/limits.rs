//! Bounds on connections: of the gateway, of one client address, of one key, and on handshakes in a second.
//!
//! Owns the counts and nothing else. Every count belongs to a [`Permit`] and is returned when that is dropped, so the maps
//! never hold more entries than there are connections. The lock is held for a few map operations, never across an await.

use crate::auth::principal::Principal;
use crate::rejection::{Rejection, RejectionKind};
use headgate_wire::config::Limits;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Bits of an IPv6 address that stand for one client: whoever has one address of a /64 has all of them.
const IPV6_CLIENT_PREFIX_BITS: u32 = 64;

/// Part of a second's handshakes that one address may have, in per cent: nobody can use up what all share.
const ADDRESS_HANDSHAKES_PERCENT: u64 = 80;

/// Admits connections within the configured limits. Clones share the counts.
#[derive(Debug, Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

/// The right to one connection. Dropping it returns everything that it counts for.
#[derive(Debug)]
#[must_use = "dropping a permit gives the connection's place away"]
pub struct Permit {
    shared: Arc<Shared>,
    client: IpAddr,
    key: Option<Arc<str>>,
}

#[derive(Debug)]
struct Shared {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    connections: u32,
    clients: HashMap<IpAddr, u32>,
    keys: HashMap<Arc<str>, u32>,
    handshakes: TokenBucket,
    /// What each address may still have of them; those that may have everything are left out.
    handshakes_of: HashMap<IpAddr, TokenBucket>,
}

/// A token bucket that holds one second's worth.
#[derive(Debug)]
struct TokenBucket {
    tokens: f64,
    per_second: f64,
    filled_at: Instant,
}

/// The part of an address that stands for one client: IPv4 as it is, IPv6 as its /64, IPv4-mapped IPv6 as IPv4.
pub fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - IPV6_CLIENT_PREFIX_BITS);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

impl Limiter {
    /// Starts with nothing admitted.
    pub fn new(limits: Limits) -> Self {
        let handshakes = TokenBucket::full(limits.handshakes_per_second, Instant::now());
        let counts = Counts {
            connections: 0,
            clients: HashMap::new(),
            keys: HashMap::new(),
            handshakes,
            handshakes_of: HashMap::new(),
        };
        Self { shared: Arc::new(Shared { limits, counts: Mutex::new(counts) }) }
    }

    /// A place for a connection from this address; call it before anything expensive, such as authentication.
    pub fn admit(&self, address: IpAddr) -> Result<Permit, Rejection> {
        self.admit_at(address, Instant::now())
    }

    /// Connections that hold a permit now.
    pub fn connections(&self) -> u32 {
        self.shared.lock().connections
    }

    fn admit_at(&self, address: IpAddr, now: Instant) -> Result<Permit, Rejection> {
        let limits = &self.shared.limits;
        let client = client_of(address);
        let mut counts = self.shared.lock();
        // An address at its own limit is refused first, so that it cannot use up what all share.
        if counts.clients.get(&client).is_some_and(|n| *n >= limits.max_connections_per_address) {
            return Err(Rejection::new(
                RejectionKind::TooManyConnectionsOfAddress,
                "your address has as many connections as one address may have; close one",
            ));
        }
        if counts.connections >= limits.max_connections {
            return Err(Rejection::new(RejectionKind::GatewayFull, "this gateway has no free connection; try again"));
        }
        if !counts.take_share(client, limits.handshakes_per_second, now) || !counts.handshakes.take(now) {
            return Err(Rejection::new(RejectionKind::TooManyHandshakes, "too many new connections; try again"));
        }
        counts.connections += 1;
        *counts.clients.entry(client).or_insert(0) += 1;
        drop(counts);
        Ok(Permit { shared: Arc::clone(&self.shared), client, key: None })
    }
}

impl Permit {
    /// The same place, now also counted for the holder of a key. On refusal the place is given back.
    pub fn for_principal(mut self, principal: &Principal) -> Result<Self, Rejection> {
        let Some(key) = principal.connection_key() else { return Ok(self) };
        if self.key.is_some() {
            return Ok(self);
        }
        let key: Arc<str> = key.into();
        let limit = self.shared.limits.max_connections_per_key;
        let admitted = {
            let mut counts = self.shared.lock();
            let count = counts.keys.entry(Arc::clone(&key)).or_insert(0);
            let free = *count < limit;
            *count += u32::from(free);
            free
        };
        if !admitted {
            return Err(Rejection::new(
                RejectionKind::TooManyConnectionsOfKey,
                "your key has as many connections as one key may have; close one",
            ));
        }
        self.key = Some(key);
        Ok(self)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.shared.lock();
        counts.connections = counts.connections.saturating_sub(1);
        release(&mut counts.clients, &self.client);
        if let Some(key) = &self.key {
            release(&mut counts.keys, key);
        }
    }
}

impl Counts {
    /// Takes one of an address's share of the handshakes, unless it has had them.
    fn take_share(&mut self, client: IpAddr, per_second: u32, now: Instant) -> bool {
        if self.handshakes_of.len() >= per_second as usize {
            // No more addresses than that can have had one within the last second.
            self.handshakes_of.retain(|_, bucket| !bucket.is_full(now));
        }
        let share = (u64::from(per_second) * ADDRESS_HANDSHAKES_PERCENT).div_ceil(100) as u32;
        self.handshakes_of.entry(client).or_insert_with(|| TokenBucket::full(share, now)).take(now)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        // A panic elsewhere leaves the counts whole: each is changed in one step.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenBucket {
    fn full(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self { tokens: per_second, per_second, filled_at: now }
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.per_second);
        self.filled_at = self.filled_at.max(now);
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= self.per_second
    }

    fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let free = self.tokens >= 1.0;
        if free {
            self.tokens -= 1.0;
        }
        free
    }
}

/// Counts one less, and forgets what nobody holds any more.
fn release<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_wire::key::{KeyDigest, Permission, Verifier};
    use proptest::prelude::*;
    use std::time::Duration;

    const HOME: &str = "192.0.2.1";

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn holder(id: &str) -> Principal {
        Principal::ApiKey(Arc::new(Verifier {
            id: id.to_owned(),
            name: id.to_owned(),
            digest: KeyDigest::of(id),
            permissions: vec![Permission::Read],
            expires_at: None,
            filters: Vec::new(),
        }))
    }

    fn small() -> Limits {
        Limits { max_connections: 3, max_connections_per_key: 1, max_connections_per_address: 2, ..Limits::default() }
    }

    fn kind<T: std::fmt::Debug>(result: Result<T, Rejection>) -> RejectionKind {
        result.unwrap_err().kind()
    }

    #[test]
    fn each_limit_refuses_with_a_kind_of_its_own_and_a_dropped_permit_makes_room() {
        let limiter = Limiter::new(small());
        let first = limiter.admit(address(HOME)).unwrap();
        let _second = limiter.admit(address(HOME)).unwrap();
        assert_eq!(kind(limiter.admit(address(HOME))), RejectionKind::TooManyConnectionsOfAddress);
        let third = limiter.admit(address("192.0.2.2")).unwrap();
        assert_eq!(kind(limiter.admit(address("192.0.2.3"))), RejectionKind::GatewayFull);
        let _first = first.for_principal(&holder("k")).unwrap();
        assert_eq!(kind(third.for_principal(&holder("k"))), RejectionKind::TooManyConnectionsOfKey);
        assert_eq!(limiter.connections(), 2);
        assert!(limiter.admit(address("192.0.2.3")).is_ok());
    }

    #[test]
    fn handshakes_are_limited_in_a_second_and_flow_again_in_the_next() {
        let limiter = Limiter::new(Limits { handshakes_per_second: 2, ..Limits::default() });
        let start = Instant::now();
        assert!(limiter.admit_at(address(HOME), start).is_ok());
        assert!(limiter.admit_at(address(HOME), start).is_ok());
        assert_eq!(kind(limiter.admit_at(address(HOME), start)), RejectionKind::TooManyHandshakes);
        assert!(limiter.admit_at(address(HOME), start + Duration::from_millis(600)).is_ok());
    }

    #[test]
    fn one_address_cannot_use_up_the_handshakes_of_all() {
        let limits = Limits { handshakes_per_second: 100, max_connections_per_address: 1000, ..Limits::default() };
        let limiter = Limiter::new(limits);
        let start = Instant::now();
        let admitted = (0..1000).filter(|_| limiter.admit_at(address(HOME), start).is_ok()).count();
        assert_eq!(admitted, 80);
        assert!(limiter.admit_at(address("192.0.2.2"), start).is_ok());
        assert!(limiter.admit_at(address(HOME), start + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn an_ipv6_client_is_its_64_bit_network_and_a_mapped_address_is_ipv4() {
        assert_eq!(client_of(address("2001:db8::1")), client_of(address("2001:db8::ffff:1:2:3")));
        assert_ne!(client_of(address("2001:db8::1")), client_of(address("2001:db8:0:1::1")));
        assert_eq!(client_of(address("::ffff:192.0.2.1")), address(HOME));
    }

    #[test]
    fn anonymous_clients_are_not_counted_against_any_key() {
        let limiter = Limiter::new(small());
        let one = limiter.admit(address(HOME)).unwrap().for_principal(&Principal::Anonymous).unwrap();
        let two = limiter.admit(address(HOME)).unwrap().for_principal(&Principal::Anonymous).unwrap();
        assert!(limiter.shared.lock().keys.is_empty());
        drop((one, two));
    }

    proptest! {
        #[test]
        fn when_every_permit_is_gone_nothing_is_left_in_any_map(steps in proptest::collection::vec((0u8..4, 0u8..3, any::<bool>()), 0..60)) {
            let limiter = Limiter::new(Limits { max_connections: 8, max_connections_per_key: 2, ..small() });
            let mut held = Vec::new();
            for (host, key, keep) in steps {
                let permit = limiter
                    .admit(IpAddr::from([192, 0, 2, host]))
                    .and_then(|permit| permit.for_principal(&holder(&key.to_string())));
                if let (Ok(permit), true) = (permit, keep) {
                    held.push(permit);
                }
                let counts = limiter.shared.lock();
                prop_assert_eq!(counts.connections as usize, held.len());
                prop_assert!(counts.clients.values().all(|n| (1..=2).contains(n)));
            }
            held.clear();
            let counts = limiter.shared.lock();
            prop_assert!(counts.connections == 0 && counts.clients.is_empty() && counts.keys.is_empty());
        }
    }
}
