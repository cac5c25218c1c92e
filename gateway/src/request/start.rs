//! Where a stream begins: the words of `from=`, and the cursor that an `EventSource` brings back by itself.
//!
//! Owns the text forms only; what a position means in Kafka is the sources'.

use super::RequestError;
use headgate_wire::Cursor;
use jiff::Timestamp;

/// Most records that `from=-<n>` may ask for.
pub const MAX_LAST_RECORDS: u64 = 100_000;

/// What `from=` may be.
const EXPECTED: &str = "latest, earliest, a cursor taken unchanged from this stream, an RFC 3339 time with its offset, \
    or -<n> for the last n records of every partition";

/// Where a stream begins, as a client asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartPosition {
    /// With the next record.
    Latest,
    /// With the oldest record that Kafka still has.
    Earliest,
    /// Where another connection ended.
    Cursor(Cursor),
    /// With the first record of this time or later; never before 1970.
    Time(Timestamp),
    /// With the last n records, 1 to [`MAX_LAST_RECORDS`], of every partition: the same ones on every gateway.
    Last(u64),
}

impl StartPosition {
    /// Reads the decoded value of `from=`. The forms never overlap: a cursor has no colon and no leading minus.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        let refused = || RequestError::BadValue { name: "from", expected: EXPECTED };
        match text {
            "latest" => Ok(Self::Latest),
            "earliest" => Ok(Self::Earliest),
            _ if text.contains(':') => text.parse().map(Self::at).map_err(|_| refused()),
            _ => match text.strip_prefix('-') {
                Some(count) => last_records(count),
                None => text.parse().map(Self::Cursor).map_err(|_| refused()),
            },
        }
    }

    /// Kafka counts from 1970, and the negative times -1 and -2 are words of its protocol for other places.
    fn at(time: Timestamp) -> Self {
        if time < Timestamp::UNIX_EPOCH { Self::Earliest } else { Self::Time(time) }
    }

    /// Reads `Last-Event-ID` (HTML Living Standard section 9.2.4), a header that a browser sends when it reconnects, with the
    /// first target unchanged, so it wins over `from=`. Polyfills put it into the query. An empty one is none: no event has
    /// arrived yet.
    pub fn from_last_event_id(text: &str) -> Result<Option<Self>, RequestError> {
        match text.trim_ascii() {
            "" => Ok(None),
            text => text.parse().map(|cursor| Some(Self::Cursor(cursor))).map_err(|_| RequestError::LastEventId),
        }
    }
}

fn last_records(count: &str) -> Result<StartPosition, RequestError> {
    // `parse` alone would take a plus sign.
    let digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let count = if digits { count.parse().ok() } else { None };
    match count {
        Some(count @ 1..=MAX_LAST_RECORDS) => Ok(StartPosition::Last(count)),
        _ => Err(RequestError::LastRecords),
    }
}
