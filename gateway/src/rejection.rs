//! Every HTTP refusal before an upgrade: its status, its stable word, its headers and its JSON body.
//!
//! One table ([`RejectionKind`]) is the whole vocabulary; clients, metrics and documentation share it. A message says
//! what to do next and must never repeat a credential or say why a credential was not good enough.

use axum::response::{IntoResponse, Response};
use headgate_wire::config::AuthMode;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

/// Why a request is refused. The word of a kind never changes within a version: clients match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectionKind {
    /// The request cannot be understood.
    BadRequest,
    /// A query parameter that this endpoint or version does not have.
    UnknownParameter,
    /// A credential that is not written as its carrier demands.
    MalformedCredentials,
    /// Two carriers at once.
    MoreThanOneCredential,
    /// Credentials in the URL, where they are not allowed.
    CredentialsInUrl,
    /// No credentials, or none that are valid.
    Unauthorized,
    /// Valid credentials without the permission that the request needs.
    Forbidden,
    /// A browser page of an origin that is not allowed.
    OriginNotAllowed,
    /// No such stream here.
    NotFound,
    /// A method that this path does not have.
    MethodNotAllowed,
    /// A body larger than `limits.maxInboundBytes`.
    PayloadTooLarge,
    /// A WebSocket path without a WebSocket upgrade (RFC 9110 section 15.5.22).
    UpgradeRequired,
    /// Too many wrong credentials from one address.
    TooManyFailures,
    /// More handshakes than `limits.handshakesPerSecond`.
    TooManyHandshakes,
    /// `limits.maxConnectionsPerAddress` is reached.
    TooManyConnectionsOfAddress,
    /// `limits.maxConnectionsPerKey` is reached.
    TooManyConnectionsOfKey,
    /// `limits.maxConnections` is reached.
    GatewayFull,
    /// The gateway is about to stop; another one will answer.
    Draining,
    /// Something that the request needs is not there at the moment.
    Unavailable,
}

impl RejectionKind {
    /// Every kind, for documentation, metrics and tests.
    pub const ALL: [Self; 19] = [
        Self::BadRequest,
        Self::UnknownParameter,
        Self::MalformedCredentials,
        Self::MoreThanOneCredential,
        Self::CredentialsInUrl,
        Self::Unauthorized,
        Self::Forbidden,
        Self::OriginNotAllowed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::PayloadTooLarge,
        Self::UpgradeRequired,
        Self::TooManyFailures,
        Self::TooManyHandshakes,
        Self::TooManyConnectionsOfAddress,
        Self::TooManyConnectionsOfKey,
        Self::GatewayFull,
        Self::Draining,
        Self::Unavailable,
    ];

    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest
            | Self::UnknownParameter
            | Self::MalformedCredentials
            | Self::MoreThanOneCredential
            | Self::CredentialsInUrl => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::OriginNotAllowed => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::TooManyFailures
            | Self::TooManyHandshakes
            | Self::TooManyConnectionsOfAddress
            | Self::TooManyConnectionsOfKey => StatusCode::TOO_MANY_REQUESTS,
            Self::GatewayFull | Self::Draining | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable word: `error` in the body and the value of the metric label.
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::UnknownParameter => "UnknownParameter",
            Self::MalformedCredentials => "MalformedCredentials",
            Self::MoreThanOneCredential => "MoreThanOneCredential",
            Self::CredentialsInUrl => "CredentialsInUrl",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::OriginNotAllowed => "OriginNotAllowed",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::PayloadTooLarge => "PayloadTooLarge",
            Self::UpgradeRequired => "UpgradeRequired",
            Self::TooManyFailures => "TooManyFailures",
            Self::TooManyHandshakes => "TooManyHandshakes",
            Self::TooManyConnectionsOfAddress => "TooManyConnectionsOfAddress",
            Self::TooManyConnectionsOfKey => "TooManyConnectionsOfKey",
            Self::GatewayFull => "GatewayFull",
            Self::Draining => "Draining",
            Self::Unavailable => "Unavailable",
        }
    }

    /// Seconds after which trying again makes sense (`Retry-After`, RFC 9110 section 10.2.3), if it does.
    pub const fn default_retry_after(self) -> Option<u32> {
        match self {
            Self::TooManyHandshakes => Some(1),
            // After a wrong credential's part of the minute, the next one is looked at.
            Self::Draining | Self::Unavailable | Self::TooManyFailures => Some(2),
            Self::GatewayFull | Self::TooManyConnectionsOfAddress | Self::TooManyConnectionsOfKey => Some(10),
            _ => None,
        }
    }
}

/// A refusal, ready to be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", kind.word())]
pub struct Rejection {
    kind: RejectionKind,
    message: Cow<'static, str>,
    retry_after_seconds: Option<u32>,
    /// 401 only.
    challenge: Option<Challenge>,
    /// Methods that the path does have; 405 only.
    allow: Option<&'static str>,
}

/// How the credentials that an endpoint accepts are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Challenge {
    realm: Box<str>,
    schemes: &'static [&'static str],
}

#[derive(Serialize)]
struct Body<'r> {
    error: &'static str,
    message: &'r str,
}

