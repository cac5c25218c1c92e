//! The rules for tokens together with a name for exactly these rules, by which a live connection or a ticket of another
//! gateway of the endpoint is told from one that was let in under other rules.

use headgate_wire::config::Oidc;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Rules that are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// As configured.
    pub oidc: Oidc,
    /// Their name.
    pub id: RulesId,
}

/// Names rules by their content. The same on every gateway of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RulesId(pub [u8; 16]);

impl Rules {
    /// Whether the keys for these rules come from the same place as those for others.
    pub fn have_the_provider_of(&self, other: &Self) -> bool {
        let provider = |rules: &Self| {
            let Oidc { issuer_url, jwks_file, ca_file, .. } = rules.oidc.clone();
            (issuer_url, jwks_file, ca_file)
        };
        provider(self) == provider(other)
    }

    /// Rules with their name.
    pub fn new(oidc: Oidc) -> Self {
        // Cannot fail: texts and lists of texts only. If it did, all such rules would be one and the same.
        let written = serde_json::to_vec(&oidc).unwrap_or_default();
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(&written)[..16]);
        Self { oidc, id: RulesId(id) }
    }
}

impl fmt::Debug for RulesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
