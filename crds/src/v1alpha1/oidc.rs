//! `spec.auth.oidc`: whose tokens are accepted, and what their claims mean.
//!
//! Owns the section. Must never hold a secret: what checks a signature is public, and certificates are in a Secret of the
//! endpoint's own namespace.

use super::CaSecretRef;
use crate::types::{AttributeName, Audience, ClaimPath, IssuerUrl};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whose tokens are accepted, and what their claims mean.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.issuerURL) != has(self.kubernetes)")
        .message("tokens come from exactly one issuer: set issuerURL, or kubernetes: {} for this cluster's ServiceAccounts, and not both"),
    validation = Rule::new("!has(self.kubernetes) || !has(self.caSecretRef)")
        .message("caSecretRef has no effect with kubernetes, where no provider is asked over the network: remove caSecretRef")
        .field_path(".caSecretRef")
)]
pub struct Oidc {
    /// Issuer, exactly as in the claim `iss`. Its keys are found through OpenID Connect discovery.
    #[serde(rename = "issuerURL", default, skip_serializing_if = "Option::is_none")]
    pub issuer_url: Option<IssuerUrl>,
    /// Instead of `issuerURL`: takes tokens of this cluster's own ServiceAccounts, of every namespace, that were asked for
    /// one of the audiences below (TokenRequest, or a projected volume). The operator gives their issuer and keys to the
    /// gateway pods. Restrict them with `required`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesTokens>,
    /// Certificates of the authority that signed the provider's own certificate. Absent: the public authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,
    /// A token must be meant for at least one of these (claim `aud`).
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub audiences: Vec<Audience>,
    /// Signature algorithms that are accepted, whatever a token says of itself.
    #[serde(default = "SigningAlgorithm::usual")]
    #[schemars(length(min = 1, max = 9))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub algorithms: Vec<SigningAlgorithm>,
    /// Claim with the name of the user. The user's identity is always `sub`. Absent: `preferred_username`, or `sub` with
    /// `kubernetes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_claim: Option<ClaimPath>,
    /// Claim with the user's roles. Absent: nobody has a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles_claim: Option<ClaimPath>,
    /// Claim with the user's organization. Absent: nobody has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_claim: Option<ClaimPath>,
    /// Claims that a token must have. Every entry must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub required: Vec<RequiredClaim>,
    /// Claims that let a caller send messages to the topic in `stream.publish`, without which this has no effect. Every
    /// entry must match. Absent: no token may publish.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub publish: Vec<RequiredClaim>,
    /// Limits each caller to the events whose attribute equals a claim of the caller's token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["attribute".into()]))]
    pub filters: Vec<ClaimFilter>,
}

/// Tokens of this cluster's own ServiceAccounts. There is nothing to set.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KubernetesTokens {}

/// Signature algorithm of a token (RFC 7518 section 3.1, RFC 8037).
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// What providers use, where nothing else is said.
    pub fn usual() -> Vec<Self> {
        vec![Self::RS256, Self::PS256, Self::ES256, Self::EdDSA]
    }
}

/// A claim that a token must have.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequiredClaim {
    /// The claim. If it is a list, one of its members must match.
    pub claim: ClaimPath,
    /// Values of which the claim must have one.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub values: Vec<String>,
}

/// Row-level security: an attribute of the event must equal a claim of the caller.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimFilter {
    /// CloudEvents attribute or extension, for example `subject`.
    pub attribute: AttributeName,
    /// Claim that it must equal. If the claim is a list, one of its members. A token without it sees nothing.
    pub claim: ClaimPath,
}
