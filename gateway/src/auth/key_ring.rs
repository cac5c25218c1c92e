//! The API keys of one endpoint, known by their digests: finding the holder of a presented key, and asking later whether
//! that holder is still welcome.
//!
//! Every refusal costs the same work, whether or not the key's id exists, and digests are compared in constant time.
//! It must never keep, log or return a presented key.

use crate::auth::principal::Principal;
use headgate_wire::close::CloseReason;
use headgate_wire::key::{KeyDigest, KeyShape, MAX_KEYS, Permission, Verifier, shape};
use jiff::Timestamp;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use subtle::{Choice, ConstantTimeEq as _};

/// Longest id and name of a key, in characters: both appear in logs.
pub const MAX_KEY_NAME_LENGTH: usize = 253;

/// Stands in for the digest of an id that does not exist. Nobody knows a text with this digest.
const NOBODY: KeyDigest = KeyDigest([0; 32]);

/// The keys that an endpoint accepts.
#[derive(Clone, Default)]
pub struct KeyRing {
    keys: Vec<Arc<Verifier>>,
    by_id: HashMap<Box<str>, usize>,
}

/// Why a list of keys is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// More keys than a gateway accepts.
    #[error("{0} keys are configured, a gateway accepts at most {MAX_KEYS}; remove unused keys")]
    TooMany(usize),
    /// An id that cannot stand in a log; its position counts from 1.
    #[error("key {0} has no usable id: ids are 1 to {MAX_KEY_NAME_LENGTH} visible ASCII characters")]
    InvalidId(usize),
    /// Two keys with one id: revoking it would be ambiguous.
    #[error("two keys have the id `{0}`; give each its own")]
    DuplicateId(String),
    /// One key under two ids: revoking one would not close it.
    #[error("the keys `{0}` and `{1}` are the same key; remove one")]
    DuplicateKey(String, String),
}

/// Why a presented key is refused. For the log and its metric only: the client gets the same 401 for all of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No such key.
    #[error("no such key")]
    UnknownKey,
    /// It looks like a key of ours, but its checksum is wrong: a typing or copying error.
    #[error("the key is mistyped: its checksum is wrong")]
    MistypedKey,
    /// The id exists, the secret is another one: perhaps the key before a rotation.
    #[error("wrong secret for key `{0}`")]
    WrongSecret(String),
    /// Past its `expiresAt`.
    #[error("key `{0}` has expired")]
    Expired(String),
}

impl AuthError {
    /// Stable word for logs and the metric label.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::UnknownKey => "UnknownKey",
            Self::MistypedKey => "MistypedKey",
            Self::WrongSecret(_) => "WrongSecret",
            Self::Expired(_) => "KeyExpired",
        }
    }
}

impl KeyRing {
    /// A ring of these keys. No key at all is fine: it admits nobody.
    pub fn from_verifiers(verifiers: Vec<Verifier>) -> Result<Self, KeyRingError> {
        if verifiers.len() > MAX_KEYS {
            return Err(KeyRingError::TooMany(verifiers.len()));
        }
        let mut ring = Self::default();
        let mut digests: HashMap<KeyDigest, usize> = HashMap::new();
        for (position, verifier) in verifiers.into_iter().enumerate() {
            if !is_printable_id(&verifier.id) {
                return Err(KeyRingError::InvalidId(position + 1));
            }
            if let Some(other) = digests.insert(verifier.digest, position) {
                return Err(KeyRingError::DuplicateKey(ring.keys[other].id.clone(), verifier.id));
            }
            if ring.by_id.insert(verifier.id.as_str().into(), position).is_some() {
                return Err(KeyRingError::DuplicateId(verifier.id));
            }
            ring.keys.push(Arc::new(verifier));
        }
        Ok(ring)
    }

    /// Number of keys, expired ones included.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if nobody can be admitted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The holder of this key.
    pub fn authenticate(&self, key: &str, now: Timestamp) -> Result<Principal, AuthError> {
        let shape = shape(key);
        let digest = KeyDigest::of(key);
        let named = match shape {
            KeyShape::Issued { id } => self.by_id.get(id).map(|position| &self.keys[*position]),
            KeyShape::Mistyped | KeyShape::Brought => None,
        };
        let expected = named.map_or(&NOBODY, |verifier| &verifier.digest);
        let direct = named.filter(|_| bool::from(same(expected, &digest)));
        // A key given as a hash only may have any id, so a miss by id looks at every digest; a hit may stop, because
        // its answer shows anyway.
        let Some(verifier) = direct.or_else(|| self.scan(&digest)) else {
            return Err(match (shape, named) {
                (_, Some(verifier)) => AuthError::WrongSecret(verifier.id.clone()),
                (KeyShape::Mistyped, None) => AuthError::MistypedKey,
                (_, None) => AuthError::UnknownKey,
            });
        };
        if has_expired(verifier, now) {
            return Err(AuthError::Expired(verifier.id.clone()));
        }
        Ok(Principal::ApiKey(Arc::clone(verifier)))
    }

