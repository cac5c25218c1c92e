//! What a client asks for in the target and headers of a request: channel, position, format, filters, credentials.
//!
//! Owns the names and values of query parameters and refuses everything that it does not know. It must never judge a
//! credential, and never let one reach an error, a log or `Debug`.

mod error;
pub mod handshake;
mod path;
mod query;
mod redact;
mod start;

pub use error::RequestError;
pub use redact::{MAX_LOGGED_TARGET_BYTES, redacted};
pub use start::{MAX_LAST_RECORDS, StartPosition};

use headgate_wire::Filter;
use headgate_wire::config::Format;
use secrecy::SecretString;

/// Most bytes of a channel, of a record key and of a value that an attribute is compared with, after decoding: they are
/// kept as long as the connection.
pub const MAX_VALUE_BYTES: usize = 1024;

/// What a client asks for. `Debug` shows no credential.
#[derive(Debug, Clone, Default)]
pub struct StreamRequest {
    /// The channel in the path, decoded; also among `filters`.
    pub channel: Option<String>,
    /// `key=`: the Kafka record key, in UTF-8. `None` is every key, which `key=*` says too; the key `*` is `key=%2A`.
    pub key: Option<String>,
    /// `from=`. A header `Last-Event-ID` is newer and wins: see [`StartPosition::from_last_event_id`].
    pub from: Option<StartPosition>,
    /// `lastEventId=`: where polyfills of `EventSource` put the header `Last-Event-ID`; newer than `from`.
    pub last_event_id: Option<StartPosition>,
    /// `format=`.
    pub format: Option<Format>,
    /// `metadata=kafka`: partition, offset, time and key beside the event.
    pub kafka_metadata: bool,
    /// Channel, `type=` and `filter.…=`, valid and canonical, so that equal requests share a view. All must match.
    pub filters: Vec<Filter>,
    /// Credentials in the query.
    pub credentials: QueryCredentials,
}

/// Credentials in the query, decoded; whether they are allowed, and which go together, is not judged here.
#[derive(Debug, Clone, Default)]
pub struct QueryCredentials {
    /// `token=`.
    pub token: Option<SecretString>,
    /// `username=`.
    pub username: Option<SecretString>,
    /// `api_key=`.
    pub api_key: Option<SecretString>,
    /// `ticket=`.
    pub ticket: Option<SecretString>,
}

impl StreamRequest {
    /// Reads the target of a request for the stream of `app`; `path` and `query` as they came, percent-encoded.
    ///
    /// The paths are `/{app}`, `/{app}/{channel}`, `/ws` and `/ws/{channel}`. Encoding is that of RFC 3986: `%2F` belongs
    /// to the segment in which it stands, and `+` is a plus sign everywhere, so a time zone needs no escape. Paths below
    /// the app that mean something else (`tickets`, `asyncapi.json`) must have been served before.
    pub fn parse(app: &str, path: &str, query: Option<&str>) -> Result<Self, RequestError> {
        let channel = path::channel(app, path)?;
        query::parse(channel, query.unwrap_or_default())
    }
}

/// Reads the query of a request that is no stream: it may carry a credential, and nothing else.
pub fn credentials_of(query: Option<&str>) -> Result<QueryCredentials, RequestError> {
    query::credentials(query.unwrap_or_default())
}

/// Decodes percent-encoding (RFC 3986 section 2.1); `None` if an escape is broken or the result is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let escapes = text.split('%').skip(1);
    let whole =
        escapes.map(str::as_bytes).all(|escape| escape.len() >= 2 && escape[..2].iter().all(u8::is_ascii_hexdigit));
    if !whole {
        return None;
    }
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests;
