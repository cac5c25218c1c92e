//! The caller that a token proves: identity, rights and what it may see.
//!
//! Owns what is taken from the claims, all of it bounded. Must never hold a token.

use super::claims::{self, MAX_MEMBERS};
use super::rules::{Rules, RulesId};
use super::token::{self, TokenError};
use headgate_wire::config::ClaimFilter;
use headgate_wire::filter::{Comparisons, Filter, MAX_FILTER_LEAVES};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Longest name, role or organization that is kept, in bytes; longer ones are as if they were not there.
const MAX_TEXT_BYTES: usize = 256;

/// Somebody whom the provider vouches for.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Identity at the issuer: the claim `sub`.
    pub subject: String,
    /// Name for people and for targeted delivery.
    pub username: Option<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Organizations.
    pub organizations: Vec<String>,
    /// Whether it may publish.
    pub may_publish: bool,
    /// What it sees: every one must match.
    pub filters: Vec<Filter>,
    /// End of the token.
    pub expires_at: Timestamp,
    /// What its connections are counted by.
    pub connection_key: String,
    /// The rules that it was let in under.
    pub rules: RulesId,
}

impl User {
    /// What the connections of a subject are counted by. No key has such an id: ids have no spaces.
    pub fn connection_key_of(subject: &str) -> String {
        format!("user {subject}")
    }

    /// The caller that these claims make under the rules. Whether anybody vouches for the claims is asked elsewhere.
    ///
    /// # Errors
    /// [`TokenError`], if the rules refuse them.
    pub fn from_claims(claims: &Map<String, Value>, rules: &Rules) -> Result<Self, TokenError> {
        let Rules { oidc, id } = rules;
        let subject = claims.get("sub").and_then(Value::as_str).ok_or(TokenError::Subject)?;
        let expires_at = token::expiry(claims).ok_or(TokenError::Expired)?;
        if !oidc.required.iter().all(|wanted| claims::has(claims, wanted)) {
            return Err(TokenError::Claims);
        }
        let texts = |path: &Option<String>| path.as_deref().map(|path| texts_of(claims, path)).unwrap_or_default();
        Ok(Self {
            username: texts_of(claims, &oidc.username_claim).into_iter().next(),
            roles: texts(&oidc.roles_claim),
            organizations: texts(&oidc.organization_claim),
            may_publish: !oidc.publish.is_empty() && oidc.publish.iter().all(|wanted| claims::has(claims, wanted)),
            filters: oidc.filters.iter().map(|filter| row_filter(claims, filter)).collect::<Result<_, _>>()?,
            expires_at,
            connection_key: Self::connection_key_of(subject),
            subject: subject.to_owned(),
            rules: *id,
        })
    }
}

/// What a filter demands of events for this caller.
fn row_filter(claims: &Map<String, Value>, filter: &ClaimFilter) -> Result<Filter, TokenError> {
    let values = texts_of(claims, &filter.claim);
    let exact = |value: String| Filter::Exact(Comparisons::from([(filter.attribute.clone(), value)]));
    let mut filters: Vec<_> = values.into_iter().filter(|value| !value.is_empty()).map(exact).collect();
    match filters.len() {
        0 => Err(TokenError::Claims),
        1 => Ok(filters.swap_remove(0)),
        // Cutting the list would show less than the provider granted, without a word.
        many if many > MAX_FILTER_LEAVES => Err(TokenError::Claims),
        _ => Ok(Filter::Any(filters)),
    }
}

fn texts_of(claims: &Map<String, Value>, path: &str) -> Vec<String> {
    let Some(value) = claims::find(claims, path) else { return Vec::new() };
    let short = claims::texts(value).into_iter().filter(|text| text.len() <= MAX_TEXT_BYTES);
    short.take(MAX_MEMBERS).map(std::borrow::Cow::into_owned).collect()
}
