//! The server's half of the WebSocket opening handshake (RFC 6455 section 4.2) over the headers of a request.
//!
//! Owns which upgrade is accepted, which subprotocol is chosen and what is wrong with the rest. It must never judge a
//! credential, an origin or a path, and never put the bearer subprotocol into an answer or a log.

mod subprotocol;

pub use subprotocol::{MAX_OFFERED_SUBPROTOCOLS, Subprotocol, Subprotocols};

use crate::rejection::{Rejection, RejectionKind};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha1::{Digest as _, Sha1};

/// The only version that exists (RFC 6455 section 4.1, item 9).
pub const WEBSOCKET_VERSION: &str = "13";

/// Appended to the key before hashing (RFC 6455 section 1.3).
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of the nonce in `Sec-WebSocket-Key`.
const KEY_BYTES: usize = 16;
/// Only the decoded length matters: some clients make the key from random characters, whose spare bits are not zero.
const KEY_BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// An opening handshake that may be accepted with 101.
#[derive(Debug, Clone)]
pub struct WebSocketRequest {
    /// Value of the answer's `Sec-WebSocket-Accept`.
    pub accept: HeaderValue,
    /// What the client offered, negotiated.
    pub subprotocols: Subprotocols,
}

/// Why an opening handshake is refused. None of them repeats what the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Not GET (RFC 6455 section 4.2.1, item 1).
    #[error("a WebSocket handshake is a GET request")]
    Method,
    /// There are `Sec-WebSocket-…` headers, but one of the two hop-by-hop headers is missing.
    #[error(
        "this looks like a WebSocket handshake, but Upgrade: websocket or Connection: Upgrade is missing; \
         a proxy in between probably removes them and must be told to pass them on"
    )]
    UpgradeRemoved,
    /// HTTP/1.0 has no upgrade (RFC 6455 section 4.2.1, item 1).
    #[error(
        "a WebSocket needs HTTP/1.1, and this request came as HTTP/1.0: a proxy in between must be told to use 1.1 \
         (nginx: proxy_http_version 1.1)"
    )]
    OldHttp,
    /// `Sec-WebSocket-Version` is not 13.
    #[error("Sec-WebSocket-Version must be 13")]
    Version,
    /// `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes in base64.
    #[error("Sec-WebSocket-Key must be there once and hold 16 bytes in base64")]
    Key,
    /// `Sec-WebSocket-Protocol` is empty, no list of tokens, or too long.
    #[error("Sec-WebSocket-Protocol must be a list of at most {MAX_OFFERED_SUBPROTOCOLS} tokens separated by commas")]
    SubprotocolList,
    /// A subprotocol is offered twice (RFC 6455 section 4.1, item 10).
    #[error("Sec-WebSocket-Protocol names a subprotocol twice")]
    SubprotocolRepeated,
    /// More than one subprotocol carries a bearer token.
    #[error("Sec-WebSocket-Protocol carries more than one bearer token")]
    BearerRepeated,
    /// The bearer token is empty, not unpadded base64url, or not UTF-8.
    #[error("the bearer token in Sec-WebSocket-Protocol must be UTF-8 text in base64url without padding")]
    BearerMalformed,
    /// The bearer token is the only subprotocol, so that there is none to answer with.
    #[error("Sec-WebSocket-Protocol must offer another subprotocol beside the bearer token, such as headgate.v1")]
    BearerAlone,
}

impl HandshakeError {
    /// The stable word, status and headers that the answer has.
    pub const fn kind(self) -> RejectionKind {
        match self {
            Self::Method => RejectionKind::MethodNotAllowed,
            Self::Version => RejectionKind::UpgradeRequired,
            Self::BearerRepeated => RejectionKind::MoreThanOneCredential,
            Self::BearerMalformed | Self::BearerAlone => RejectionKind::MalformedCredentials,
            Self::UpgradeRemoved | Self::OldHttp | Self::Key | Self::SubprotocolList | Self::SubprotocolRepeated => {
                RejectionKind::BadRequest
            }
        }
    }
}

impl From<HandshakeError> for Rejection {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Method => Self::method_not_allowed("GET"),
            _ => Self::new(error.kind(), error.to_string()),
        }
    }
}

impl WebSocketRequest {
    /// Reads an opening handshake of HTTP/1.1; `Ok(None)` if the request does not ask for a WebSocket.
    pub fn parse(method: &Method, headers: &HeaderMap) -> Result<Option<Self>, HandshakeError> {
        let upgrade = lists_token(headers, &UPGRADE, "websocket");
        let meant = upgrade || headers.contains_key(SEC_WEBSOCKET_KEY) || headers.contains_key(SEC_WEBSOCKET_VERSION);
        if !meant {
            return Ok(None);
        }
        if !upgrade || !lists_token(headers, &CONNECTION, "upgrade") {
            return Err(HandshakeError::UpgradeRemoved);
        }
        if method != Method::GET {
            return Err(HandshakeError::Method);
        }
        if only_value(headers, &SEC_WEBSOCKET_VERSION) != Some(WEBSOCKET_VERSION) {
            return Err(HandshakeError::Version);
        }
        let key = only_value(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_key(key)).ok_or(HandshakeError::Key)?;
        let accept = HeaderValue::try_from(accept_key(key)).map_err(|_| HandshakeError::Key)?;
        let subprotocols = Subprotocols::negotiate(headers.get_all(SEC_WEBSOCKET_PROTOCOL))?;
        Ok(Some(Self { accept, subprotocols }))
    }
}

/// The `Sec-WebSocket-Accept` of a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2, item 5.4).
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(ACCEPT_SUFFIX).finalize())
}

fn is_key(key: &str) -> bool {
    KEY_BASE64.decode(key).is_ok_and(|nonce| nonce.len() == KEY_BYTES)
}

/// The value of a header that is there exactly once.
fn only_value<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then(|| value.trim_ascii())
}

/// Whether a comma-separated header, in all its lines, has this token in any case.
fn lists_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests;
