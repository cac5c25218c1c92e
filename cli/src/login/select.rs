//! Which of the stored logins is meant. Pure.

use super::store::Login;
use super::token_endpoint::claims;
use serde_json::Value;

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectError {
    /// Nobody logged in there.
    #[error("nobody is logged in at {0}: run headgate login {0}")]
    NotLoggedIn(String),
    /// The tokens are for something else.
    #[error("the login at {0} is for another audience than {1}: run headgate login {0} with --audience or --resource")]
    OtherAudience(String, String),
    /// Nobody logged in anywhere.
    #[error("nobody is logged in: run headgate login ISSUER")]
    Nowhere,
    /// Which of several.
    #[error("several logins: name one of {0}")]
    Several(String),
}

/// The newest login at this issuer whose token is for one of these audiences; without an issuer, the only issuer there is,
/// and without audiences any.
pub(crate) fn newest(logins: Vec<Login>, issuer: Option<&str>, audiences: &[&str]) -> Result<Login, SelectError> {
    let issuer = match issuer {
        Some(issuer) => issuer.to_owned(),
        None => only_issuer(&logins)?,
    };
    let there: Vec<Login> = logins.into_iter().filter(|login| login.request.issuer == issuer).collect();
    if there.is_empty() {
        return Err(SelectError::NotLoggedIn(issuer));
    }
    let fitting = there.into_iter().filter(|login| audiences.is_empty() || is_for(&login.token, audiences));
    let newest = fitting.max_by_key(|login| login.renewed_at);
    newest.ok_or_else(|| SelectError::OtherAudience(issuer, audiences.join(", ")))
}

fn only_issuer(logins: &[Login]) -> Result<String, SelectError> {
    let mut issuers: Vec<&str> = logins.iter().map(|login| login.request.issuer.as_str()).collect();
    issuers.sort_unstable();
    issuers.dedup();
    match issuers[..] {
        [] => Err(SelectError::Nowhere),
        [only] => Ok(only.to_owned()),
        _ => Err(SelectError::Several(issuers.join(", "))),
    }
}

/// RFC 7519 section 4.1.3: a text, or a list of them.
fn is_for(token: &str, audiences: &[&str]) -> bool {
    let wanted = |value: &Value| value.as_str().is_some_and(|text| audiences.contains(&text));
    match &claims(token)["aud"] {
        Value::Array(members) => members.iter().any(wanted),
        one => wanted(one),
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::tests::login;
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jiff::Timestamp;
    use serde_json::json;

    fn meant_for(issuer: &str, audience: &Value, renewed: i64) -> Login {
        let payload = URL_SAFE_NO_PAD.encode(json!({ "aud": audience }).to_string());
        let renewed_at = Timestamp::from_second(renewed).unwrap();
        Login { token: format!("e30.{payload}.e30"), renewed_at, ..login(issuer, 9) }
    }

    #[test]
    fn the_newest_login_for_one_of_the_audiences_is_taken() {
        let logins = || {
            vec![
                meant_for("https://a", &json!("orders"), 1),
                meant_for("https://a", &json!(["x", "orders"]), 2),
                meant_for("https://a", &json!("other"), 3),
                meant_for("https://b", &json!("orders"), 4),
            ]
        };
        let taken =
            |audiences: &[&str]| newest(logins(), Some("https://a"), audiences).map(|l| l.renewed_at.as_second());
        assert_eq!(taken(&["orders", "y"]), Ok(2));
        assert_eq!(taken(&[]), Ok(3));
        assert!(matches!(taken(&["y"]), Err(SelectError::OtherAudience(..))));
        assert!(matches!(newest(logins(), Some("https://c"), &[]), Err(SelectError::NotLoggedIn(_))));
        assert_eq!(newest(logins(), None, &[]), Err(SelectError::Several("https://a, https://b".to_owned())));
        assert_eq!(newest(Vec::new(), None, &[]), Err(SelectError::Nowhere));
    }
}
