//! Finds the one credential of a request, whatever carries it, and tells an API key from a token by its form.
//!
//! Owns parsing only: it must never decide whether a credential is valid, and no error here may repeat one.

use crate::rejection::{Rejection, RejectionKind};
use crate::request;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use headgate_wire::config::{AuthMode, QueryCredentials};
use headgate_wire::key::looks_like_jwt;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use zeroize::Zeroizing;

/// Longest credential that is looked at, in bytes; a token with many roles fits.
pub const MAX_CREDENTIAL_BYTES: usize = 16 * 1024;
/// The answer to every credential where none is accepted.
pub(super) const ACCEPTS_NONE: &str = "this endpoint accepts no credentials; connect without any";

/// RFC 4648 section 4, with or without padding: clients forget it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where a request may carry a credential. Everything is borrowed from the request; `Debug` shows presence only.
#[derive(Clone, Copy)]
pub struct Carriers<'r> {
    /// Headers of the request; only `Authorization` is read. Cookies never are.
    pub headers: &'r HeaderMap,
    /// Decoded token of the subprotocol `base64url.bearer.authorization.k8s.io.<base64url>`.
    pub subprotocol: Option<&'r str>,
    /// Decoded query parameters.
    pub query: QueryCarrier<'r>,
}

/// Credentials in the URL, decoded. `Debug` shows presence only.
#[derive(Clone, Copy, Default)]
pub struct QueryCarrier<'r> {
    /// `?token=`: an API key or a token.
    pub token: Option<&'r str>,
    /// `?username=`: accepted and not compared, as with HTTP Basic.
    pub username: Option<&'r str>,
    /// `?api_key=`.
    pub api_key: Option<&'r str>,
    /// `?ticket=`: made for URLs, so it is allowed where other credentials are not.
    pub ticket: Option<&'r str>,
}

/// A credential, told apart by its form. `Debug` never shows it, and memory is wiped when it is dropped.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Anything that is not a token.
    ApiKey(SecretString),
    /// Exactly two dots: a JSON Web Token (RFC 7519).
    Jwt(SecretString),
    /// A ticket, known by its carrier.
    Ticket(SecretString),
}

/// Why no credential could be read. None of the variants holds any part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Several carriers, or one of them twice.
    #[error("more than one credential was sent; send exactly one")]
    MoreThanOne,
    /// Credentials in a URL, where they are not allowed.
    #[error(
        "credentials in the URL are not allowed here; use the Authorization header, or in a browser a ticket (`POST` with \
         that header to `/<app>/tickets`, then `?ticket=<ticket>`) or the subprotocol \
         `base64url.bearer.authorization.k8s.io.<base64url of the key or token>` next to `cloudevents.json` or `headgate.v1`"
    )]
    InUrl,
    /// An Authorization header with a scheme other than Bearer and Basic.
    #[error("the Authorization scheme is not accepted")]
    UnknownScheme,
    /// A credential that its carrier does not allow.
    #[error("the credential is malformed; use `Authorization: Bearer <key>` or `Basic <base64 of user:key>`")]
    Malformed,
}

impl CredentialError {
    /// The HTTP answer of an endpoint of this mode.
    pub fn into_rejection(self, realm: &str, mode: AuthMode) -> Rejection {
        match self {
            Self::MoreThanOne => Rejection::new(RejectionKind::MoreThanOneCredential, self.to_string()),
            Self::InUrl => Rejection::new(RejectionKind::CredentialsInUrl, self.to_string()),
            Self::Malformed => Rejection::new(RejectionKind::MalformedCredentials, self.to_string()),
            Self::UnknownScheme => Rejection::unauthorized_because(realm, mode, schemes_of(mode)),
        }
    }
}

/// What to send instead of an unknown scheme.
const fn schemes_of(mode: AuthMode) -> &'static str {
    match mode {
        AuthMode::ApiKey => "the Authorization scheme is not accepted; use `Bearer <key>` or `Basic <user>:<key>`",
        AuthMode::Oidc => "the Authorization scheme is not accepted; use `Bearer <token>`",
        AuthMode::ApiKeyOrOidc => {
            "the Authorization scheme is not accepted; use `Bearer <key or token>` or `Basic <user>:<key>`"
        }
        AuthMode::None => ACCEPTS_NONE,
    }
}

