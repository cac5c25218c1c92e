//! How a change is told: one hash of what a gateway reads at its start, one of what it reads again while it runs.
//!
//! Owns which fields of the configuration are which. Must never put a key into the first hash: then issuing a key would
//! restart every pod. Hashes stand in annotations, which more people read than Secrets; the endpoint's uid is part of them,
//! so that equal credentials of two endpoints cannot be seen to be equal.

use super::to_yaml;
use super::verifier::Files;
use crate::credentials::hexadecimal;
use crate::model::Endpoint;
use headgate_wire::GatewayConfig;
use headgate_wire::config::{Oidc, PublicAccess};
use sha2::{Digest as _, Sha256};

/// Hash of the configuration, as far as a gateway cannot reload it, and of the key of tickets, which nobody can guess. The
/// credentials for Kafka are not part of it: whoever sees pods could try passwords until the hash fits. `apply` adds the
/// version of their Secret.
pub(super) fn read_at_start(endpoint: &Endpoint, config: &GatewayConfig, ticket_digest: Option<&str>) -> String {
    let config = to_yaml(&fixed(config));
    of(endpoint, &[("config", config.as_bytes()), ("tickets", ticket_digest.unwrap_or_default().as_bytes())])
}

/// Hash of what a gateway reloads: the rest of the configuration, what it checks credentials with, and the certificate for
/// clients.
pub(super) fn reloaded(endpoint: &Endpoint, config: &GatewayConfig, verifiers: &Files) -> String {
    let certificate = endpoint.certificate.as_ref().and_then(|certificate| certificate.digest.as_deref());
    // It has texts and lists only, so that writing it cannot fail.
    let rules = serde_json::to_string(&(&config.public_access, &config.auth.oidc)).unwrap_or_default();
    let mut parts = vec![("rules", rules.as_bytes()), ("certificate", certificate.unwrap_or_default().as_bytes())];
    parts.extend(verifiers.iter().map(|(name, content)| (*name, content.as_slice())));
    of(endpoint, &parts)
}

/// The configuration without what gateways reload. Sections are taken apart as a whole, so that nobody forgets to decide
/// about a field that is added.
fn fixed(config: &GatewayConfig) -> GatewayConfig {
    let mut fixed = config.clone();
    let PublicAccess { anonymous: _, allowed_origins: _, query_credentials: _, hostname: _, trusted_proxies: _ } =
        std::mem::take(&mut fixed.public_access);
    fixed.auth.oidc = fixed.auth.oidc.map(|oidc| {
        let Oidc {
            jwks_file,
            ca_file,
            issuer_url: _,
            audiences: _,
            algorithms: _,
            username_claim: _,
            roles_claim: _,
            organization_claim: _,
            required: _,
            publish: _,
            filters: _,
        } = oidc;
        Oidc {
            jwks_file,
            ca_file,
            issuer_url: String::new(),
            audiences: Vec::new(),
            algorithms: Vec::new(),
            username_claim: String::new(),
            roles_claim: None,
            organization_claim: None,
            required: Vec::new(),
            publish: Vec::new(),
            filters: Vec::new(),
        }
    });
    fixed
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
