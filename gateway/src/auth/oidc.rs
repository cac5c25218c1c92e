//! Tokens of an OpenID Connect provider: from the text that a client sends to the caller that it proves (OpenID Connect
//! Core 1.0, RFC 7519, RFC 8725).
//!
//! Owns the rules and the provider's keys, both replaced as a whole. A token is checked here and nowhere else; it must
//! never be kept, logged or repeated.

mod claims;
mod discovery;
mod fetch;
mod key_set;
mod key_store;
mod refused;
mod rules;
mod signature;
mod token;
mod user;

pub use discovery::WELL_KNOWN;
pub use key_store::KeyStore;
pub use refused::Refused;
pub use rules::{Rules, RulesId};
pub use token::TokenError;
pub use user::User;

use jiff::Timestamp;
use std::sync::Arc;

/// Checks a token with the keys in a JSON Web Key Set, without any provider.
///
/// # Errors
/// [`Refused`]; [`TokenError::NoKeys`] if the set cannot be used.
pub fn check_once(token: &str, key_set: &[u8], rules: &Rules, now: Timestamp) -> Result<User, Refused> {
    let keys = key_set::KeySet::parse(key_set).map_err(|_| TokenError::NoKeys)?;
    let header = token::Header::read(token, &rules.oidc)?;
    User::from_claims(&token::verify(token, &header, &keys, &rules.oidc, now)?, rules)
}

/// Checks a token: its signature by the provider's keys, its claims by the rules. Asks the provider only if the token
/// names a key that is not known.
///
/// # Errors
/// [`Refused`]; the caller gets the same 401 for all but the last two kinds of [`TokenError`].
pub async fn verify(token: &str, rules: &Rules, keys: &KeyStore, now: Timestamp) -> Result<Arc<User>, Refused> {
    let header = token::Header::read(token, &rules.oidc)?;
    let known = keys.current(rules);
    let Some(known) = known else { return Err(TokenError::NoKeys.into()) };
    let outcome = token::verify(token, &header, &known, &rules.oidc, now);
    let claims = match outcome {
        Err(TokenError::UnknownKey) => {
            let newer = keys.newer_than(&known, rules).await.ok_or(TokenError::UnknownKey)?;
            token::verify(token, &header, &newer, &rules.oidc, now)?
        }
        outcome => outcome?,
    };
    User::from_claims(&claims, rules).map(Arc::new)
}