impl Credential {
    /// Tells by the form alone what a text is.
    fn from_text(text: &str) -> Result<Self, CredentialError> {
        if text.is_empty() || text.len() > MAX_CREDENTIAL_BYTES || text.contains(char::is_control) {
            return Err(CredentialError::Malformed);
        }
        let secret = SecretString::from(text);
        Ok(if looks_like_jwt(text) { Self::Jwt(secret) } else { Self::ApiKey(secret) })
    }
}

/// The one credential of a request; `None` if there is none at all.
pub fn extract(carriers: &Carriers<'_>, in_url: QueryCredentials) -> Result<Option<Credential>, CredentialError> {
    let query = carriers.query;
    if query.is_long_lived() && in_url == QueryCredentials::Denied {
        return Err(CredentialError::InUrl);
    }
    let headers = carriers.headers.get_all(AUTHORIZATION).iter().count();
    let in_query =
        usize::from(query.token.is_some()) + usize::from(query.api_key.is_some() || query.username.is_some());
    let in_query = in_query + usize::from(query.ticket.is_some());
    match headers + usize::from(carriers.subprotocol.is_some()) + in_query {
        0 => return Ok(None),
        1 => {}
        _ => return Err(CredentialError::MoreThanOne),
    }
    let credential = if let Some(header) = carriers.headers.get(AUTHORIZATION) {
        from_authorization(header.to_str().map_err(|_| CredentialError::Malformed)?)
    } else if let Some(ticket) = query.ticket {
        Ok(Credential::Ticket(ticket.into()))
    } else {
        let text = carriers.subprotocol.or(query.token).or(query.api_key);
        Credential::from_text(text.ok_or(CredentialError::Malformed)?)
    };
    credential.map(Some)
}

/// `Bearer` (RFC 6750 section 2.1) and `Basic` (RFC 7617); scheme names are case-insensitive (RFC 9110 section 11.1).
fn from_authorization(value: &str) -> Result<Credential, CredentialError> {
    let value = value.trim();
    let (scheme, text) = value.split_once(' ').unwrap_or((value, ""));
    let text = text.trim_start();
    if scheme.eq_ignore_ascii_case("bearer") {
        Credential::from_text(text)
    } else if scheme.eq_ignore_ascii_case("basic") {
        from_basic(text)
    } else {
        Err(CredentialError::UnknownScheme)
    }
}

/// The user name ends at the first colon, so a password may contain more of them (RFC 7617 section 2).
fn from_basic(text: &str) -> Result<Credential, CredentialError> {
    let decoded = Zeroizing::new(BASE64.decode(text).map_err(|_| CredentialError::Malformed)?);
    let pair = std::str::from_utf8(&decoded).map_err(|_| CredentialError::Malformed)?;
    let (_user, password) = pair.split_once(':').ok_or(CredentialError::Malformed)?;
    Credential::from_text(password)
}

impl QueryCarrier<'_> {
    /// True if the URL carries any part of a credential.
    pub const fn is_present(&self) -> bool {
        self.is_long_lived() || self.ticket.is_some()
    }

    /// True if what it carries would still be good when somebody reads the URL in a log.
    const fn is_long_lived(&self) -> bool {
        self.token.is_some() || self.username.is_some() || self.api_key.is_some()
    }
}

impl<'r> From<&'r request::QueryCredentials> for QueryCarrier<'r> {
    fn from(credentials: &'r request::QueryCredentials) -> Self {
        let request::QueryCredentials { token, username, api_key, ticket } = credentials;
        let [token, username, api_key, ticket] =
            [token, username, api_key, ticket].map(|secret| secret.as_ref().map(ExposeSecret::expose_secret));
        Self { token, username, api_key, ticket }
    }
}

impl fmt::Debug for QueryCarrier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryCarrier").field("present", &self.is_present()).finish()
    }
}

