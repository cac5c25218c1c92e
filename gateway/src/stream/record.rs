//! One Kafka record, classified once, so that many views can filter and encode it without parsing it again.
//!
//! Owns what a record *is*: a CloudEvent in either mode of the CloudEvents Kafka binding, a plain record, a tombstone,
//! or something that cannot be passed on. It must never fail, never panic and never know rdkafka: producers write what
//! they like, and one bad record must not harm a stream.

mod attributes;
mod binary;
mod classify;
mod context;
mod json;
mod lookup;
mod media_type;
mod required;
#[cfg(test)]
pub(crate) mod samples;

pub use attributes::Attributes;
pub use context::StreamContext;
pub(crate) use lookup::{CURSOR, KEY, OFFSET, PARTITION, TIME};

use bytes::Bytes;
use headgate_wire::cursor::CHECK_LIMIT;

/// Nesting of arrays and objects beyond which a value no longer counts as JSON: with the members that a format puts
/// around it, it stays below the 128 levels at which common parsers, serde_json among them, give up.
pub const MAX_JSON_DEPTH: usize = 120;
/// Most attributes and extensions that one CloudEvent may have.
pub const MAX_ATTRIBUTES: usize = 256;
/// Last Kafka timestamp, in milliseconds since 1970, that RFC 3339 can write in every time zone: 9999-12-30T22:00:00Z.
const MAX_TIMESTAMP_MS: i64 = 253_402_207_200_000;

/// One Kafka header. Names may repeat; where one value is needed, the last one counts, as in Kafka's own clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Name, as the producer wrote it.
    pub name: String,
    /// Any bytes, or null.
    pub value: Option<Bytes>,
}

/// What a consumer read, before anything is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordParts {
    /// Kafka partition.
    pub partition: i32,
    /// Kafka offset.
    pub offset: i64,
    /// Kafka timestamp in milliseconds since 1970; a negative one means none.
    pub timestamp_ms: Option<i64>,
    /// Any bytes, or null.
    pub key: Option<Bytes>,
    /// In the producer's order.
    pub headers: Vec<Header>,
    /// The client library could not read the headers, so nobody knows what the record is.
    pub headers_unreadable: bool,
    /// Any bytes, or null.
    pub value: Option<Bytes>,
}

/// One Kafka record and what it is. Made by [`Record::decode`] only, and never changed afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Kafka partition.
    pub partition: i32,
    /// Kafka offset.
    pub offset: i64,
    /// Kafka timestamp in milliseconds since 1970; never negative, never beyond what RFC 3339 can write.
    pub timestamp_ms: Option<i64>,
    /// Tells this record from another one at the same offset: a checksum of time, key and value as they were produced, from
    /// 1 to below [`CHECK_LIMIT`].
    pub check: u32,
    /// Any bytes, or null; null too if the record was too large because of it.
    pub key: Option<Bytes>,
    /// In the producer's order; empty too if the record was too large because of them.
    pub headers: Vec<Header>,
    /// As it was produced; null for a tombstone and for a record that is too large.
    pub value: Option<Bytes>,
    /// What the value looks like, whatever the headers say.
    pub body: Body,
    /// What the record is.
    pub content: Content,
}

/// What a value looks like, whatever the headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    Null,
    /// JSON (RFC 8259), without the byte order mark and the white space that may surround it.
    Json(Bytes),
    /// UTF-8 that is not JSON; `NaN`, `Infinity` and nesting beyond [`MAX_JSON_DEPTH`] are not JSON.
    Text,
    /// Not UTF-8.
    Bytes,
}

