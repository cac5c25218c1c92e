//! The key of one run, and what it signs: ES256 (RFC 7518 section 3.4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

/// The name of the key: there is only this one.
const KEY_ID: &str = "headgate-dev";

/// A key pair that was never stored anywhere.
#[derive(Debug)]
pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

/// The cryptography library gives no reasons.
#[derive(Debug, thiserror::Error)]
#[error("no key could be made or used")]
pub(super) struct SigningError;

impl SigningKey {
    pub(super) fn generate() -> Result<Self, SigningError> {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).map_err(|_| SigningError)?;
        let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).map_err(|_| SigningError)?;
        Ok(Self { pair, random })
    }

    /// The public half (RFC 7517).
    pub(super) fn jwk(&self) -> Value {
        // Uncompressed (SEC 1 section 2.3.3): 4, x, y.
        let point = self.pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(point.len() / 2);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// A JSON Web Token of this type (`typ`).
    pub(super) fn token(&self, kind: &str, claims: &Value) -> Result<String, SigningError> {
        let header = json!({ "alg": "ES256", "typ": kind, "kid": KEY_ID });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(&self.random, message.as_bytes()).map_err(|_| SigningError)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
