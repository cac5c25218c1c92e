//! `Sec-WebSocket-Protocol`: what a client may offer, what is chosen, and the bearer token that browsers hide in it.
//!
//! Owns the negotiation (RFC 6455 section 4.2.2; CloudEvents WebSocket binding 1.0.2 section 3.1) and the bearer form of
//! the Kubernetes API server. It must never choose or show the bearer subprotocol, and never judge the token.

use super::HandshakeError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_wire::endpoints::{SUBPROTOCOL_BEARER_PREFIX, SUBPROTOCOL_CLOUDEVENTS, SUBPROTOCOL_HEADGATE};
use http::HeaderValue;
use secrecy::SecretString;

/// Most subprotocols that one handshake may offer.
pub const MAX_OFFERED_SUBPROTOCOLS: usize = 32;

/// Result of the negotiation.
#[derive(Debug, Clone, Default)]
pub struct Subprotocols {
    /// The first offered one that this gateway speaks. Without one, the answer has no `Sec-WebSocket-Protocol`.
    pub selected: Option<Subprotocol>,
    /// The token of the bearer subprotocol, decoded; not yet known to be valid.
    pub bearer: Option<SecretString>,
}

/// Subprotocols that this gateway speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subprotocol {
    /// One structured JSON CloudEvent per text frame.
    CloudEventsJson,
    /// Headgate's own envelope.
    HeadgateV1,
}

impl Subprotocol {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CloudEventsJson => SUBPROTOCOL_CLOUDEVENTS,
            Self::HeadgateV1 => SUBPROTOCOL_HEADGATE,
        }
    }

    /// The subprotocol of this name; names are compared exactly (RFC 6455 section 4.2.2).
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::CloudEventsJson, Self::HeadgateV1].into_iter().find(|known| known.as_str() == name)
    }
}

impl Subprotocols {
    /// Negotiates over every line of the header, in the client's order.
    pub(super) fn negotiate<'h>(lines: impl IntoIterator<Item = &'h HeaderValue>) -> Result<Self, HandshakeError> {
        let offered = offered(lines)?;
        let mut bearers = offered.iter().filter_map(|name| name.strip_prefix(SUBPROTOCOL_BEARER_PREFIX));
        let bearer = bearers.next().map(decode_bearer).transpose()?;
        if bearers.next().is_some() {
            return Err(HandshakeError::BearerRepeated);
        }
        if bearer.is_some() && offered.len() == 1 {
            return Err(HandshakeError::BearerAlone);
        }
        Ok(Self { selected: offered.iter().find_map(|name| Subprotocol::from_name(name)), bearer })
    }
}

/// Every offered name. Empty list elements are passed over (RFC 9110 section 5.6.1.2), an empty header is not.
fn offered<'h>(lines: impl IntoIterator<Item = &'h HeaderValue>) -> Result<Vec<&'h str>, HandshakeError> {
    let mut names = Vec::new();
    for line in lines {
        let before = names.len();
        let line = line.to_str().map_err(|_| HandshakeError::SubprotocolList)?;
        for name in line.split(',').map(str::trim_ascii).filter(|name| !name.is_empty()) {
            if !name.bytes().all(is_token_byte) || names.len() == MAX_OFFERED_SUBPROTOCOLS {
                return Err(HandshakeError::SubprotocolList);
            }
            if names.contains(&name) {
                return Err(HandshakeError::SubprotocolRepeated);
            }
            names.push(name);
        }
        if names.len() == before {
            return Err(HandshakeError::SubprotocolList);
        }
    }
    Ok(names)
}

/// `tchar` of RFC 9110 section 5.6.2.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

fn decode_bearer(encoded: &str) -> Result<SecretString, HandshakeError> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| HandshakeError::BearerMalformed)?;
    match String::from_utf8(bytes) {
        Ok(token) if !token.is_empty() => Ok(token.into()),
        _ => Err(HandshakeError::BearerMalformed),
    }
}
