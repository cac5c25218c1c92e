//! The Kafka position of a record as CloudEvents extensions, asked for with `metadata=kafka`.
//!
//! Owns their order and their JSON. The prefix `headgate` is reserved: where an event already has one of these
//! extensions, what the gateway knows, or null, replaces what the producer wrote: no client resumes from a forged cursor.

use super::json;
use crate::stream::record::{Attributes, CURSOR, KEY, OFFSET, PARTITION, Record, TIME};

/// What one message says about its record's position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metadata<'m> {
    /// The record.
    pub(super) record: &'m Record,
    /// The position after it.
    pub(super) cursor: Option<&'m str>,
}

const NAMES: [&str; 5] = [PARTITION, OFFSET, TIME, KEY, CURSOR];

/// True if events have that extension from the gateway only, as far as they have it.
pub(super) fn owns(name: &str) -> bool {
    NAMES.contains(&name)
}

impl Metadata<'_> {
    /// Appends every extension, each with a comma before it.
    pub(super) fn write_members(self, payload: &mut Vec<u8>) {
        for name in NAMES {
            self.write_member(name, payload);
        }
    }

    /// Appends a structured event with the extensions before its final brace and everything else byte for byte.
    pub(super) fn write_into(self, event: &[u8], attributes: &Attributes, payload: &mut Vec<u8>) {
        let Some(end) = event.len().checked_sub(1) else { return };
        let mut copied = 0;
        for (name, value) in attributes.value_ranges() {
            let Some(name) = NAMES.into_iter().find(|reserved| reserved.as_bytes() == name) else { continue };
            payload.extend_from_slice(&event[copied..value.start]);
            if !self.write_value(name, payload) {
                payload.extend_from_slice(b"null"); // an absent attribute (CloudEvents JSON format 1.0, section 2.2)
            }
            copied = value.end;
        }
        payload.extend_from_slice(&event[copied..end]);
        for name in NAMES {
            if !attributes.contains(name) {
                self.write_member(name, payload);
            }
        }
        payload.push(b'}');
    }

    fn write_member(self, name: &str, payload: &mut Vec<u8>) {
        let before = payload.len();
        json::next_member(payload, name);
        if !self.write_value(name, payload) {
            payload.truncate(before);
        }
    }

    /// Appends a value; false, and nothing appended, if there is none.
    fn write_value(self, name: &str, payload: &mut Vec<u8>) -> bool {
        match name {
            PARTITION => json::integer(payload, i64::from(self.record.partition)),
            OFFSET => {
                payload.push(b'"');
                json::integer(payload, self.record.offset);
                payload.push(b'"');
            }
            TIME => return write_time(self.record, payload),
            KEY => match self.record.key.as_deref() {
                Some(key) => write_key(key, payload),
                None => return false,
            },
            CURSOR => match self.cursor {
                Some(cursor) => json::string(payload, cursor),
                None => return false,
            },
            _ => return false,
        }
        true
    }
}

/// Appends the record's time as a JSON string; false, and nothing appended, if it has none.
pub(super) fn write_time(record: &Record, payload: &mut Vec<u8>) -> bool {
    let before = payload.len();
    payload.push(b'"');
    if record.write_time(payload) {
        payload.push(b'"');
        return true;
    }
    payload.truncate(before);
    false
}

fn write_key(key: &[u8], payload: &mut Vec<u8>) {
    if let Ok(text) = std::str::from_utf8(key) {
        return json::string(payload, text);
    }
    payload.push(b'"');
    json::base64(payload, key);
    payload.push(b'"');
}
