//! Attributes by name, for filters: those of an event as its producer wrote them, those of a plain record as
//! [`crate::encode::format`] would write them, and the reserved `headgate…` extensions from the record's position.
//!
//! Never reads a reserved extension from an event: a filter on the Kafka key cannot be deceived by a producer.

use super::{Content, Data, Record, StreamContext};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headgate_wire::endpoints::TOMBSTONE_EVENT_TYPE;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use std::borrow::Cow;
use std::io::{self, Write};

/// Names that begin like this are ours.
const RESERVED_PREFIX: &str = "headgate";
/// Kafka partition, as an integer.
pub(crate) const PARTITION: &str = "headgatepartition";
/// Kafka offset, as a string: a CloudEvents Integer has 32 bits.
pub(crate) const OFFSET: &str = "headgateoffset";
/// Kafka timestamp, RFC 3339.
pub(crate) const TIME: &str = "headgatetime";
/// Kafka key: as it is if it is UTF-8, else in base64 (RFC 4648 section 4).
pub(crate) const KEY: &str = "headgatekey";
/// The position after the record; only ever in a message, never in a filter.
pub(crate) const CURSOR: &str = "headgatecursor";

/// Digits of the largest 64-bit number: `sequence` must sort as text (CloudEvents sequence extension).
const SEQUENCE_DIGITS: usize = 20;
/// Milliseconds, as Kafka counts.
const TIME_PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

impl Record {
    /// Text form of a CloudEvents attribute or extension, for filters.
    ///
    /// Integers and booleans have their canonical string form. Plain records have the attributes that wrapping gives
    /// them. `headgatepartition`, `headgateoffset`, `headgatetime` and `headgatekey` exist on every record.
    pub fn attribute<'r>(&'r self, name: &str, context: &'r StreamContext) -> Option<Cow<'r, str>> {
        if name.starts_with(RESERVED_PREFIX) {
            return self.reserved(name);
        }
        let content = match &self.content {
            Content::Oversized { original, .. } => original.as_deref()?,
            content => content,
        };
        match content {
            Content::Structured(attributes) | Content::Binary { attributes, .. } => attributes.get(name),
            Content::Plain { attributes, data } => {
                let kind = match name {
                    "type" => Some(Cow::Borrowed(context.event_type())),
                    "datacontenttype" => data.content_type().map(Cow::Borrowed),
                    _ => None,
                };
                attributes.get(name).or(kind).or_else(|| self.synthesized(name, context))
            }
            Content::Tombstone { attributes } => {
                let kind = (name == "type").then_some(Cow::Borrowed(TOMBSTONE_EVENT_TYPE));
                attributes.get(name).or(kind).or_else(|| self.synthesized(name, context))
            }
            Content::Undecodable(_) | Content::Oversized { .. } => None,
        }
    }

    /// The key as text, if it can be a partition key (CloudEvents partitioning extension: not empty).
    pub(crate) fn partition_key(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok().filter(|key| !key.is_empty())
    }

    /// Appends the record's time as RFC 3339 with milliseconds; false if it has none or it is beyond the year 9999.
    pub(crate) fn write_time(&self, out: &mut Vec<u8>) -> bool {
        let time = self.timestamp_ms.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok());
        time.is_some_and(|time| TIME_PRINTER.print_timestamp(&time, out).is_ok())
    }

    /// Appends the offset so that it sorts as text.
    pub(crate) fn write_sequence(&self, out: &mut Vec<u8>) -> io::Result<()> {
        write!(out, "{:0SEQUENCE_DIGITS$}", self.offset)
    }

    fn synthesized(&self, name: &str, context: &StreamContext) -> Option<Cow<'_, str>> {
        match name {
            "specversion" => Some(Cow::Borrowed("1.0")),
            "id" => Some(Cow::Owned(format!("{}-{}-{}", context.topic(), self.partition, self.offset))),
            "source" => Some(Cow::Owned(format!("{}{}", context.source_prefix(), self.partition))),
            "time" => self.time().map(Cow::Owned),
            "partitionkey" => self.partition_key().map(Cow::Borrowed),
            "sequence" => Some(Cow::Owned(written(|out| self.write_sequence(out).is_ok())?)),
            _ => None,
        }
    }

    fn reserved(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            PARTITION => Some(Cow::Owned(self.partition.to_string())),
            OFFSET => Some(Cow::Owned(self.offset.to_string())),
            TIME => self.time().map(Cow::Owned),
            KEY => self
                .key
                .as_deref()
                .map(|key| std::str::from_utf8(key).map_or_else(|_| Cow::Owned(STANDARD.encode(key)), Cow::Borrowed)),
            _ => None,
        }
    }

    fn time(&self) -> Option<String> {
        written(|out| self.write_time(out))
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<String> {
    let mut text = Vec::new();
    if write(&mut text) { String::from_utf8(text).ok() } else { None }
}

impl Data {
    /// What a plain record is if no header says it.
    pub(crate) fn content_type(self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            Self::Json => Some("application/json"),
            Self::Text => Some("text/plain"),
            Self::Base64 => Some("application/octet-stream"),
        }
    }
}
