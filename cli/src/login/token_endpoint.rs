//! The token endpoint (RFC 6749 section 5): a form in, tokens or a refusal out.

use super::http::Answer;
use super::store::{Login, Request};
use super::{Http, LoginError, Provider};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_wire::key::looks_like_jwt;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// How long a token without any end is taken to last.
const UNKNOWN_LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// Claims that name somebody, the clearest first.
const NAMES: [&str; 3] = ["preferred_username", "email", "sub"];

/// A successful answer. It has no `Debug`, because all of it is secret.
#[derive(Deserialize)]
pub(super) struct Tokens {
    access_token: String,
    id_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
}

/// Sends a form with the client's name and what the tokens are for.
pub(super) async fn ask(
    http: &Http,
    provider: &Provider,
    request: &Request,
    grant: &[(&str, &str)],
) -> Result<Tokens, LoginError> {
    let fields = [grant, &request.target(), &[("client_id", request.client_id.as_str())]].concat();
    let answer = http.post(&provider.token_endpoint, &fields).await?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    serde_json::from_value(answer.json).map_err(|_| LoginError::Answer("it has no access token"))
}

/// What an answer other than success says.
pub(super) fn refusal(answer: &Answer) -> LoginError {
    let text = |name: &str| answer.json[name].as_str().map(printable);
    match text("error") {
        Some(code) => LoginError::Refused { code, description: text("error_description") },
        None => LoginError::Refused { code: answer.status.to_string(), description: None },
    }
}

/// A stranger's text on somebody's terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

impl Tokens {
    /// What is kept of the answer. `before` is the refresh token that it replaces, if the provider gives no new one.
    pub(super) fn into_login(
        self,
        request: Request,
        before: Option<String>,
        now: Timestamp,
    ) -> Result<Login, LoginError> {
        let expires_in = self.expires_in.map(SignedDuration::from_secs);
        // Providers with opaque access tokens give a JSON Web Token as identity only.
        let token = Some(self.access_token).filter(|token| looks_like_jwt(token)).or(self.id_token);
        let token = token.filter(|token| looks_like_jwt(token)).ok_or(LoginError::NoJsonWebToken)?;
        let end = claims(&token)["exp"].as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let expires_at = end.unwrap_or_else(|| now + expires_in.unwrap_or(UNKNOWN_LIFETIME));
        Ok(Login { request, token, expires_at, renewed_at: now, refresh_token: self.refresh_token.or(before) })
    }
}

/// Whose token it says it is: by name if it has one, else by `sub` (OpenID Connect Core 1.0 section 5.1). Unchecked, and
/// fit for a terminal.
pub(crate) fn user(token: &str) -> Option<String> {
    let claims = claims(token);
    let named = NAMES.iter().filter_map(|name| claims[name].as_str()).map(printable);
    named.into_iter().find(|name| !name.is_empty())
}

/// The claims of a token of ours, unchecked: whoever accepts the token checks them.
pub(super) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    payload.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn jwt(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn login(answer: Value, before: Option<&str>) -> Result<Login, LoginError> {
        let tokens = serde_json::from_value::<Tokens>(answer).map_err(|_| LoginError::Answer("no tokens"))?;
        tokens.into_login(Request::default(), before.map(str::to_owned), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_token_is_the_access_token_or_where_that_is_opaque_the_identity() {
        let (access, identity) = (jwt(&json!({ "exp": 60 })), jwt(&json!({ "exp": 90 })));
        let both = login(json!({ "access_token": access, "id_token": identity, "expires_in": 7 }), None).unwrap();
        assert_eq!((both.token, both.expires_at.as_second()), (access, 60));
        let opaque = login(json!({ "access_token": "opaque", "id_token": identity, "expires_in": 7 }), None).unwrap();
        assert_eq!((opaque.token, opaque.expires_at.as_second()), (identity, 90));
        let neither = login(json!({ "access_token": "opaque" }), None);
        assert!(matches!(neither, Err(LoginError::NoJsonWebToken)));
    }

    #[test]
    fn a_token_names_its_user_as_clearly_as_it_can() {
        let of = |claims| user(&jwt(&claims));
        let all = json!({ "sub": "1", "email": "a@example.com", "preferred_username": "alice" });
        assert_eq!(of(all).as_deref(), Some("alice"));
        assert_eq!(of(json!({ "sub": "1\u{1b}[2J", "email": "" })).as_deref(), Some("1[2J"));
        assert_eq!((of(json!({})), user("opaque")), (None, None));
    }

    #[test]
    fn a_refresh_token_that_is_not_replaced_stays() {
        let token = jwt(&json!({}));
        let kept = login(json!({ "access_token": token, "expires_in": 7 }), Some("old")).unwrap();
        assert_eq!((kept.refresh_token.as_deref(), kept.expires_at.as_second()), (Some("old"), 7));
        let new = login(json!({ "access_token": token, "refresh_token": "new" }), Some("old")).unwrap();
        assert_eq!(new.refresh_token.as_deref(), Some("new"));
    }
}