    /// The holder of the key with this id and digest, as a ticket names it.
    pub fn holder(&self, id: &str, digest: &KeyDigest, now: Timestamp) -> Option<Principal> {
        let verifier = &self.keys[*self.by_id.get(id)?];
        let is_valid = bool::from(same(&verifier.digest, digest)) && !has_expired(verifier, now);
        is_valid.then(|| Principal::ApiKey(Arc::clone(verifier)))
    }

    /// Whether a principal admitted earlier may stay connected; else the reason to close its sockets with.
    ///
    /// Rights that changed without being taken away altogether close with a reason that asks to come back: the new
    /// connection gets the new rights.
    pub fn still_valid(&self, principal: &Principal, now: Timestamp) -> Result<(), CloseReason> {
        let Principal::ApiKey(held) = principal else { return Ok(()) };
        let current = self.by_id.get(held.id.as_str()).map(|position| &self.keys[*position]);
        let Some(current) = current.filter(|current| current.digest == held.digest) else {
            return Err(CloseReason::KeyRevoked);
        };
        if has_expired(current, now) {
            Err(CloseReason::KeyExpired)
        } else if !current.permissions.contains(&Permission::Read) {
            Err(CloseReason::AccessWithdrawn)
        } else if current.filters != held.filters || !same_permissions(current, held) {
            Err(CloseReason::AccessChanged)
        } else {
            Ok(())
        }
    }

    /// The first end of a key's life after this moment.
    pub fn next_expiry(&self, after: Timestamp) -> Option<Timestamp> {
        self.keys.iter().filter_map(|key| key.expires_at).filter(|end| *end > after).min()
    }

