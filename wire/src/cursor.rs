//! The cursor: a position in a topic that any gateway understands, as text that fits a URL.
//!
//! Version 1: one byte of version, then the number of partitions and the next offset of every partition as LEB128 numbers,
//! in unpadded base64url (RFC 4648 section 5).
//!
//! Version 2 adds what tells whether the topic is still the one that the position was taken in: a check of the topic's id
//! and the newest of the times that follow, as LEB128 numbers, then for each partition what is known of the record before
//! the position: three bytes with its check, and by how much its time is before the newest, plus 1; 0 is unknown. A topic that was deleted and made again has another id; one that was truncated or restored
//! has another record there. Offsets alone cannot tell: a new topic that is long enough has the old ones, too. The client
//! library tells neither the leader epoch of a record nor, but for its log, the id of a topic, and a copy of a log has the
//! epochs of the original, so the record itself is what can be relied on.
//!
//! A cursor of 1,000 partitions takes about 10 KiB, without checks about 5 KiB. It carries no pod and no session.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::str::FromStr;

/// More partitions than any one topic of a healthy cluster; bounds what a hostile cursor can allocate.
pub const MAX_PARTITIONS: usize = 10_000;

/// Offsets only.
const VERSION: u8 = 1;
/// Offsets, and what the topic held before them.
const VERSION_WITH_CHECKS: u8 = 2;
/// Bytes of the check of a record.
const CHECK_BYTES: usize = 3;
/// Checks are below this; 0 says that nothing is known.
pub const CHECK_LIMIT: u32 = 1 << (8 * CHECK_BYTES);

/// What is known of a record that a client has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Seen {
    /// Tells it from another record at the same offset; below [`CHECK_LIMIT`], 0 = unknown.
    pub check: u32,
    /// Its time in milliseconds since 1970; 0 = unknown.
    pub time_ms: i64,
}

/// The next offset of every partition, by partition number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Cursor {
    /// Index = partition, value = the first offset that the client has not seen.
    pub next: Vec<i64>,
    /// Index = partition, value = what is known of the record before `next`. As long as `next`, or empty.
    pub seen: Vec<Seen>,
    /// A check of the topic's id; 0 = unknown.
    pub topic: u32,
}

/// Why a text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not base64url, or cut short.
    #[error("not a cursor: take it unchanged from a `ready`, `event` or `cursor` message")]
    Malformed,
    /// Made by another version of Headgate.
    #[error("cursor version {0} is not understood by this gateway")]
    Version(u8),
    /// Names more than [`MAX_PARTITIONS`] partitions.
    #[error("cursor names more than 10000 partitions")]
    TooManyPartitions,
}

impl Cursor {
    /// The text form, appended to `out` (no allocation beyond it).
    pub fn write_to(&self, out: &mut String) {
        let has_checks = self.topic != 0 || self.seen.iter().any(|seen| *seen != Seen::default());
        let mut bytes = Vec::with_capacity(12 + self.next.len() * 10);
        bytes.push(if has_checks { VERSION_WITH_CHECKS } else { VERSION });
        push_varint(&mut bytes, self.next.len() as u64);
        for offset in &self.next {
            push_varint(&mut bytes, (*offset).max(0) as u64);
        }
        if has_checks {
            self.push_seen(&mut bytes);
        }
        URL_SAFE_NO_PAD.encode_string(&bytes, out);
    }

    fn push_seen(&self, bytes: &mut Vec<u8>) {
        let newest = self.seen.iter().map(|seen| seen.time_ms).max().unwrap_or(0).max(0);
        push_varint(bytes, self.topic.into());
        push_varint(bytes, newest as u64);
        for partition in 0..self.next.len() {
            let Seen { check, time_ms } = self.seen.get(partition).copied().unwrap_or_default();
            bytes.extend_from_slice(&check.to_be_bytes()[size_of::<u32>() - CHECK_BYTES..]);
            push_varint(bytes, if time_ms > 0 { (newest - time_ms) as u64 + 1 } else { 0 });
        }
    }

    fn take_seen(&mut self, rest: &mut &[u8]) -> Result<(), CursorError> {
        let number = |number: u64| i64::try_from(number).map_err(|_| CursorError::Malformed);
        self.topic = u32::try_from(take_varint(rest)?).map_err(|_| CursorError::Malformed)?;
        let newest = number(take_varint(rest)?)?;
        for _ in 0..self.next.len() {
            let (check, after) = rest.split_at_checked(CHECK_BYTES).ok_or(CursorError::Malformed)?;
            *rest = after;
            let check = check.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
            let time_ms = match number(take_varint(rest)?)? {
                0 => 0,
                age => newest.checked_sub(age - 1).filter(|time| *time > 0).ok_or(CursorError::Malformed)?,
            };
            self.seen.push(Seen { check, time_ms });
        }
        Ok(())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_to(&mut text);
        f.write_str(&text)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Malformed)?;
        let (version, mut rest) = bytes.split_first().ok_or(CursorError::Malformed)?;
        if ![VERSION, VERSION_WITH_CHECKS].contains(version) {
            return Err(CursorError::Version(*version));
        }
        let partitions = take_varint(&mut rest)?;
        if partitions > MAX_PARTITIONS as u64 {
            return Err(CursorError::TooManyPartitions);
        }
        let mut next = Vec::with_capacity(partitions as usize);
        for _ in 0..partitions {
            next.push(i64::try_from(take_varint(&mut rest)?).map_err(|_| CursorError::Malformed)?);
        }
        let mut cursor = Self { next, ..Self::default() };
        if *version == VERSION_WITH_CHECKS {
            cursor.take_seen(&mut rest)?;
        }
        if rest.is_empty() { Ok(cursor) } else { Err(CursorError::Malformed) }
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, CursorError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(CursorError::Malformed)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(CursorError::Malformed);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CursorError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cursor_that_was_cut_is_refused() {
        let without_checks = Cursor { next: vec![5, 1_000_000, 7], ..Cursor::default() };
        let with_checks = Cursor {
            seen: [1, 0, 3].map(|check| Seen { check, time_ms: 1_700_000_000_000 * i64::from(check.min(1)) }).to_vec(),
            topic: 5,
            ..without_checks.clone()
        };
        for text in [without_checks.to_string(), with_checks.to_string()] {
            for end in 0..text.len() {
                assert!(text[..end].parse::<Cursor>().is_err(), "accepted {}", &text[..end]);
            }
        }
    }

    #[test]
    fn a_cursor_of_another_version_is_refused_by_its_number() {
        let text = URL_SAFE_NO_PAD.encode([9, 0]);
        assert_eq!(text.parse::<Cursor>(), Err(CursorError::Version(9)));
    }

    #[test]
    fn the_first_version_never_changes() {
        assert_eq!(Cursor { next: vec![0, 300, 42], ..Cursor::default() }.to_string(), "AQMArAIq");
    }

    proptest! {
        #[test]
        fn every_position_survives_the_round_trip(next in proptest::collection::vec(0..i64::MAX, 0..50)) {
            let cursor = Cursor { next, ..Cursor::default() };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
        }

        #[test]
        fn what_was_known_of_the_topic_survives_the_round_trip(
            partitions in proptest::collection::vec((0..i64::MAX, 1..CHECK_LIMIT, 0..i64::MAX), 0..50),
            topic in 1..u32::MAX,
        ) {
            let next = partitions.iter().map(|(next, _, _)| *next).collect();
            let seen = partitions.iter().map(|(_, check, time_ms)| Seen { check: *check, time_ms: *time_ms }).collect();
            let cursor = Cursor { next, seen, topic };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = text.parse::<Cursor>();
        }
    }
}
