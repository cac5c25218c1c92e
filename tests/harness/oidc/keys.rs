//! Keys that sign tokens, and the tokens: JWS by hand (RFC 7515), so that a test can also sign what no library would.

use anyhow::{Context as _, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;

/// How a key signs (RFC 7518 section 3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// Its name in a header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// A key pair with its name.
#[derive(Debug, Clone)]
pub struct Key {
    /// The `kid`.
    pub id: String,
    /// How it signs.
    pub algorithm: Algorithm,
    pair: Arc<Pair>,
}

#[derive(Debug)]
enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// A fresh key. RSA keys are made by the `openssl` command.
    pub fn new(id: &str, algorithm: Algorithm) -> Result<Self> {
        let random = SystemRandom::new();
        let pair = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => Pair::Rsa(rsa()?),
            Algorithm::ES256 => {
                let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let document = EcdsaKeyPair::generate_pkcs8(kind, &random).map_err(refused)?;
                Pair::Ecdsa(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).map_err(|e| anyhow!("{e}"))?)
            }
            Algorithm::EdDSA => {
                let document = Ed25519KeyPair::generate_pkcs8(&random).map_err(refused)?;
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|e| anyhow!("{e}"))?)
            }
        };
        Ok(Self { id: id.to_owned(), algorithm, pair: Arc::new(pair) })
    }

    /// The same key under another name.
    #[must_use]
    pub fn named(&self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self.clone() }
    }

    /// Its public half as a JSON Web Key (RFC 7517) for signatures.
    pub fn jwk(&self) -> Value {
        let mut key = match &*self.pair {
            Pair::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "n": encode(&public.n), "e": encode(&public.e) })
            }
            Pair::Ecdsa(pair) => {
                // Uncompressed (SEC 1 section 2.3.3): 4, x, y.
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
            }
            Pair::Ed25519(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) }),
        };
        key["kid"] = self.id.clone().into();
        key["alg"] = self.algorithm.name().into();
        key["use"] = "sig".into();
        key
    }

    /// The header of its tokens (RFC 9068 section 2.1).
    pub fn header(&self) -> Value {
        json!({ "alg": self.algorithm.name(), "typ": "at+jwt", "kid": self.id })
    }

    /// A signature of these bytes.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding: &dyn ring::signature::RsaEncoding =
                    if self.algorithm == Algorithm::PS256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signature).map_err(refused)?;
                Ok(signature)
            }
            Pair::Ecdsa(pair) => Ok(pair.sign(&random, message).map_err(refused)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }

    /// A token with this header, whatever it says about the algorithm.
    pub fn token(&self, header: &Value, claims: &Value) -> Result<String> {
        let message = message(header, claims);
        Ok(format!("{message}.{}", encode(&self.sign(message.as_bytes())?)))
    }
}

/// A token with an HMAC (HS256) instead of a signature.
pub fn hmac_token(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = message(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", encode(tag.as_ref()))
}

/// A token without a signature (`alg` is up to the header).
pub fn unsigned_token(header: &Value, claims: &Value) -> String {
    format!("{}.", message(header, claims))
}

/// What the header of a token says, unchecked.
pub fn header(token: &str) -> Result<Value> {
    part(token, 0)
}

/// The claims of a token, unchecked.
pub fn claims(token: &str) -> Result<Value> {
    part(token, 1)
}

fn part(token: &str, index: usize) -> Result<Value> {
    let part = token.split('.').nth(index).context("not a JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> Result<RsaKeyPair> {
    let arguments = ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let output = Command::new("openssl").args(arguments).output().context("cannot run openssl")?;
    ensure!(output.status.success(), "openssl genpkey: {}", String::from_utf8_lossy(&output.stderr));
    let document = PrivatePkcs8KeyDer::from_pem_slice(&output.stdout)?;
    RsaKeyPair::from_pkcs8(document.secret_pkcs8_der()).map_err(|e| anyhow!("{e}"))
}

fn refused(_: ring::error::Unspecified) -> anyhow::Error {
    anyhow!("the cryptography library refused")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    #[test]
    fn each_signature_is_that_of_its_public_key() {
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let key = Key::new("k", algorithm).unwrap();
            let signature = key.sign(b"message").unwrap();
            let jwk = key.jwk();
            let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
            let outcome = match algorithm {
                Algorithm::ES256 => {
                    let point = [vec![4], part("x"), part("y")].concat();
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(b"message", &signature)
                }
                Algorithm::EdDSA => UnparsedPublicKey::new(&ED25519, part("x")).verify(b"message", &signature),
                _ => {
                    let public = PublicKeyComponents { n: part("n"), e: part("e") };
                    public.verify(&RSA_PKCS1_2048_8192_SHA256, b"message", &signature)
                }
            };
            outcome.unwrap_or_else(|_| panic!("{algorithm:?}"));
        }
    }

    #[test]
    fn the_claims_of_a_token_can_be_read_back() {
        let key = Key::new("k", Algorithm::EdDSA).unwrap();
        let token = key.token(&key.header(), &json!({ "sub": "alice" })).unwrap();
        assert_eq!(claims(&token).unwrap(), json!({ "sub": "alice" }));
    }
}
