//! One token: read, checked against the provider's keys, its registered claims compared with the rules.
//!
//! Pure; the time is an argument. RFC 8725 is the list of what can go wrong: the algorithm comes from the configuration,
//! the key from the provider, and a claim of the wrong type is a wrong claim.

use super::key_set::{self, KeySet};
use super::signature;
use headgate_wire::config::Oidc;
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

/// How far the provider's clock may be ahead of ours, in seconds. The end of a token has no such tolerance.
pub const CLOCK_TOLERANCE_SECONDS: i64 = 30;
/// Longest `sub`, in bytes (OpenID Connect Core 1.0, section 2).
pub const MAX_SUBJECT_BYTES: usize = 255;

/// Why a token is refused. For the log and its metric only: none of the variants holds any part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JSON Web Token in compact form.
    #[error("it is no signed JSON Web Token")]
    Malformed,
    /// Signed with an algorithm that is not configured.
    #[error("its signature algorithm is not among auth.oidc.algorithms")]
    Algorithm,
    /// Its header demands something that we do not have (`crit`, RFC 7515 section 4.1.11).
    #[error("its header demands an extension that is not supported")]
    Critical,
    /// Signed with a key that the provider does not list.
    #[error("the provider lists no key that could have signed it")]
    UnknownKey,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// The issuer is another one.
    #[error("it is from another issuer than auth.oidc.issuerURL")]
    Issuer,
    /// Meant for somebody else.
    #[error("it is meant for none of auth.oidc.audiences")]
    Audience,
    /// Past its `exp`, or without any.
    #[error("it has expired, or does not say when it does")]
    Expired,
    /// Before its `nbf` or `iat`.
    #[error("it is not valid yet; compare the clocks")]
    NotYetValid,
    /// No `sub`, or none that can be used.
    #[error("it has no usable `sub`")]
    Subject,
    /// It lacks what auth.oidc.required or auth.oidc.filters asks for: a valid token of somebody who has no access.
    #[error("it does not have the claims that auth.oidc.required and auth.oidc.filters ask for")]
    Claims,
    /// The provider's keys are not known yet, or no longer.
    #[error("the provider's keys are not known")]
    NoKeys,
}

impl TokenError {
    /// Stable word for logs and the metric label.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "MalformedToken",
            Self::Algorithm => "AlgorithmNotAllowed",
            Self::Critical => "CriticalHeader",
            Self::UnknownKey => "UnknownSigningKey",
            Self::Signature => "WrongSignature",
            Self::Issuer => "WrongIssuer",
            Self::Audience => "WrongAudience",
            Self::Expired => "TokenExpired",
            Self::NotYetValid => "TokenNotYetValid",
            Self::Subject => "NoSubject",
            Self::Claims => "ClaimsNotAccepted",
            Self::NoKeys => "NoSigningKeys",
        }
    }
}

/// What a token says about its signature. Not to be trusted: it only chooses among what is allowed.
#[derive(Debug)]
pub(super) struct Header {
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl Header {
    pub(super) fn read(token: &str, rules: &Oidc) -> Result<Self, TokenError> {
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
            return Err(TokenError::Critical);
        }
        if !key_set::is_allowed(header.alg, &rules.algorithms) {
            return Err(TokenError::Algorithm);
        }
        Ok(Self { algorithm: header.alg, key_id: header.kid })
    }
}

/// The claims of a token whose signature is right and which is meant for us, now.
pub(super) fn verify(
    token: &str,
    header: &Header,
    keys: &KeySet,
    rules: &Oidc,
    now: Timestamp,
) -> Result<Map<String, Value>, TokenError> {
    signature::install();
    let key = keys.find(header.key_id.as_deref(), header.algorithm).ok_or(TokenError::UnknownKey)?;
    // The signature only: registered claims are compared below, with the time that we are given.
    let mut validation = Validation::new(header.algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = decode::<Map<String, Value>>(token, key, &validation).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature => TokenError::Signature,
        _ => TokenError::Malformed,
    })?;
    check_registered(&claims.claims, rules, now)?;
    Ok(claims.claims)
}

/// RFC 7519 section 4.1.
fn check_registered(claims: &Map<String, Value>, rules: &Oidc, now: Timestamp) -> Result<(), TokenError> {
    if claims.get("iss").and_then(Value::as_str) != Some(&rules.issuer_url) {
        return Err(TokenError::Issuer);
    }
    let is_ours = |audience: &Value| audience.as_str().is_some_and(|name| rules.audiences.iter().any(|a| a == name));
    if !claims.get("aud").is_some_and(|aud| aud.as_array().map_or_else(|| is_ours(aud), |all| all.iter().any(is_ours)))
    {
        return Err(TokenError::Audience);
    }
    if expiry(claims).is_none_or(|end| end <= now) {
        return Err(TokenError::Expired);
    }
    for begin in ["nbf", "iat"].iter().filter_map(|name| claims.get(*name)) {
        let begin = numeric_date(begin).ok_or(TokenError::NotYetValid)?;
        if begin.as_second() > now.as_second() + CLOCK_TOLERANCE_SECONDS {
            return Err(TokenError::NotYetValid);
        }
    }
    match claims.get("sub").and_then(Value::as_str) {
        Some(subject) if is_subject(subject) => Ok(()),
        _ => Err(TokenError::Subject),
    }
}

/// Fit for a log and a limit.
fn is_subject(subject: &str) -> bool {
    (1..=MAX_SUBJECT_BYTES).contains(&subject.len()) && !subject.contains(char::is_control)
}

/// When a token ends.
pub(super) fn expiry(claims: &Map<String, Value>) -> Option<Timestamp> {
    numeric_date(claims.get("exp")?)
}

/// Seconds since 1970, perhaps with a fraction (RFC 7519 section 2).
fn numeric_date(value: &Value) -> Option<Timestamp> {
    let milliseconds = match value.as_i64() {
        Some(seconds) => seconds.checked_mul(1000)?,
        None => (value.as_f64()? * 1000.0) as i64,
    };
    Timestamp::from_millisecond(milliseconds).ok()
}

#[cfg(test)]
mod tests;