impl Rejection {
    /// A refusal of this kind, with a sentence that says what to do. Secrets have no place in it.
    pub fn new(kind: RejectionKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after_seconds: kind.default_retry_after(),
            challenge: None,
            allow: None,
        }
    }

    /// 400 with a sentence.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RejectionKind::BadRequest, message)
    }

    /// 400 that names the parameter.
    pub fn unknown_parameter(name: &str) -> Self {
        Self::new(
            RejectionKind::UnknownParameter,
            format!("the query parameter `{name}` is not offered here; remove it"),
        )
    }

    /// The one 401 of an endpoint of this mode for every key and token that is wrong, unknown, mistyped or expired, and
    /// for none at all, with the challenges that could be met there (RFC 9110 section 11.6.1).
    pub fn unauthorized(realm: &str, mode: AuthMode) -> Self {
        let message = match mode {
            AuthMode::ApiKey => "valid credentials are needed: send an API key as `Authorization: Bearer <key>`",
            AuthMode::Oidc => "valid credentials are needed: send a token as `Authorization: Bearer <token>`",
            AuthMode::ApiKeyOrOidc | AuthMode::None => {
                "valid credentials are needed: send an API key or a token as `Authorization: Bearer <key or token>`"
            }
        };
        Self::unauthorized_because(realm, mode, message)
    }

    /// A 401 for a *kind* of credential; says nothing about the credential itself.
    pub fn unauthorized_because(realm: &str, mode: AuthMode, message: &'static str) -> Self {
        let schemes: &[_] = match mode {
            AuthMode::ApiKey | AuthMode::ApiKeyOrOidc => &["Bearer", "Basic"],
            // A browser would ask its user for a password, and there is none.
            AuthMode::Oidc | AuthMode::None => &["Bearer"],
        };
        let challenge = Some(Challenge { realm: realm.into(), schemes });
        Self { challenge, ..Self::new(RejectionKind::Unauthorized, message) }
    }

    /// 403: known, but not permitted.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RejectionKind::Forbidden, message)
    }

    /// 404: no such stream.
    pub fn not_found() -> Self {
        Self::new(RejectionKind::NotFound, "there is no such stream here; check the path")
    }

    /// 405 with the methods that would work, such as `GET, POST` (RFC 9110 section 10.2.1).
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let message = format!("this path understands {allow} only");
        Self { allow: Some(allow), ..Self::new(RejectionKind::MethodNotAllowed, message) }
    }

    /// 426: the path wants a WebSocket.
    pub fn upgrade_required() -> Self {
        Self::new(
            RejectionKind::UpgradeRequired,
            "open a WebSocket (RFC 6455, version 13), or send `Accept: text/event-stream`",
        )
    }

    /// 503 while the gateway stops.
    pub fn draining() -> Self {
        Self::new(RejectionKind::Draining, "this gateway is restarting; connect again")
    }

    /// The same refusal with another `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    /// Seconds after which trying again makes sense, if it does.
    pub const fn retry_after_seconds(&self) -> Option<u32> {
        self.retry_after_seconds
    }

    /// What kind of refusal it is.
    pub const fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The headers of the answer.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // A cache between us and a browser must not answer the next attempt.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(Challenge { realm, schemes }) = &self.challenge {
            for scheme in *schemes {
                let challenge = format!("{scheme} realm=\"{}\"", QuotedRealm(realm));
                if let Ok(challenge) = HeaderValue::try_from(challenge) {
                    headers.append(WWW_AUTHENTICATE, challenge);
                }
            }
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.kind == RejectionKind::UpgradeRequired {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        }
        headers
    }

    /// The JSON body `{"error","message"}`.
    pub fn body(&self) -> String {
        let body = Body { error: self.kind.word(), message: &self.message };
        serde_json::to_string(&body).unwrap_or_else(|_| format!("{{\"error\":\"{}\"}}", self.kind.word()))
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        (self.status(), self.headers(), self.body()).into_response()
    }
}

/// A realm without the characters that would end its quoted string (RFC 9110 section 5.6.4).
struct QuotedRealm<'r>(&'r str);

impl fmt::Display for QuotedRealm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).try_for_each(|c| f.write_char(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_a_word_of_its_own_in_pascal_case() {
        let words: HashSet<_> = RejectionKind::ALL.iter().map(|k| k.word()).collect();
        assert_eq!(words.len(), RejectionKind::ALL.len());
        assert!(words.iter().all(|w| w.starts_with(char::is_uppercase) && w.chars().all(char::is_alphanumeric)));
    }

    #[test]
    fn a_refusal_that_passes_says_when_to_come_back() {
        for kind in RejectionKind::ALL {
            let temporary = matches!(kind.status().as_u16(), 429 | 503);
            assert_eq!(Rejection::new(kind, "x").headers().contains_key(RETRY_AFTER), temporary, "{kind:?}");
        }
    }

    #[test]
    fn a_401_challenges_with_what_is_accepted_and_the_app_as_realm() {
        let challenges = |mode| {
            let headers = Rejection::unauthorized("or\"ders\r\n", mode).headers();
            headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect::<Vec<_>>()
        };
        let (bearer, basic) = ("Bearer realm=\"orders\"", "Basic realm=\"orders\"");
        for mode in [AuthMode::ApiKey, AuthMode::ApiKeyOrOidc] {
            assert_eq!(challenges(mode), [bearer, basic], "{mode:?}");
        }
        for mode in [AuthMode::Oidc, AuthMode::None] {
            assert_eq!(challenges(mode), [bearer], "{mode:?}");
        }
    }

    #[test]
    fn the_body_is_json_with_error_and_message_whatever_the_message_holds() {
        let body = Rejection::bad_request("a \"quoted\"\nword").body();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value, serde_json::json!({"error": "BadRequest", "message": "a \"quoted\"\nword"}));
    }

    #[test]
    fn a_405_and_a_426_name_what_would_work() {
        assert_eq!(Rejection::method_not_allowed("GET, POST").headers()[ALLOW], "GET, POST");
        let upgrade = Rejection::upgrade_required().headers();
        assert_eq!(
            (&upgrade[UPGRADE], &upgrade["sec-websocket-version"]),
            (&"websocket".parse().unwrap(), &"13".parse().unwrap())
        );
    }
}
