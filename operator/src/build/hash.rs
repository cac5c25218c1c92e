//! How a change is told: one hash of what a gateway reads at its start, one of what it reads again while it runs.
//!
//! Must never put a key into the first one: then issuing a key would restart every pod. Hashes stand in annotations, which
//! more people read than Secrets; the endpoint's uid is part of them, so that equal credentials of two endpoints cannot be
//! seen to be equal.

use crate::credentials::hexadecimal;
use crate::model::Endpoint;
use sha2::{Digest as _, Sha256};

/// Hash of the configuration, which a gateway cannot reload. The credentials for Kafka are not part of it: whoever sees
/// pods could try passwords until the hash fits. `apply` adds the version of their Secret.
pub(super) fn read_at_start(endpoint: &Endpoint, config: &str) -> String {
    of(endpoint, &[("config", config.as_bytes())])
}

/// Hash of the digests of keys and of the certificate for clients, which a gateway reloads.
pub(super) fn reloaded(endpoint: &Endpoint, verifiers: &[u8]) -> String {
    let certificate = endpoint.certificate.as_ref().and_then(|certificate| certificate.digest.as_deref());
    of(endpoint, &[("verifiers", verifiers), ("certificate", certificate.unwrap_or_default().as_bytes())])
}

/// SHA-256 in hexadecimal digits. Every part has its length before it, so that nothing can move from one to the next.
fn of(endpoint: &Endpoint, parts: &[(&str, &[u8])]) -> String {
    let mut hash = Sha256::new();
    for (name, content) in [("uid", endpoint.uid.as_bytes())].iter().chain(parts) {
        for part in [name.as_bytes(), content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hexadecimal(&hash.finalize())
}
