//! The caller that a token proves: identity, rights and what it may see.
//!
//! Owns what is taken from the claims, all of it bounded. Must never hold a token.

use super::claims::{self, MAX_MEMBERS};
use super::refused::{Refused, Shortcoming, UnacceptedClaim};
use super::rules::{Rules, RulesId};
use super::token::{self, TokenError};
use headgate_wire::config::ClaimFilter;
use headgate_wire::filter::{Comparisons, Filter, MAX_FILTER_LEAVES};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Longest name, role or organization that is kept, in bytes; longer ones are as if they were not there.
const MAX_TEXT_BYTES: usize = 256;
/// The field of the rules about claims that a token must have.
const REQUIRED: &str = "auth.oidc.required";
/// The field of the rules about what a caller sees.
const FILTERS: &str = "auth.oidc.filters";

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
    /// [`Refused`], if the rules refuse them; it names every claim by which they do.
    pub fn from_claims(claims: &Map<String, Value>, rules: &Rules) -> Result<Self, Refused> {
        let Rules { oidc, id } = rules;
        let subject = claims.get("sub").and_then(Value::as_str).ok_or(TokenError::Subject)?;
        let expires_at = token::expiry(claims).ok_or(TokenError::Expired)?;
        let lacking = oidc.required.iter().filter(|wanted| !claims::has(claims, wanted));
        let lacking = lacking.map(|wanted| unaccepted(claims, REQUIRED, &wanted.claim, Shortcoming::OtherValue));
        let mut unaccepted: Vec<_> = lacking.collect();
        let mut filters = Vec::with_capacity(oidc.filters.len());
        for filter in &oidc.filters {
            row_filter(claims, filter).map_or_else(|claim| unaccepted.push(claim), |filter| filters.push(filter));
        }
        if !unaccepted.is_empty() {
            return Err(Refused::by_claims(subject, unaccepted));
        }
        let texts = |path: &Option<String>| path.as_deref().map(|path| texts_of(claims, path)).unwrap_or_default();
        Ok(Self {
            username: texts_of(claims, &oidc.username_claim).into_iter().next(),
            roles: texts(&oidc.roles_claim),
            organizations: texts(&oidc.organization_claim),
            may_publish: !oidc.publish.is_empty() && oidc.publish.iter().all(|wanted| claims::has(claims, wanted)),
            filters,
            expires_at,
            connection_key: Self::connection_key_of(subject),
            subject: subject.to_owned(),
            rules: *id,
        })
    }
}

/// What a filter demands of events for this caller.
fn row_filter(claims: &Map<String, Value>, filter: &ClaimFilter) -> Result<Filter, UnacceptedClaim> {
    let values = texts_of(claims, &filter.claim);
    let exact = |value: String| Filter::Exact(Comparisons::from([(filter.attribute.clone(), value)]));
    let mut filters: Vec<_> = values.into_iter().filter(|value| !value.is_empty()).map(exact).collect();
    match filters.len() {
        0 => Err(unaccepted(claims, FILTERS, &filter.claim, Shortcoming::NoText)),
        1 => Ok(filters.swap_remove(0)),
        // Cutting the list would show less than the provider granted, without a word.
        many if many > MAX_FILTER_LEAVES => Err(unaccepted(claims, FILTERS, &filter.claim, Shortcoming::TooManyValues)),
        _ => Ok(Filter::Any(filters)),
    }
}

/// A claim that a rule refuses: for this reason, unless it is not there at all.
fn unaccepted(claims: &Map<String, Value>, rule: &'static str, path: &str, otherwise: Shortcoming) -> UnacceptedClaim {
    let shortcoming = if claims::find(claims, path).is_some() { otherwise } else { Shortcoming::Absent };
    UnacceptedClaim::new(rule, path, shortcoming)
}

fn texts_of(claims: &Map<String, Value>, path: &str) -> Vec<String> {
    let Some(value) = claims::find(claims, path) else { return Vec::new() };
    let short = claims::texts(value).into_iter().filter(|text| text.len() <= MAX_TEXT_BYTES);
    short.take(MAX_MEMBERS).map(std::borrow::Cow::into_owned).collect()
}
