//! Which of the stored logins is meant. Pure.

use super::store::Login;
use super::token_endpoint::claims;
use serde_json::Value;

/// Which login is meant.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'w> {
    /// At this issuer; absent: at the only one there is.
    pub(crate) issuer: Option<&'w str>,
    /// For one of these audiences; none: for whatever it is.
    pub(crate) audiences: &'w [&'w str],
    /// What `headgate login` has to be called with to get it; absent: the issuer.
    pub(crate) words: Option<&'w str>,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectError {
    /// Nobody logged in there.
    #[error("nobody is logged in at {issuer}: run headgate login {words}")]
    NotLoggedIn {
        /// Where.
        issuer: String,
        /// What to call `headgate login` with.
        words: String,
    },
    /// The tokens are for something else.
    #[error(
        "the login at {issuer} is for another audience than {audiences}: run headgate login {words} with --audience or \
         --resource"
    )]
    OtherAudience {
        /// Where somebody is logged in.
        issuer: String,
        /// What the token would have to be for, separated by commas.
        audiences: String,
        /// What to call `headgate login` with.
        words: String,
    },
    /// Nobody logged in anywhere.
    #[error("nobody is logged in: run headgate login ISSUER")]
    Nowhere,
    /// Which of several.
    #[error("several logins: name one of {0}")]
    Several(String),
}

/// The newest of the logins that are meant.
pub(crate) fn newest(logins: Vec<Login>, wanted: Wanted<'_>) -> Result<Login, SelectError> {
    let Wanted { issuer, audiences, words } = wanted;
    let issuer = match issuer {
        Some(issuer) => issuer.to_owned(),
        None => only_issuer(&logins)?,
    };
    let words = words.unwrap_or(&issuer).to_owned();
    let there: Vec<Login> = logins.into_iter().filter(|login| login.request.issuer == issuer).collect();
    if there.is_empty() {
        return Err(SelectError::NotLoggedIn { issuer, words });
    }
    let fitting = there.into_iter().filter(|login| audiences.is_empty() || is_for(&login.token, audiences));
    let newest = fitting.max_by_key(|login| login.renewed_at);
    newest.ok_or_else(|| SelectError::OtherAudience { issuer, audiences: audiences.join(", "), words })
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
        let at = |issuer| Wanted { issuer: Some(issuer), ..Wanted::default() };
        let taken = |audiences: &[&str]| {
            newest(logins(), Wanted { audiences, ..at("https://a") }).map(|login| login.renewed_at.as_second())
        };
        assert_eq!(taken(&["orders", "y"]), Ok(2));
        assert_eq!(taken(&[]), Ok(3));
        assert!(matches!(taken(&["y"]), Err(SelectError::OtherAudience { .. })));
        assert!(matches!(newest(logins(), at("https://c")), Err(SelectError::NotLoggedIn { .. })));
        assert_eq!(newest(logins(), Wanted::default()), Err(SelectError::Several("https://a, https://b".to_owned())));
        assert_eq!(newest(Vec::new(), Wanted::default()), Err(SelectError::Nowhere));
    }

    #[test]
    fn the_command_that_is_missing_is_told_in_the_words_that_were_used_here() {
        let at = Wanted { issuer: Some("https://a"), audiences: &["orders"], words: None };
        let told = |logins: &[Login], wanted| newest(logins.to_vec(), wanted).map(drop).unwrap_err().to_string();
        assert_eq!(told(&[], at), "nobody is logged in at https://a: run headgate login https://a");
        let by_name = Wanted { words: Some("orders -n shop"), ..at };
        assert_eq!(told(&[], by_name), "nobody is logged in at https://a: run headgate login orders -n shop");
        let other = [meant_for("https://a", &json!("other"), 1)];
        assert!(told(&other, by_name).contains("run headgate login orders -n shop with --audience"));
    }
}
