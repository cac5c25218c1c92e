//! `spec.auth.oidc`: whose tokens are accepted, and what their claims mean.
//!
//! Must never make a rule weaker: whatever cannot be kept as it is written yields no rules at all.

use super::{Parsed, Problems, Reported, texts};
use crate::cluster_tokens::Unusable;
use crate::model::{Authentication, Certificates, TokenKeys, Tokens};
use crate::references::References;
use headgate_crds::reasons::Reason;
use headgate_crds::types::{ClaimPath, IssuerUrl};
use headgate_crds::v1alpha1 as api;
use headgate_wire::config::{ClaimFilter, ClaimMatch, Oidc, SigningAlgorithm};

/// Claim with the name of a user, where the endpoint names none.
const USERNAME_CLAIM: &str = "preferred_username";
/// Claim with the name of a ServiceAccount.
const SERVICE_ACCOUNT_CLAIM: &str = "sub";
/// Issuer that API servers usually have: stands for the cluster's own where nobody asked it.
const USUAL_CLUSTER_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The rules for tokens.
pub(super) fn parse(oidc: &api::Oidc, references: &References, problems: &mut Problems) -> Parsed<Tokens> {
    let issuer = issuer(oidc, references, problems);
    let audiences = texts("spec.auth.oidc.audiences", &oidc.audiences, problems);
    let username = claim("usernameClaim", oidc.username_claim.as_ref(), problems);
    let roles = claim("rolesClaim", oidc.roles_claim.as_ref(), problems);
    let organization = claim("organizationClaim", oidc.organization_claim.as_ref(), problems);
    let required = matches("required", &oidc.required, problems);
    let publish = matches("publish", &oidc.publish, problems);
    let filters = filters(&oidc.filters, problems);
    let (issuer_url, keys) = issuer?;
    let usual = if oidc.kubernetes.is_some() { SERVICE_ACCOUNT_CLAIM } else { USERNAME_CLAIM };
    let rules = Oidc {
        issuer_url,
        audiences: audiences?,
        // Where these are is decided where files are mounted.
        jwks_file: None,
        ca_file: None,
        algorithms: oidc.algorithms.iter().copied().map(algorithm).collect(),
        username_claim: username?.unwrap_or_else(|| usual.to_owned()),
        roles_claim: roles?,
        organization_claim: organization?,
        required: required?,
        publish: publish?,
        filters: filters?,
    };
    Ok(Tokens { rules, keys, authority: None })
}

/// The rules with the authority of their provider, which is read from a Secret.
pub(super) fn with_authority(auth: Authentication, authority: Option<Certificates>) -> Authentication {
    let with = |tokens: Tokens| Tokens { authority, ..tokens };
    match auth {
        Authentication::Tokens(tokens) => Authentication::Tokens(with(tokens)),
        Authentication::ApiKeysOrTokens(keys, tokens) => Authentication::ApiKeysOrTokens(keys, with(tokens)),
        other => other,
    }
}

/// The issuer, and where its keys come from. That there is exactly one is checked by `schema`.
fn issuer(oidc: &api::Oidc, references: &References, problems: &mut Problems) -> Parsed<(String, TokenKeys)> {
    if let Some(url) = &oidc.issuer_url {
        let url: IssuerUrl = problems.text("spec.auth.oidc.issuerURL", url)?;
        return Ok((url.into(), TokenKeys::Discovered));
    }
    oidc.kubernetes.ok_or(Reported)?;
    match &references.cluster_tokens {
        None => Ok((USUAL_CLUSTER_ISSUER.to_owned(), TokenKeys::Cluster(None))),
        Some(Ok(tokens)) => Ok((tokens.issuer.to_string(), TokenKeys::Cluster(Some(tokens.keys.clone())))),
        Some(Err(why)) => Err(unusable(*why, problems)),
    }
}

fn unusable(why: Unusable, problems: &mut Problems) -> Reported {
    let message = format!(
        "the tokens of this cluster's ServiceAccounts cannot be checked: {why}; ask the platform team, or set issuerURL \
         instead"
    );
    problems.add(Reason::ClusterTokensUnusable, "spec.auth.oidc.kubernetes", message);
    Reported
}

fn claim(field: &str, claim: Option<&ClaimPath>, problems: &mut Problems) -> Parsed<Option<String>> {
    let checked = claim.map(|claim| problems.text(format!("spec.auth.oidc.{field}"), claim));
    Ok(checked.transpose()?.map(String::from))
}

fn matches(field: &str, claims: &[api::RequiredClaim], problems: &mut Problems) -> Parsed<Vec<ClaimMatch>> {
    let parsed = claims.iter().enumerate().map(|(index, wanted)| {
        let claim = claim(&format!("{field}[{index}].claim"), Some(&wanted.claim), problems)?.ok_or(Reported)?;
        Ok(ClaimMatch { claim, values: wanted.values.clone() })
    });
    let parsed: Vec<_> = parsed.collect();
    parsed.into_iter().collect()
}

fn filters(filters: &[api::ClaimFilter], problems: &mut Problems) -> Parsed<Vec<ClaimFilter>> {
    let parsed = filters.iter().enumerate().map(|(index, filter)| {
        let attribute = problems.text(format!("spec.auth.oidc.filters[{index}].attribute"), &filter.attribute);
        let claim = problems.text(format!("spec.auth.oidc.filters[{index}].claim"), &filter.claim);
        Ok(ClaimFilter { attribute: attribute?.into(), claim: claim?.into() })
    });
    let parsed: Vec<_> = parsed.collect();
    parsed.into_iter().collect()
}

fn algorithm(algorithm: api::SigningAlgorithm) -> SigningAlgorithm {
    match algorithm {
        api::SigningAlgorithm::RS256 => SigningAlgorithm::RS256,
        api::SigningAlgorithm::RS384 => SigningAlgorithm::RS384,
        api::SigningAlgorithm::RS512 => SigningAlgorithm::RS512,
        api::SigningAlgorithm::PS256 => SigningAlgorithm::PS256,
        api::SigningAlgorithm::PS384 => SigningAlgorithm::PS384,
        api::SigningAlgorithm::PS512 => SigningAlgorithm::PS512,
        api::SigningAlgorithm::ES256 => SigningAlgorithm::ES256,
        api::SigningAlgorithm::ES384 => SigningAlgorithm::ES384,
        api::SigningAlgorithm::EdDSA => SigningAlgorithm::EdDSA,
    }
}
