//! Frames as a server writes them: whole, unmasked, without extensions (RFC 6455 sections 5.1 and 5.2).
//!
//! Owns header layout and the payloads of control frames. It must never fragment a message or decide when to send one.

use super::{MAX_CONTROL_PAYLOAD_BYTES, Opcode};
use headgate_wire::CloseReason;

/// Most bytes of the header of a server frame.
pub const MAX_HEADER_BYTES: usize = 10;

/// FIN: the only part of its message.
const FINAL: u8 = 0x80;

/// Appends the header of one whole frame whose payload has `length` bytes, in the shortest form.
pub fn write_header(opcode: Opcode, length: usize, out: &mut Vec<u8>) {
    out.push(FINAL | opcode.bits());
    if length <= MAX_CONTROL_PAYLOAD_BYTES {
        out.push(length as u8);
    } else if let Ok(short) = u16::try_from(length) {
        out.push(126);
        out.extend_from_slice(&short.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// Appends one whole frame.
pub fn write_frame(opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(MAX_HEADER_BYTES + payload.len());
    write_header(opcode, payload.len(), out);
    out.extend_from_slice(payload);
}

/// The close frame of a reason: its code, then its words (RFC 6455 section 5.5.1).
pub fn close_frame(reason: CloseReason) -> Vec<u8> {
    let mut payload = reason.code().to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_str().as_bytes());
    control_frame(Opcode::Close, &payload)
}

/// The answer to a peer's close frame: the same code, or nothing if it had none (RFC 6455 section 5.5.1).
pub fn close_echo_frame(code: Option<u16>) -> Vec<u8> {
    code.map_or_else(|| control_frame(Opcode::Close, &[]), |code| control_frame(Opcode::Close, &code.to_be_bytes()))
}

/// A ping. Bytes of `payload` after the first [`MAX_CONTROL_PAYLOAD_BYTES`] are left out.
pub fn ping_frame(payload: &[u8]) -> Vec<u8> {
    control_frame(Opcode::Ping, payload)
}

/// The pong that answers a ping with the same payload (RFC 6455 section 5.5.3), bounded like [`ping_frame`].
pub fn pong_frame(payload: &[u8]) -> Vec<u8> {
    control_frame(Opcode::Pong, payload)
}

fn control_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let bounded = &payload[..payload.len().min(MAX_CONTROL_PAYLOAD_BYTES)];
    let mut out = Vec::with_capacity(2 + bounded.len());
    write_header(opcode, bounded.len(), &mut out);
    out.extend_from_slice(bounded);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_6455_section_5_7_are_written() {
        let mut out = Vec::new();
        write_frame(Opcode::Text, b"Hello", &mut out);
        assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(ping_frame(b"Hello"), [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        let header = |length| {
            let mut out = Vec::new();
            write_header(Opcode::Binary, length, &mut out);
            out
        };
        assert_eq!(header(0), [0x82, 0]);
        assert_eq!(header(125), [0x82, 125]);
        assert_eq!(header(126), [0x82, 126, 0, 126]);
        assert_eq!(header(65_535), [0x82, 126, 0xff, 0xff]);
        assert_eq!(header(65_536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(header(65_536).len(), MAX_HEADER_BYTES);
    }

    #[test]
    fn every_close_reason_fits_a_control_frame_with_its_code_first() {
        for reason in CloseReason::ALL {
            let frame = close_frame(reason);
            assert_eq!(usize::from(frame[1]), frame.len() - 2, "{reason}");
            assert_eq!(frame[2..4], reason.code().to_be_bytes(), "{reason}");
            assert_eq!(&frame[4..], reason.as_str().as_bytes());
        }
    }

    #[test]
    fn a_close_is_echoed_with_its_code_only() {
        assert_eq!(close_echo_frame(Some(1001)), [0x88, 2, 0x03, 0xe9]);
        assert_eq!(close_echo_frame(None), [0x88, 0]);
    }

    #[test]
    fn a_control_frame_never_exceeds_its_bound() {
        assert_eq!(pong_frame(&[7; 200]).len(), 2 + MAX_CONTROL_PAYLOAD_BYTES);
    }
}
