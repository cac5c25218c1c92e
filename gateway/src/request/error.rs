//! Why a request target is refused: each error names the part of the target and says what to write instead.
//!
//! Owns the sentences. None may repeat a value of the query: it could be a credential in the wrong place.

use super::{MAX_LAST_RECORDS, MAX_VALUE_BYTES};
use crate::rejection::{Rejection, RejectionKind};
use crate::stream::filter::FilterError;
use std::fmt;

/// Why a request target is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The first segment is neither the app nor its alias.
    #[error("there is no such stream here; check the path")]
    UnknownStream,
    /// The path ends with a slash, so that the channel is empty.
    #[error("the path ends with a slash, which is an empty channel: leave the slash out for the whole stream")]
    EmptyChannel,
    /// More than one segment after the app.
    #[error("a channel is one path segment: write a slash inside it as %2F")]
    ChannelOfSeveralSegments,
    /// An escape without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("{0} is not percent-encoded UTF-8: % is followed by two hexadecimal digits, and a % itself is %25")]
    Encoding(Part),
    /// Longer than [`MAX_VALUE_BYTES`].
    #[error("{0} is longer than {MAX_VALUE_BYTES} bytes")]
    TooLong(Part),
    /// A parameter that does not exist.
    #[error("{part} is not known; {}", Hint(*suggestion))]
    UnknownParameter {
        /// The parameter.
        part: Part,
        /// A known one with a similar name.
        suggestion: Option<&'static str>,
    },
    /// A parameter that this version understands and does not offer.
    #[error("the query parameter `{name}` is not offered by this version; {instead}")]
    NotOffered {
        /// The parameter.
        name: &'static str,
        /// What to do without it.
        instead: &'static str,
    },
    /// A parameter that may stand there once stands there twice.
    #[error("the query parameter `{0}` is given more than once; give it once")]
    Repeated(&'static str),
    /// No `=`, or nothing behind it.
    #[error("{0} has no value: give it one, or leave it out")]
    NoValue(Part),
    /// A value that the parameter does not have.
    #[error("the query parameter `{name}` is {expected}")]
    BadValue {
        /// The parameter.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// `from=-<n>` out of bounds.
    #[error("the query parameter `from` asks for 1 to {MAX_LAST_RECORDS} records, as in from=-100")]
    LastRecords,
    /// An API key was given as `key=`.
    #[error("the query parameter `key` is the Kafka record key; an API key belongs into `Authorization: Bearer <key>`")]
    ApiKeyAsRecordKey,
    /// A header `Last-Event-ID` that is not one of our cursors.
    #[error("the header Last-Event-ID is not a cursor of this gateway: send the last `id:` unchanged, or no header")]
    LastEventId,
    /// A comparison with the data of an event, which has no text to compare.
    #[error(
        "the query parameter `filter.data` would match nothing: the data of an event cannot be compared; compare an \
         attribute, as in `filter.subject=` or `type=`, or the record's key, as in `key=`"
    )]
    DataFilter,
    /// A comparison that is not one.
    #[error("the query parameter `filter.…` is not usable: {0}")]
    Filter(#[from] FilterError),
}

/// A part of a request target, as an error names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The path.
    Path,
    /// A parameter of this name.
    Parameter(String),
    /// A parameter whose name might be a secret, or is too long to repeat.
    UnnamedParameter,
}

/// Longest name of a parameter that is repeated; shorter than every API key that Headgate issues.
const MAX_REPEATED_NAME: usize = 40;

/// Longest name without a value that is repeated; shorter than every API key that is strong enough, since a bare `?<key>`
/// is a likely mistake.
const MAX_REPEATED_BARE_NAME: usize = 15;

impl Part {
    /// The parameter of this name, which stands without a value.
    pub(super) fn bare(name: &str) -> Self {
        if name.len() <= MAX_REPEATED_BARE_NAME { Self::parameter(name) } else { Self::UnnamedParameter }
    }

    /// The parameter of this name, which is repeated only if it looks like one.
    pub(super) fn parameter(name: &str) -> Self {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if plain && (1..=MAX_REPEATED_NAME).contains(&name.len()) {
            Self::Parameter(name.to_owned())
        } else {
            Self::UnnamedParameter
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("the path"),
            Self::Parameter(name) => write!(f, "the query parameter `{name}`"),
            Self::UnnamedParameter => f.write_str("a query parameter"),
        }
    }
}

struct Hint(Option<&'static str>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "did you mean `{name}`?"),
            None => f.write_str("remove it"),
        }
    }
}

impl RequestError {
    /// The stable word, status and headers that the answer has.
    pub const fn kind(&self) -> RejectionKind {
        match self {
            Self::UnknownStream => RejectionKind::NotFound,
            Self::UnknownParameter { .. } | Self::NotOffered { .. } => RejectionKind::UnknownParameter,
            _ => RejectionKind::BadRequest,
        }
    }
}

impl From<RequestError> for Rejection {
    fn from(error: RequestError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