/// What a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A CloudEvent in structured mode, JSON format: [`Body::Json`] is the event. Either the `content-type` header
    /// says so, or it is missing, as producers often forget it, and the value is a JSON object with everything that
    /// CloudEvents 1.0 requires.
    Structured(Attributes),
    /// A CloudEvent in binary mode: its attributes were `ce_` headers, the value is its data. Without a value it is an
    /// event without data (CloudEvents Kafka binding, section 3.2.2).
    Binary {
        /// As the producer wrote them, with `datacontenttype` from the `content-type` header.
        attributes: Attributes,
        /// How the value goes into the JSON format.
        data: Data,
    },
    /// Not a CloudEvent.
    Plain {
        /// `subject` and `datacontenttype`, if headers give them; everything else comes from the position.
        attributes: Attributes,
        /// How the value goes into the JSON format.
        data: Data,
    },
    /// A null value that is not a CloudEvent in binary mode: a deletion in a compacted topic.
    Tombstone {
        /// `subject`, if a header gives it.
        attributes: Attributes,
    },
    /// Claims to be a CloudEvent and is not, or is one in a format other than JSON. The word says why, and is stable
    /// enough for a metric label.
    Undecodable(&'static str),
    /// Larger than the gateway's log allows: the value is gone.
    Oversized {
        /// Size of the record as it was, in bytes.
        bytes: usize,
        /// What the record was, so that filters still decide who is told; `None` if even that was too large or could
        /// not be decoded.
        original: Option<Box<Content>>,
    },
}

/// How data goes into the CloudEvents JSON format 1.0, section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// Not at all: the event has none.
    Absent,
    /// `data`, byte for byte.
    Json,
    /// `data`, as a string.
    Text,
    /// `data_base64`.
    Base64,
}

impl Record {
    /// Classifies a record. Linear in its size; allocates for the attributes of an event, never for its data.
    ///
    /// `max_bytes` bounds key, headers (each with the memory that it occupies here) and value together; what is larger
    /// becomes [`Content::Oversized`].
    pub fn decode(parts: RecordParts, max_bytes: usize) -> Self {
        let bytes = parts.bytes();
        let check = check(&parts);
        let (body, mut content) = classify::classify(&parts);
        if parts.headers_unreadable {
            content = Content::Undecodable("headers-not-utf8");
        }
        let RecordParts { partition, offset, timestamp_ms, key, headers, value, .. } = parts;
        let timestamp_ms = timestamp_ms.filter(|milliseconds| (0..=MAX_TIMESTAMP_MS).contains(milliseconds));
        let record = Self { partition, offset, timestamp_ms, check, key, headers, value, body, content };
        if bytes > max_bytes { record.without_value(bytes, max_bytes) } else { record }
    }

    /// Memory that the record holds on to, in bytes, for budgets. A value that is part of a larger shared buffer counts
    /// as itself only.
    pub fn memory_bytes(&self) -> usize {
        let value = self.value.as_ref().map_or(0, Bytes::len);
        size_of::<Self>() + bytes_beside_value(self.key.as_ref(), &self.headers) + value + self.content.memory_bytes()
    }

    /// True if nothing can be said about the record's attributes, so that no filter matches it.
    pub fn is_opaque(&self) -> bool {
        matches!(self.content, Content::Undecodable(_) | Content::Oversized { original: None, .. })
    }

    /// The value as text, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        match self.body {
            Body::Json(_) | Body::Text => std::str::from_utf8(self.value.as_deref()?).ok(),
            Body::Null | Body::Bytes => None,
        }
    }

    fn without_value(self, bytes: usize, max_bytes: usize) -> Self {
        let (mut key, mut headers) = (self.key, self.headers);
        let mut original = match self.content {
            Content::Undecodable(_) => None,
            content => Some(Box::new(content.without_value())),
        };
        let kept = original.as_ref().map_or(0, |content| content.memory_bytes());
        if kept + bytes_beside_value(key.as_ref(), &headers) > max_bytes {
            (original, key, headers) = (None, None, Vec::new());
        }
        let key = key.map(|key| Bytes::copy_from_slice(&key)); // not a part of the large buffer any more
        let content = Content::Oversized { bytes, original };
        Self { key, headers, value: None, body: Body::Null, content, ..self }
    }
}

impl RecordParts {
    fn bytes(&self) -> usize {
        bytes_beside_value(self.key.as_ref(), &self.headers) + self.value.as_ref().map_or(0, Bytes::len)
    }
}

impl Content {
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Structured(attributes) => attributes.memory_bytes(),
            Self::Binary { attributes, .. } | Self::Plain { attributes, .. } | Self::Tombstone { attributes } => {
                attributes.memory_bytes()
            }
            Self::Undecodable(_) => 0,
            Self::Oversized { original, .. } => {
                original.as_ref().map_or(0, |content| size_of::<Self>() + content.memory_bytes())
            }
        }
    }

    fn without_value(self) -> Self {
        match self {
            Self::Structured(attributes) => Self::Structured(attributes.detached()),
            other => other, // their attributes are copies of headers
        }
    }
}

