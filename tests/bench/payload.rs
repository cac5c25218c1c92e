//! The records that are published, and the frames in which they come back.

use anyhow::{Result, ensure};
use headgate_gateway::encode::frame::{Opcode, write_frame};

const BEFORE_STAMP: &str = r#""specversion":"1.0","id":""#;
const AFTER_STAMP: &str = r#"","source":"/bench","type":"bench.v1","data":""#;
const END: &str = r#""}"#;
const STAMP_DIGITS: usize = 16;

/// A structured CloudEvent of exactly `size` bytes with a stamp in it.
pub fn event(size: usize, stamp: u64) -> Result<Vec<u8>> {
    let fixed = 1 + BEFORE_STAMP.len() + STAMP_DIGITS + AFTER_STAMP.len() + END.len();
    ensure!(size >= fixed, "a CloudEvent has at least {fixed} bytes");
    let data = "x".repeat(size - fixed);
    Ok(format!("{{{BEFORE_STAMP}{stamp:016x}{AFTER_STAMP}{data}{END}").into_bytes())
}

/// The same of a subject, in the same number of bytes.
pub fn event_of(subject: u64, size: usize, stamp: u64) -> Result<Vec<u8>> {
    let attribute = format!(r#""subject":"{}","#, self::subject(subject));
    let mut event = event(size - attribute.len(), stamp)?;
    event.splice(1..1, attribute.bytes());
    Ok(event)
}

/// A subject; all are of the same length.
pub fn subject(number: u64) -> String {
    format!("row-{number:08}")
}

/// The same as a frame.
pub fn frame(size: usize, stamp: u64) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    write_frame(Opcode::Text, &event(size, stamp)?, &mut frame);
    Ok(frame)
}

/// The stamp of an event, if this payload is one.
pub fn stamp(payload: &[u8]) -> Option<u64> {
    let at = memchr_str(payload, BEFORE_STAMP)? + BEFORE_STAMP.len();
    let digits = payload.get(at..at + STAMP_DIGITS)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn memchr_str(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text.as_bytes())
}

/// Takes a server's byte stream apart (RFC 6455 section 5.2), keeping what is left of a frame.
#[derive(Debug, Default)]
pub struct Frames {
    rest: Vec<u8>,
    /// Bytes of the stream before `rest`.
    consumed: u64,
}

impl Frames {
    /// Calls `each` with the stream position after a frame and its payload.
    pub fn read(&mut self, bytes: &[u8], mut each: impl FnMut(u64, &[u8])) {
        self.rest.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((header, payload)) = lengths(&self.rest[at..]) {
            let end = at + header + payload;
            if end > self.rest.len() {
                break;
            }
            each(self.consumed + end as u64, &self.rest[at + header..end]);
            at = end;
        }
        self.rest.drain(..at);
        self.consumed += at as u64;
    }
}

/// Bytes of the header and of the payload of the frame that begins here.
fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? & 0x7f {
        126 => Some((4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])))),
        127 => Some((10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?)),
        short => Some((2, usize::from(short))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_whatever_the_pieces_and_carry_their_stamps() {
        let stream: Vec<u8> = (0..3u64).flat_map(|stamp| frame(200, stamp).unwrap()).collect();
        for piece in [1, 7, 203, 204, 1000] {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for bytes in stream.chunks(piece) {
                frames.read(bytes, |end, payload| seen.push((end, stamp(payload))));
            }
            assert_eq!(seen, [(204, Some(0)), (408, Some(1)), (612, Some(2))]);
        }
    }
}
