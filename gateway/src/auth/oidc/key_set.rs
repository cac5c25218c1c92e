//! The keys of a provider (RFC 7517): which of a set can check signatures, and which of those may check a given token.
//!
//! What a set says besides is passed over, not refused: providers list keys for encryption and of kinds that are newer
//! than this program.

use headgate_wire::config::SigningAlgorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys of one set that are used; a provider has two or three.
pub const MAX_KEYS: usize = 64;
/// Longest `kid`, in bytes.
const MAX_KEY_ID_BYTES: usize = 256;

/// The usable keys of one provider. Public keys only.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    material: DecodingKey,
    kind: Kind,
    /// Set if the provider allows one algorithm only.
    algorithm: Option<Algorithm>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Why a set of keys is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not a JSON Web Key Set.
    #[error("it is no JSON Web Key Set")]
    Malformed,
    /// No key in it can check a signature.
    #[error("it has no key that can check a signature")]
    Empty,
    /// More keys than any honest set.
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
}

#[derive(Deserialize)]
struct Members {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a set.
    ///
    /// # Errors
    /// If nothing in it can be used, or it is too large.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        let Members { keys } = serde_json::from_slice(json).map_err(|_| KeySetError::Malformed)?;
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let keys: Vec<_> = keys.into_iter().filter_map(Key::read).collect();
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self { keys }) }
    }

    /// The key for a token with this header. A token that names none is checked only if there is no choice.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm));
        let found = match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None if self.keys.len() == 1 => fitting.next(),
            None => None,
        };
        found.map(|key| &key.material)
    }
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk = Jwk::deserialize(value).ok()?;
        let common = &jwk.common;
        let checks_signatures = common.public_key_use.as_ref().is_none_or(|uses| *uses == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        let id_fits = common.key_id.as_ref().is_none_or(|id| id.len() <= MAX_KEY_ID_BYTES);
        if !checks_signatures || !id_fits {
            return None;
        }
        let kind = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Kind::Rsa,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Kind::P256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => Kind::P384,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Kind::Ed25519,
            _ => return None,
        };
        let algorithm = common.key_algorithm.map(|name| name.to_string().parse()).transpose().ok()?;
        let material = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, material, kind, algorithm })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm) && self.kind == kind_of(algorithm)
    }
}

/// The kind of key that an algorithm needs; those with a shared secret need one that no set here has.
const fn kind_of(algorithm: Algorithm) -> Kind {
    match algorithm {
        Algorithm::ES256 => Kind::P256,
        Algorithm::ES384 => Kind::P384,
        Algorithm::EdDSA => Kind::Ed25519,
        _ => Kind::Rsa,
    }
}

/// Whether the configuration allows what a token says it was signed with.
pub(super) fn is_allowed(algorithm: Algorithm, allowed: &[SigningAlgorithm]) -> bool {
    allowed.iter().any(|allowed| {
        algorithm
            == match allowed {
                SigningAlgorithm::RS256 => Algorithm::RS256,
                SigningAlgorithm::RS384 => Algorithm::RS384,
                SigningAlgorithm::RS512 => Algorithm::RS512,
                SigningAlgorithm::PS256 => Algorithm::PS256,
                SigningAlgorithm::PS384 => Algorithm::PS384,
                SigningAlgorithm::PS512 => Algorithm::PS512,
                SigningAlgorithm::ES256 => Algorithm::ES256,
                SigningAlgorithm::ES384 => Algorithm::ES384,
                SigningAlgorithm::EdDSA => Algorithm::EdDSA,
            }
    })
}