fn bytes_beside_value(key: Option<&Bytes>, headers: &[Header]) -> usize {
    let header =
        |header: &Header| size_of::<Header>() + header.name.len() + header.value.as_ref().map_or(0, Bytes::len);
    key.map_or(0, Bytes::len) + headers.iter().map(header).sum::<usize>()
}

/// A checksum of what was produced. Null and empty differ.
fn check(parts: &RecordParts) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&parts.timestamp_ms.unwrap_or(-1).to_le_bytes());
    for field in [&parts.key, &parts.value] {
        hasher.update(&field.as_ref().map_or(-1, |bytes| bytes.len() as i64).to_le_bytes());
        hasher.update(field.as_deref().unwrap_or_default());
    }
    hasher.finalize() % (CHECK_LIMIT - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::samples::{any_parts, header};
    use super::*;
    use proptest::prelude::*;

    fn with_subject(padding: usize) -> RecordParts {
        let value = format!(
            r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"a","data":"{}"}}"#,
            "x".repeat(padding)
        );
        RecordParts { key: Some(Bytes::from_static(b"k")), value: Some(value.into()), ..RecordParts::default() }
    }

    #[test]
    fn an_oversized_event_loses_its_data_but_is_still_found_by_its_attributes() {
        let record = Record::decode(with_subject(100_000), 1000);
        let context = StreamContext::new("t", "");
        assert!(matches!(record.content, Content::Oversized { bytes: 100_000.., original: Some(_) }));
        assert_eq!(record.value, None);
        assert_eq!(record.attribute("subject", &context).as_deref(), Some("a"));
        assert_eq!(record.attribute("headgatekey", &context).as_deref(), Some("k"));
        assert!(record.memory_bytes() < 1000, "{}", record.memory_bytes());
    }

    #[test]
    fn a_record_that_is_too_large_because_of_its_headers_keeps_none_of_them() {
        let headers = vec![header("subject", "s".repeat(2000))];
        let record = Record::decode(RecordParts { headers, ..with_subject(0) }, 1000);
        assert!(matches!(record.content, Content::Oversized { original: None, .. }));
        assert!(record.headers.is_empty() && record.key.is_none() && record.is_opaque());
    }

    #[test]
    fn a_timestamp_that_no_calendar_has_is_left_out() {
        for odd in [i64::MIN, -1, MAX_TIMESTAMP_MS + 1, i64::MAX] {
            let parts = RecordParts { timestamp_ms: Some(odd), ..RecordParts::default() };
            assert_eq!(Record::decode(parts, usize::MAX).timestamp_ms, None);
        }
        let parts = RecordParts { timestamp_ms: Some(MAX_TIMESTAMP_MS), ..RecordParts::default() };
        let record = Record::decode(parts, usize::MAX);
        let time = record.attribute("time", &StreamContext::new("t", "")).map(String::from);
        assert_eq!(time.as_deref(), Some("9999-12-30T22:00:00.000Z"));
    }

    proptest! {
        #[test]
        fn no_record_makes_decoding_panic_and_its_memory_is_bounded(parts in any_parts(), max_bytes in 0usize..4000) {
            let record = Record::decode(parts, max_bytes);
            prop_assert!(record.memory_bytes() <= 4 * max_bytes + 2 * size_of::<Record>() + 10_000);
            if let Content::Oversized { .. } = record.content {
                prop_assert!(record.memory_bytes() <= max_bytes + size_of::<Record>() + size_of::<Content>());
                prop_assert_eq!(record.value, None);
            }
        }

        #[test]
        fn every_event_has_what_cloudevents_requires(parts in any_parts()) {
            let record = Record::decode(parts, usize::MAX);
            let context = StreamContext::new("t", "");
            for name in ["specversion", "id", "source", "type"] {
                let value = record.attribute(name, &context);
                prop_assert_eq!(value.is_some_and(|value| !value.is_empty()), !record.is_opaque(), "{}", name);
            }
        }
    }
}
