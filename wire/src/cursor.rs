//! The cursor: a position in a topic that any gateway understands, as text that fits a URL.
//!
//! One byte of version, then the number of partitions and the next offset of every partition as LEB128 numbers, in
//! unpadded base64url (RFC 4648 section 5). It carries nothing else: no pod, no session, no time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::str::FromStr;

/// More partitions than any one topic of a healthy cluster; bounds what a hostile cursor can allocate.
pub const MAX_PARTITIONS: usize = 10_000;

const VERSION: u8 = 1;

/// The next offset of every partition, by partition number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Cursor {
    /// Index = partition, value = the first offset that the client has not seen.
    pub next: Vec<i64>,
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
        let mut bytes = Vec::with_capacity(2 + self.next.len() * 5);
        bytes.push(VERSION);
        push_varint(&mut bytes, self.next.len() as u64);
        for offset in &self.next {
            push_varint(&mut bytes, (*offset).max(0) as u64);
        }
        URL_SAFE_NO_PAD.encode_string(&bytes, out);
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
        if *version != VERSION {
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
        if rest.is_empty() { Ok(Self { next }) } else { Err(CursorError::Malformed) }
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
        let text = Cursor { next: vec![5, 1_000_000, 7] }.to_string();
        for end in 0..text.len() {
            assert!(text[..end].parse::<Cursor>().is_err(), "accepted {}", &text[..end]);
        }
    }

    #[test]
    fn a_cursor_of_another_version_is_refused_by_its_number() {
        let text = URL_SAFE_NO_PAD.encode([9, 0]);
        assert_eq!(text.parse::<Cursor>(), Err(CursorError::Version(9)));
    }

    #[test]
    fn the_first_version_never_changes() {
        assert_eq!(Cursor { next: vec![0, 300, 42] }.to_string(), "AQMArAIq");
    }

    proptest! {
        #[test]
        fn every_position_survives_the_round_trip(next in proptest::collection::vec(0..i64::MAX, 0..50)) {
            let cursor = Cursor { next };
            prop_assert_eq!(cursor.to_string().parse::<Cursor>(), Ok(cursor));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = text.parse::<Cursor>();
        }
    }
}
