//! API keys: how one looks, how it is made, and the file of digests by which gateways know them.
//!
//! A key is `hgk_<id>_<secret><checksum>`: the id is public, the secret has 256 bits in base62, the checksum is the
//! CRC-32 of everything before it, so that a typing error is told from a wrong key and secret scanners can be sure.
//! The file holds SHA-256 digests only: a stolen pod yields no usable key. Entropy is an argument; nothing here is random.

use crate::config::Expiry;
use crate::filter::Filter;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// What every key that Headgate issues begins with.
pub const KEY_PREFIX: &str = "hgk_";
/// Characters of a key id.
pub const KEY_ID_LENGTH: usize = 8;
/// Characters of a 256-bit secret in base62.
pub const SECRET_LENGTH: usize = 43;
/// Characters of a CRC-32 in base62.
pub const CHECKSUM_LENGTH: usize = 6;
/// Most keys that one gateway accepts.
pub const MAX_KEYS: usize = 1000;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The file that the operator mounts into gateway pods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifierFile {
    /// Every key that is valid now, or will be refused by its expiry.
    pub keys: Vec<Verifier>,
}

/// What a gateway knows of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verifier {
    /// Public id, which appears in logs: that of a key that Headgate issued (`hgk_<id>_…`), any word for another one.
    pub id: String,
    /// Name in the manifest.
    pub name: String,
    /// SHA-256 of the whole key.
    #[cfg_attr(any(test, feature = "reference"), schemars(with = "String"))]
    pub digest: KeyDigest,
    /// What the key allows.
    pub permissions: Vec<Permission>,
    /// End of its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(any(test, feature = "reference"), schemars(with = "Option<String>"))]
    pub expires_at: Option<Expiry>,
    /// Enforced for its holders, besides the endpoint's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
}

/// What a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
pub enum Permission {
    /// Receive the stream.
    Read,
    /// Send events upstream.
    Publish,
}

/// SHA-256 of a key, written `sha256:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest(pub [u8; 32]);

/// A digest that is not written as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key digest is written `sha256:` and 64 hexadecimal digits; make one with `headgate keys hash`")]
pub struct InvalidDigest;

impl KeyDigest {
    /// The digest of a whole key as the client sends it.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(…)")
    }
}

impl FromStr for KeyDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let hex = text.strip_prefix("sha256:").filter(|h| h.len() == 64 && h.is_ascii()).ok_or(InvalidDigest)?;
        let mut digest = [0u8; 32];
        for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidDigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidDigest)?;
        }
        Ok(Self(digest))
    }
}

impl Serialize for KeyDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Makes a key from fresh entropy of the operating system: its id and its text.
pub fn mint(id_entropy: u64, secret_entropy: &[u8; 32]) -> (String, String) {
    let id = base62(&id_entropy.to_be_bytes(), KEY_ID_LENGTH);
    let mut key = format!("{KEY_PREFIX}{id}_{}", base62(secret_entropy, SECRET_LENGTH));
    let checksum = checksum(&key);
    let _ = write!(key, "{checksum}");
    (id, key)
}

/// What a presented API key is, before anything is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyShape<'k> {
    /// Issued by Headgate, with a valid checksum.
    Issued {
        /// Its public id.
        id: &'k str,
    },
    /// Looks issued by Headgate, but a character is wrong or missing.
    Mistyped,
    /// Brought by a user.
    Brought,
}

/// Tells an issued key from a brought one, by its form only.
pub fn shape(key: &str) -> KeyShape<'_> {
    let Some(rest) = key.strip_prefix(KEY_PREFIX) else { return KeyShape::Brought };
    let Some((id, tail)) = rest.split_once('_') else { return KeyShape::Mistyped };
    let well_formed = id.len() == KEY_ID_LENGTH
        && tail.len() == SECRET_LENGTH + CHECKSUM_LENGTH
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !well_formed {
        return KeyShape::Mistyped;
    }
    let (body, sum) = key.split_at(key.len() - CHECKSUM_LENGTH);
    if checksum(body) == sum { KeyShape::Issued { id } } else { KeyShape::Mistyped }
}

/// True for a text with exactly two dots: a JSON Web Token, never an API key.
pub fn looks_like_jwt(text: &str) -> bool {
    text.bytes().filter(|b| *b == b'.').count() == 2
}

fn checksum(body: &str) -> String {
    base62(&crc32fast::hash(body.as_bytes()).to_be_bytes(), CHECKSUM_LENGTH)
}

/// Big-endian number to base62 digits, least significant last, cut or padded to `length`.
fn base62(bytes: &[u8], length: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![b'0'; length];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        *digit = BASE62[remainder as usize];
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_minted_key_is_recognised_by_its_id() {
        let (id, key) = mint(42, &[7; 32]);
        assert_eq!(shape(&key), KeyShape::Issued { id: &id });
        assert_eq!(key.len(), KEY_PREFIX.len() + KEY_ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH);
    }

    #[test]
    fn every_wrong_or_missing_character_of_a_key_is_noticed() {
        let (_, key) = mint(u64::MAX, &[0xab; 32]);
        for position in KEY_PREFIX.len()..key.len() {
            let mut wrong = key.clone().into_bytes();
            wrong[position] = if wrong[position] == b'a' { b'b' } else { b'a' };
            assert_eq!(shape(std::str::from_utf8(&wrong).unwrap()), KeyShape::Mistyped, "at {position}");
            assert_eq!(shape(&key[..position]), KeyShape::Mistyped);
        }
    }

    #[test]
    fn a_digest_never_shows_in_debug_output() {
        assert_eq!(format!("{:?}", KeyDigest::of("k")), "KeyDigest(…)");
    }

    proptest! {
        #[test]
        fn different_secrets_make_different_keys(a: [u8; 32], b: [u8; 32]) {
            prop_assume!(a != b);
            prop_assert_ne!(mint(0, &a).1, mint(0, &b).1);
        }

        #[test]
        fn a_digest_survives_its_text_form(bytes: [u8; 32]) {
            let digest = KeyDigest(bytes);
            prop_assert!(digest.to_string().parse::<KeyDigest>() == Ok(digest));
        }

        #[test]
        fn no_text_makes_the_key_parser_panic(text in ".{0,100}") {
            let _ = shape(&text);
        }
    }
}
