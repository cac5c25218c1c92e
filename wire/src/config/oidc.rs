//! Whose tokens a gateway accepts, and what their claims mean (OpenID Connect Core 1.0, RFC 7519).
//!
//! Rules only: the provider's keys are found by the gateway, and no secret is needed to check a signature.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Rules for tokens of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oidc {
    /// Exactly the claim `iss`; its keys are found at `<issuerURL>/.well-known/openid-configuration`.
    #[serde(rename = "issuerURL")]
    pub issuer_url: String,
    /// A token must be meant for at least one of these (claim `aud`).
    pub audiences: Vec<String>,
    /// File with a JSON Web Key Set (RFC 7517), read again when it changes, instead of discovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<PathBuf>,
    /// PEM bundle of the certificate authority of the provider; absent = the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Signatures that are accepted, whatever a token or a key says (RFC 8725 section 3.1).
    #[serde(default = "SigningAlgorithm::usual")]
    pub algorithms: Vec<SigningAlgorithm>,
    /// Claim with the name of the user; the identity is always `sub`. Claims are names, or paths with dots into objects.
    #[serde(default = "preferred_username")]
    pub username_claim: String,
    /// Claim with the roles of the user, a text or a list; absent = nobody has a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles_claim: Option<String>,
    /// Claim with the organization of the user, a text or a list; absent = nobody has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_claim: Option<String>,
    /// A token must match every entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<ClaimMatch>,
    /// A token that matches every entry may publish; with no entry, none may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<ClaimMatch>,
    /// What a caller sees: an attribute of the event must equal a claim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<ClaimFilter>,
}

fn preferred_username() -> String {
    "preferred_username".to_owned()
}

/// A claim and the values of which it must have one. If the claim is a list, one of its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimMatch {
    /// The claim.
    pub claim: String,
    /// Acceptable values.
    pub values: Vec<String>,
}

/// Row-level security: an attribute of the event must equal a claim, or one of its members if it is a list. A token
/// without the claim sees nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimFilter {
    /// CloudEvents attribute or extension.
    pub attribute: String,
    /// The claim.
    pub claim: String,
}

/// Signature algorithms (RFC 7518 section 3.1, RFC 8037); none of them has a secret on our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

impl SigningAlgorithm {
    /// What providers use, where nothing else is configured.
    pub fn usual() -> Vec<Self> {
        vec![Self::RS256, Self::PS256, Self::ES256, Self::EdDSA]
    }
}
