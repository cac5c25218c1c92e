//! Who can log in, and what their tokens say.

use super::grants::Granted;
use super::signing::{SigningError, SigningKey};
use jiff::Timestamp;
use serde_json::{Value, json};

/// How long a token lasts, in seconds: short enough to see one being renewed.
pub(super) const TOKEN_SECONDS: i64 = 120;

/// Somebody made up.
#[derive(Debug)]
pub(super) struct Person {
    /// The claim `sub`.
    pub(super) subject: &'static str,
    /// For people.
    pub(super) name: &'static str,
    /// The claim `region`, which limits what they see in the example.
    pub(super) region: Option<&'static str>,
    /// The claim `realm_access.roles`.
    roles: &'static [&'static str],
}

pub(super) const PEOPLE: [Person; 3] = [
    Person { subject: "alice", name: "Alice, who sees the region eu", region: Some("eu"), roles: &["viewer"] },
    Person { subject: "bob", name: "Bob, who sees the region us", region: Some("us"), roles: &["viewer", "operator"] },
    Person { subject: "carol", name: "Carol, who has no region and is refused", region: None, roles: &[] },
];

/// The answer of the token endpoint (RFC 6749 section 5.1).
pub(super) fn tokens(
    issuer: &str,
    key: &SigningKey,
    granted: &Granted,
    audience: &Value,
) -> Result<Value, SigningError> {
    let Person { subject, region, roles, .. } = &PEOPLE[granted.person];
    let now = Timestamp::now().as_second();
    let mut claims = json!({
        "iss": issuer, "sub": subject, "aud": audience, "iat": now, "exp": now + TOKEN_SECONDS,
        "client_id": granted.client_id, "preferred_username": subject, "realm_access": { "roles": roles },
    });
    if let Some(region) = region {
        claims["region"] = (*region).into();
    }
    let access_token = key.token("at+jwt", &claims)?;
    claims["aud"] = granted.client_id.as_str().into();
    if let Some(nonce) = &granted.nonce {
        claims["nonce"] = nonce.as_str().into();
    }
    Ok(json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS,
        "refresh_token": granted.refresh_token, "id_token": key.token("JWT", &claims)?,
    }))
}