    /// Compares with every digest, without stopping at the one that matches.
    fn scan(&self, digest: &KeyDigest) -> Option<&Arc<Verifier>> {
        let mut found = None;
        for verifier in &self.keys {
            if bool::from(same(&verifier.digest, digest)) {
                found = Some(verifier);
            }
        }
        found
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

fn same(a: &KeyDigest, b: &KeyDigest) -> Choice {
    a.0.ct_eq(&b.0)
}

fn has_expired(verifier: &Verifier, now: Timestamp) -> bool {
    verifier.expires_at.is_some_and(|end| end <= now)
}

fn same_permissions(a: &Verifier, b: &Verifier) -> bool {
    [Permission::Read, Permission::Publish].iter().all(|p| a.permissions.contains(p) == b.permissions.contains(p))
}

fn is_printable_id(id: &str) -> bool {
    (1..=MAX_KEY_NAME_LENGTH).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_wire::filter::Filter;
    use headgate_wire::key::mint;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn verifier(id: &str, key: &str) -> Verifier {
        Verifier {
            id: id.to_owned(),
            name: format!("name of {id}"),
            digest: KeyDigest::of(key),
            permissions: vec![Permission::Read],
            expires_at: None,
            filters: Vec::new(),
        }
    }

    fn ring(verifiers: &[Verifier]) -> KeyRing {
        KeyRing::from_verifiers(verifiers.to_vec()).unwrap()
    }

    #[test]
    fn an_issued_key_is_found_by_its_id_and_a_brought_one_by_its_digest() {
        let (id, issued) = mint(1, &[1; 32]);
        let ring = ring(&[verifier(&id, &issued), verifier("brought-1", "correct horse")]);
        assert_eq!(ring.authenticate(&issued, NOW).unwrap().label(), id);
        assert_eq!(ring.authenticate("correct horse", NOW).unwrap().label(), "brought-1");
    }

    #[test]
    fn a_key_given_as_a_hash_only_is_found_although_its_manifest_gave_it_another_id() {
        let (_, issued) = mint(1, &[1; 32]);
        assert_eq!(ring(&[verifier("etl", &issued)]).authenticate(&issued, NOW).unwrap().label(), "etl");
    }

    #[test]
    fn the_log_can_tell_a_typing_error_from_an_old_secret_and_from_an_unknown_key() {
        let (id, issued) = mint(1, &[1; 32]);
        let (_, rotated) = mint(1, &[2; 32]);
        let (_, stranger) = mint(2, &[1; 32]);
        let ring = ring(&[verifier(&id, &issued)]);
        assert_eq!(ring.authenticate(&issued[..issued.len() - 1], NOW), Err(AuthError::MistypedKey));
        assert_eq!(ring.authenticate(&rotated, NOW), Err(AuthError::WrongSecret(id)));
        assert_eq!(ring.authenticate(&stranger, NOW), Err(AuthError::UnknownKey));
        assert_eq!(ring.authenticate("", NOW), Err(AuthError::UnknownKey));
    }

    #[test]
    fn a_key_ends_at_the_very_moment_of_its_expiry() {
        let mut key = verifier("k", "secret");
        key.expires_at = Some(NOW);
        let before = NOW - jiff::SignedDuration::from_nanos(1);
        let ring = ring(&[key]);
        let principal = ring.authenticate("secret", before).unwrap();
        assert_eq!(ring.still_valid(&principal, before), Ok(()));
        assert_eq!(ring.authenticate("secret", NOW), Err(AuthError::Expired("k".to_owned())));
        assert_eq!(ring.still_valid(&principal, NOW), Err(CloseReason::KeyExpired));
    }

    #[test]
    fn the_next_expiry_is_the_earliest_that_is_still_ahead() {
        let at = |second| Timestamp::from_second(second).ok();
        let expiring = |id: &str, second| Verifier { expires_at: at(second), ..verifier(id, id) };
        let ring = ring(&[expiring("a", 3), expiring("b", 1), verifier("c", "c"), expiring("d", 2)]);
        assert_eq!(ring.next_expiry(NOW), at(1));
        assert_eq!(ring.next_expiry(NOW + jiff::SignedDuration::from_secs(1)), at(2));
        assert_eq!(ring.next_expiry(NOW + jiff::SignedDuration::from_secs(3)), None);
    }

    #[test]
    fn a_removed_or_replaced_key_closes_its_sockets_as_revoked() {
        let principal = ring(&[verifier("k", "old")]).authenticate("old", NOW).unwrap();
        for after in [ring(&[]), ring(&[verifier("k", "new")]), ring(&[verifier("other", "old")])] {
            assert_eq!(after.still_valid(&principal, NOW), Err(CloseReason::KeyRevoked));
        }
    }

    #[test]
    fn a_key_that_lost_read_is_withdrawn_and_one_whose_rights_changed_is_asked_back() {
        let before = verifier("k", "secret");
        let principal = ring(std::slice::from_ref(&before)).authenticate("secret", NOW).unwrap();
        let no_read = Verifier { permissions: vec![Permission::Publish], ..before.clone() };
        assert_eq!(ring(&[no_read]).still_valid(&principal, NOW), Err(CloseReason::AccessWithdrawn));
        let narrowed = Verifier { filters: vec![Filter::exact("subject", "a")], ..before.clone() };
        assert_eq!(ring(&[narrowed]).still_valid(&principal, NOW), Err(CloseReason::AccessChanged));
        let renamed = Verifier { name: "renamed".to_owned(), ..before };
        assert_eq!(ring(&[renamed]).still_valid(&principal, NOW), Ok(()));
    }

    #[test]
    fn ambiguous_oversized_and_nameless_lists_are_refused() {
        let twice = vec![verifier("a", "1"), verifier("a", "2")];
        assert_eq!(KeyRing::from_verifiers(twice).unwrap_err(), KeyRingError::DuplicateId("a".into()));
        let same = vec![verifier("a", "1"), verifier("b", "1")];
        assert_eq!(KeyRing::from_verifiers(same).unwrap_err(), KeyRingError::DuplicateKey("a".into(), "b".into()));
        let many = (0..=MAX_KEYS).map(|n| verifier(&n.to_string(), &n.to_string())).collect();
        assert_eq!(KeyRing::from_verifiers(many).unwrap_err(), KeyRingError::TooMany(MAX_KEYS + 1));
        for id in ["", "line\nbreak"] {
            assert_eq!(KeyRing::from_verifiers(vec![verifier(id, "1")]).unwrap_err(), KeyRingError::InvalidId(1));
        }
    }

    proptest! {
        #[test]
        fn only_the_keys_of_the_ring_open_it(keys in proptest::collection::hash_set("[ -~]{1,40}", 1..8), other in "[ -~]{0,40}") {
            let verifiers = keys.iter().enumerate().map(|(n, key)| verifier(&n.to_string(), key)).collect();
            let ring = KeyRing::from_verifiers(verifiers).unwrap();
            for key in &keys {
                prop_assert!(ring.authenticate(key, NOW).is_ok());
            }
            prop_assert_eq!(ring.authenticate(&other, NOW).is_ok(), keys.contains(&other));
        }
    }
}
