//! The signature checks of `jsonwebtoken`, done by `ring`, which does our TLS as well.
//!
//! Only public keys: nothing is ever signed here, and the algorithms with a shared secret do not exist.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature as ring;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(unsupported()),
    verifier_factory: |algorithm, key| Ok(Box::new(Check::new(*algorithm, key)?)),
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |_, _| Err(unsupported()),
    },
};

/// Makes `jsonwebtoken` of this process use these checks. The first call counts; every other does nothing.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

fn unsupported() -> Error {
    ErrorKind::UnsupportedAlgorithm.into()
}

/// One algorithm with one public key.
struct Check {
    algorithm: Algorithm,
    key: DecodingKey,
    method: Method,
}

enum Method {
    Rsa(&'static ring::RsaParameters),
    Other(&'static dyn ring::VerificationAlgorithm),
}

impl Check {
    fn new(algorithm: Algorithm, key: &DecodingKey) -> Result<Self, Error> {
        let method = match algorithm {
            Algorithm::RS256 => Method::Rsa(&ring::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => Method::Rsa(&ring::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => Method::Rsa(&ring::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => Method::Rsa(&ring::RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => Method::Rsa(&ring::RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => Method::Rsa(&ring::RSA_PSS_2048_8192_SHA512),
            Algorithm::ES256 => Method::Other(&ring::ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => Method::Other(&ring::ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => Method::Other(&ring::ED25519),
            _ => return Err(unsupported()),
        };
        if key.family() != algorithm.family() {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Ok(Self { algorithm, key: key.clone(), method })
    }
}

impl Verifier<Vec<u8>> for Check {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let outcome = match (&self.method, self.key.kind()) {
            (Method::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let key = ring::RsaPublicKeyComponents { n: without_leading_zeros(n), e: without_leading_zeros(e) };
                key.verify(parameters, message, signature)
            }
            (Method::Other(algorithm), DecodingKeyKind::SecretOrDer(key)) => {
                ring::UnparsedPublicKey::new(*algorithm, key).verify(message, signature)
            }
            _ => return Err(signature::Error::new()),
        };
        outcome.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// RFC 7518 section 2 forbids them, and some providers send them all the same.
fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
