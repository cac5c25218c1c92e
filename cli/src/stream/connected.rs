//! What is said when a stream is open, so that silence is known to be that of the stream. Pure.

use super::credentials::Credential;
use crate::login::user;
use headgate_wire::key::looks_like_jwt;
use http::Uri;

/// Where the stream is and as whom it was opened.
pub(super) fn sentence(address: &Uri, credential: &Credential) -> String {
    let host = address.authority().map(ToString::to_string).unwrap_or_default();
    format!("connected to {host}{}{}; waiting for events", address.path(), whom(credential))
}

/// As whom, as far as the credential tells without being shown.
fn whom(credential: &Credential) -> String {
    match credential.text() {
        None => ", without credentials".to_owned(),
        Some(token) if looks_like_jwt(token) => match user(token) {
            Some(user) => format!(" as {user}"),
            None => " with a token".to_owned(),
        },
        Some(_) => " with an API key".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::credentials::{from_key, from_token};
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn it_is_said_where_and_as_whom_and_never_with_what() {
        let told = |credential: &Credential| sentence(&"ws://h:1/orders?type=a".parse().unwrap(), credential);
        assert_eq!(told(&Credential::Anonymous), "connected to h:1/orders, without credentials; waiting for events");
        let key = from_key("the-secret-key").unwrap();
        assert_eq!(told(&key), "connected to h:1/orders with an API key; waiting for events");
        let token = |claims: &str| from_token(&format!("e30.{}.e30", URL_SAFE_NO_PAD.encode(claims))).unwrap();
        assert_eq!(told(&token(r#"{"sub":"alice"}"#)), "connected to h:1/orders as alice; waiting for events");
        assert_eq!(told(&token("{}")), "connected to h:1/orders with a token; waiting for events");
    }
}
