//! Keys that a user brings as text (`AUTH_API_KEYS`): turned into verifiers, after which the text is not needed.
//!
//! Messages name the position of a key in the list, counted from 1; they must never repeat any part of a key.

use headgate_wire::key::{KeyDigest, KeyShape, MAX_KEYS, Permission, Verifier, looks_like_jwt, shape};

/// Below this many characters a key is called weak: it could be guessed.
pub const MIN_STRONG_KEY_LENGTH: usize = 16;

/// The keys of a list, as digests.
#[derive(Debug, Clone, PartialEq)]
pub struct BroughtKeys {
    /// One for each entry, in the same order, each with Read and without expiry.
    pub verifiers: Vec<Verifier>,
    /// A sentence for each weak key.
    pub warnings: Vec<String>,
}

/// Why a list of keys is not accepted; positions count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BroughtKeysError {
    /// Nothing in it.
    #[error("the list of keys is empty; name at least one key, or remove the setting")]
    Empty,
    /// Two commas in a row, or one at an end.
    #[error("key {0} of the list is empty; remove the surplus comma")]
    EmptyEntry(usize),
    /// It would never be compared: texts with two dots are taken for tokens.
    #[error("key {0} of the list has exactly two dots, so it would be taken for a token; choose another key")]
    LooksLikeToken(usize),
    /// A key of ours with a wrong checksum.
    #[error("key {0} of the list begins like a Headgate key, but its checksum is wrong; copy it again")]
    Mistyped(usize),
    /// The same key twice.
    #[error("keys {0} and {1} of the list are the same; remove one")]
    Duplicate(usize, usize),
    /// A character that no header can carry.
    #[error("key {0} of the list contains a control character; choose another key")]
    ControlCharacter(usize),
    /// More keys than a gateway accepts.
    #[error("the list has {0} keys, a gateway accepts at most {MAX_KEYS}")]
    TooMany(usize),
}

/// Hashes every key of a comma-separated list. White space around a key does not belong to it.
pub fn brought_keys(list: &str) -> Result<BroughtKeys, BroughtKeysError> {
    if list.trim().is_empty() {
        return Err(BroughtKeysError::Empty);
    }
    let count = list.split(',').count();
    if count > MAX_KEYS {
        return Err(BroughtKeysError::TooMany(count));
    }
    let mut keys = BroughtKeys { verifiers: Vec::with_capacity(count), warnings: Vec::new() };
    for (index, key) in list.split(',').map(str::trim).enumerate() {
        let position = index + 1;
        let verifier = verifier(key, position)?;
        if let Some(first) = keys.verifiers.iter().position(|other| other.digest == verifier.digest) {
            return Err(BroughtKeysError::Duplicate(first + 1, position));
        }
        if key.chars().count() < MIN_STRONG_KEY_LENGTH {
            keys.warnings.push(format!(
                "key {position} of the list is weak: use at least {MIN_STRONG_KEY_LENGTH} random characters, or a key \
                 made by `headgate keys issue`"
            ));
        }
        keys.verifiers.push(verifier);
    }
    Ok(keys)
}

fn verifier(key: &str, position: usize) -> Result<Verifier, BroughtKeysError> {
    if key.is_empty() {
        return Err(BroughtKeysError::EmptyEntry(position));
    }
    if key.contains(char::is_control) {
        return Err(BroughtKeysError::ControlCharacter(position));
    }
    if looks_like_jwt(key) {
        return Err(BroughtKeysError::LooksLikeToken(position));
    }
    // A digest in an id would let its reader test guesses of a weak key, so a brought key is known by its position.
    let id = match shape(key) {
        KeyShape::Issued { id } => id.to_owned(),
        KeyShape::Mistyped => return Err(BroughtKeysError::Mistyped(position)),
        KeyShape::Brought => format!("brought-{position}"),
    };
    Ok(Verifier {
        id,
        name: format!("AUTH_API_KEYS[{position}]"),
        digest: KeyDigest::of(key),
        permissions: vec![Permission::Read],
        expires_at: None,
        filters: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::key_ring::KeyRing;
    use jiff::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn a_list_that_would_open_or_confuse_something_is_refused_by_position() {
        use BroughtKeysError as E;
        for (list, error) in [
            ("", E::Empty),
            ("  ", E::Empty),
            (",", E::EmptyEntry(1)),
            ("a, ,b", E::EmptyEntry(2)),
            ("a,b,", E::EmptyEntry(3)),
            ("a,x.y.z", E::LooksLikeToken(2)),
            ("hgk_nonsense", E::Mistyped(1)),
            ("a,b,a", E::Duplicate(1, 3)),
            ("a\u{7}b", E::ControlCharacter(1)),
        ] {
            assert_eq!(brought_keys(list).unwrap_err(), error, "{list:?}");
        }
    }

    #[test]
    fn a_weak_key_is_named_by_its_position_only() {
        let keys = brought_keys("0123456789abcdef,hunter2").unwrap();
        assert_eq!(keys.warnings.len(), 1);
        assert!(keys.warnings[0].starts_with("key 2 "));
        assert!(!format!("{keys:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn every_key_of_an_accepted_list_opens_the_ring(list in proptest::collection::hash_set("[a-zA-Z0-9:=/+-]{1,30}", 1..6)) {
            let keys = brought_keys(&list.iter().map(String::as_str).collect::<Vec<_>>().join(" , ")).unwrap();
            let ring = KeyRing::from_verifiers(keys.verifiers).unwrap();
            for key in &list {
                prop_assert!(ring.authenticate(key, Timestamp::UNIX_EPOCH).is_ok());
            }
        }
    }
}