impl fmt::Debug for Carriers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carriers")
            .field("authorization", &self.headers.contains_key(AUTHORIZATION))
            .field("subprotocol", &self.subprotocol.is_some())
            .field("query", &self.query.is_present())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn header(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    fn from_headers(headers: &HeaderMap) -> Result<Option<Credential>, CredentialError> {
        extract(&Carriers { headers, subprotocol: None, query: QueryCarrier::default() }, QueryCredentials::Denied)
    }

    fn api_key(found: Result<Option<Credential>, CredentialError>) -> String {
        match found {
            Ok(Some(Credential::ApiKey(key))) => key.expose_secret().to_owned(),
            other => panic!("not an API key: {other:?}"),
        }
    }

    fn from_query(query: QueryCarrier<'_>) -> Result<Option<Credential>, CredentialError> {
        extract(&Carriers { headers: &HeaderMap::new(), subprotocol: None, query }, QueryCredentials::Allowed)
    }

    #[test]
    fn scheme_names_are_compared_without_case() {
        assert_eq!(api_key(from_headers(&header("bEARER  key"))), "key");
        assert_eq!(api_key(from_headers(&header("bASIC dTprZXk="))), "key");
    }

    #[test]
    fn an_unknown_scheme_and_an_empty_credential_are_refused() {
        assert_eq!(from_headers(&header("Digest x")).unwrap_err(), CredentialError::UnknownScheme);
        for malformed in ["Bearer", "Bearer ", "Basic", "Basic dQ==", "Basic dTo=", "Basic !!", "Basic /////w=="] {
            assert_eq!(from_headers(&header(malformed)).unwrap_err(), CredentialError::Malformed, "{malformed}");
        }
    }

    #[test]
    fn two_dots_make_a_token_whatever_carries_it() {
        assert!(matches!(from_headers(&header("Bearer a.b.c")), Ok(Some(Credential::Jwt(_)))));
        let basic = BASE64.encode("user:a.b.c");
        assert!(matches!(from_headers(&header(&format!("Basic {basic}"))), Ok(Some(Credential::Jwt(_)))));
        assert_eq!(api_key(from_headers(&header("Bearer a.b"))), "a.b");
        assert_eq!(api_key(from_headers(&header("Bearer a.b.c.d"))), "a.b.c.d");
    }

    #[test]
    fn any_two_carriers_at_once_are_refused_even_with_the_same_key() {
        let one = header("Bearer k");
        let mut two = one.clone();
        two.append(AUTHORIZATION, HeaderValue::from_static("Bearer k"));
        assert_eq!(from_headers(&two).unwrap_err(), CredentialError::MoreThanOne);
        let none = HeaderMap::new();
        let token = QueryCarrier { token: Some("k"), ..QueryCarrier::default() };
        let both = QueryCarrier { api_key: Some("k"), ..token };
        for (headers, subprotocol, query) in [
            (&one, Some("k"), QueryCarrier::default()),
            (&one, None, token),
            (&none, Some("k"), token),
            (&none, None, both),
        ] {
            let carriers = Carriers { headers, subprotocol, query };
            assert_eq!(extract(&carriers, QueryCredentials::Allowed).unwrap_err(), CredentialError::MoreThanOne);
        }
    }

    #[test]
    fn a_credential_in_the_url_is_refused_unless_the_endpoint_allows_it() {
        let query = QueryCarrier { username: Some("u"), api_key: Some("k"), ..QueryCarrier::default() };
        let carriers = Carriers { headers: &HeaderMap::new(), subprotocol: None, query };
        assert_eq!(extract(&carriers, QueryCredentials::Denied).unwrap_err(), CredentialError::InUrl);
        assert_eq!(api_key(extract(&carriers, QueryCredentials::Allowed)), "k");
    }

    #[test]
    fn a_user_name_without_a_key_is_malformed() {
        let query = QueryCarrier { username: Some("u"), ..QueryCarrier::default() };
        assert_eq!(from_query(query).unwrap_err(), CredentialError::Malformed);
    }

    #[test]
    fn an_overlong_credential_is_refused_unread() {
        let long = "k".repeat(MAX_CREDENTIAL_BYTES + 1);
        let query = QueryCarrier { token: Some(&long), ..QueryCarrier::default() };
        assert_eq!(from_query(query).unwrap_err(), CredentialError::Malformed);
    }

    proptest! {
        #[test]
        fn a_password_keeps_every_colon_with_and_without_padding(user in "[^:\\p{Cc}]{0,8}", password in "[a-z:é]{1,20}") {
            let padded = BASE64.encode(format!("{user}:{password}"));
            for text in [padded.as_str(), padded.trim_end_matches('=')] {
                prop_assert_eq!(&api_key(from_headers(&header(&format!("Basic {text}")))), &password);
            }
        }

        #[test]
        fn no_header_makes_the_parser_panic_or_show_itself(value in "[ -~]{0,60}", basic: bool) {
            let value = if basic { format!("Basic {}", BASE64.encode(value)) } else { value };
            let _ = from_headers(&header(&value));
        }
    }
}
