//! One client's frames, incrementally: masked, whole or fragmented, in pieces of any size (RFC 6455 sections 5.2 to 5.5).
//!
//! Owns the bytes of the message that is just coming in, and nothing between two messages. It must never hold more than
//! the limit, reserve memory because a header says so, or take in anything after an error but the end of it: the close frame
//! with which the client answers ours.

use super::{MAX_CONTROL_PAYLOAD_BYTES, Opcode};
use headgate_wire::CloseReason;

/// Most frames of one fragmented message: a client cannot keep a message open forever with empty ones.
pub const MAX_FRAGMENTS_PER_MESSAGE: u16 = 4096;

/// Two bytes, up to eight of length, four of mask.
const MAX_HEADER_BYTES: usize = 14;
const MASK_BYTES: usize = 4;
const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A whole text message.
    Text(String),
    /// A binary message has begun; nothing of it or after it is read.
    Binary,
    /// Asks for a pong with the same payload, at most [`MAX_CONTROL_PAYLOAD_BYTES`].
    Ping(Vec<u8>),
    /// An answer to a ping, or an unasked sign of life.
    Pong,
    /// The peer closes, with a valid code or without one; nothing after it is read. After an error it is the answer to
    /// our close, and has no code.
    Close(Option<u16>),
}

/// Incremental parser of one client's frames.
#[derive(Debug)]
pub struct Parser {
    phase: Phase,
    header: [u8; MAX_HEADER_BYTES],
    header_length: u8,
    frame: Frame,
    /// Bytes of payload that nobody wants, still to come.
    unwanted: u64,
    /// Frames of the unfinished text message; 0 = there is none.
    fragments: u16,
    max_message_bytes: u32,
    message: Vec<u8>,
    /// Apart from `message`, because control frames may stand between the frames of a message.
    control: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Header,
    Payload,
    /// After an error: frames are passed over as they stand, whatever is wrong with them, until one closes.
    Discarding,
    Finished,
}

/// The frame whose payload is being read.
#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: Opcode,
    last: bool,
    /// Bytes of payload still to come.
    remaining: u32,
    /// Turned so that its first byte is the one for the next byte of payload.
    mask: [u8; MASK_BYTES],
}

impl Parser {
    /// For messages of at most `max_message_bytes` bytes of payload.
    pub const fn new(max_message_bytes: u32) -> Self {
        Self {
            phase: Phase::Header,
            header: [0; MAX_HEADER_BYTES],
            header_length: 0,
            frame: Frame { opcode: Opcode::Pong, last: true, remaining: 0, mask: [0; MASK_BYTES] },
            unwanted: 0,
            fragments: 0,
            max_message_bytes,
            message: Vec::new(),
            control: Vec::new(),
        }
    }

    /// Takes bytes from the front of `input` up to the end of the next message.
    ///
    /// `Ok(None)` means that `input` is used up: call again with the next bytes from the socket. An error is the reason to
    /// close with (RFC 6455 sections 5 and 8.1). After an error or `Binary`, only a close frame comes out (section 7.1.1:
    /// with it the closing handshake is complete); after `Close`, further input is swallowed.
    pub fn next_message(&mut self, input: &mut &[u8]) -> Result<Option<Inbound>, CloseReason> {
        let result = self.advance(input);
        self.phase = match result {
            Ok(Some(Inbound::Close(_))) => Phase::Finished,
            Err(_) | Ok(Some(Inbound::Binary)) => Phase::Discarding,
            Ok(_) => return result,
        };
        self.message = Vec::new();
        self.control = Vec::new();
        result
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Inbound>, CloseReason> {
        loop {
            match self.phase {
                Phase::Finished => {
                    *input = &[];
                    return Ok(None);
                }
                Phase::Discarding => return Ok(self.discard(input)),
                Phase::Header => {
                    if !self.fill_header(input)? {
                        return Ok(None);
                    }
                    if self.frame.opcode == Opcode::Binary {
                        return Ok(Some(Inbound::Binary));
                    }
                    self.phase = Phase::Payload;
                }
                Phase::Payload => {
                    self.fill_payload(input);
                    if self.frame.remaining > 0 {
                        return Ok(None);
                    }
                    self.phase = Phase::Header;
                    if let Some(message) = self.finish_frame()? {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }

    /// True once `self.frame` describes a frame whose payload comes next (or whose payload nobody wants).
    fn fill_header(&mut self, input: &mut &[u8]) -> Result<bool, CloseReason> {
        loop {
            let have = usize::from(self.header_length);
            let wanted = if have < 2 { 2 } else { 2 + length_bytes(self.header[1]) + MASK_BYTES };
            let (piece, rest) = input.split_at(input.len().min(wanted - have));
            self.header[have..have + piece.len()].copy_from_slice(piece);
            self.header_length += piece.len() as u8;
            *input = rest;
            let have = usize::from(self.header_length);
            if have < wanted {
                return Ok(false);
            }
            if have > 2 {
                self.start_payload()?;
                self.header_length = 0;
                return Ok(true);
            }
            self.start_frame()?;
            if self.frame.opcode == Opcode::Binary {
                return Ok(true);
            }
        }
    }

    /// Passes over whole frames, beginning with the rest of the one that was refused, until one of them closes.
    fn discard(&mut self, input: &mut &[u8]) -> Option<Inbound> {
        loop {
            let skipped = usize::try_from(self.unwanted).unwrap_or(usize::MAX).min(input.len());
            *input = &input[skipped..];
            self.unwanted -= skipped as u64;
            if self.unwanted > 0 {
                return None;
            }
            if self.frame.opcode == Opcode::Close {
                return Some(Inbound::Close(None));
            }
            if !self.fill_any_header(input) {
                return None;
            }
            self.header_length = 0;
            self.unwanted = self.payload_length();
            let closes = Opcode::from_bits(self.header[0] & OPCODE) == Some(Opcode::Close);
            self.frame.opcode = if closes { Opcode::Close } else { Opcode::Pong };
        }
    }

    /// True once the header of a frame is complete, however wrong it is.
    fn fill_any_header(&mut self, input: &mut &[u8]) -> bool {
        loop {
            let have = usize::from(self.header_length);
            let masked = self.header[1] & MASKED != 0;
            let wanted = match have {
                0 | 1 => 2,
                _ => 2 + length_bytes(self.header[1]) + if masked { MASK_BYTES } else { 0 },
            };
            if have > 1 && have == wanted {
                return true;
            }
            let (piece, rest) = input.split_at(input.len().min(wanted - have));
            self.header[have..have + piece.len()].copy_from_slice(piece);
            self.header_length += piece.len() as u8;
            *input = rest;
            if piece.is_empty() {
                return false;
            }
        }
    }

    /// Judges the first two bytes of a header.
    fn start_frame(&mut self) -> Result<(), CloseReason> {
        let [first, second, ..] = self.header;
        let opcode = Opcode::from_bits(first & OPCODE).ok_or(CloseReason::ProtocolError)?;
        let last = first & FINAL != 0;
        let length = usize::from(second & !MASKED);
        let in_order = match opcode {
            Opcode::Continuation => self.fragments > 0,
            Opcode::Text | Opcode::Binary => self.fragments == 0,
            Opcode::Close | Opcode::Ping | Opcode::Pong => last && length <= MAX_CONTROL_PAYLOAD_BYTES,
        };
        if first & RESERVED != 0 || second & MASKED == 0 || !in_order {
            return Err(CloseReason::ProtocolError);
        }
        self.frame = Frame { opcode, last, remaining: 0, mask: [0; MASK_BYTES] };
        Ok(())
    }

    /// Judges the length of a frame and takes its mask, both from the complete header.
    fn start_payload(&mut self) -> Result<(), CloseReason> {
        let extra = length_bytes(self.header[1]);
        let length = self.payload_length();
        let shortest = match extra {
            0 => 0,
            2 => MAX_CONTROL_PAYLOAD_BYTES as u64 + 1,
            _ => u64::from(u16::MAX) + 1,
        };
        if length < shortest || length > i64::MAX as u64 {
            return Err(CloseReason::ProtocolError);
        }
        if !self.frame.opcode.is_control() {
            let room = u64::from(self.max_message_bytes) - self.message.len() as u64;
            if length > room {
                return Err(CloseReason::MessageTooLarge);
            }
            self.fragments += 1;
            if self.fragments > MAX_FRAGMENTS_PER_MESSAGE {
                return Err(CloseReason::OverLimit);
            }
        }
        self.frame.remaining = length as u32;
        self.frame.mask.copy_from_slice(&self.header[2 + extra..2 + extra + MASK_BYTES]);
        Ok(())
    }

    /// What the complete header says about the length of the payload, in bytes.
    fn payload_length(&self) -> u64 {
        match length_bytes(self.header[1]) {
            0 => u64::from(self.header[1] & !MASKED),
            extra => self.header[2..2 + extra].iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
        }
    }

    /// Unmasks what is there of the payload (RFC 6455 section 5.3).
    fn fill_payload(&mut self, input: &mut &[u8]) {
        let frame = &mut self.frame;
        let (piece, rest) = input.split_at(input.len().min(frame.remaining as usize));
        *input = rest;
        let (buffer, bound) = if frame.opcode.is_control() {
            (&mut self.control, MAX_CONTROL_PAYLOAD_BYTES)
        } else if frame.last {
            let whole = self.message.len() + frame.remaining as usize;
            (&mut self.message, whole)
        } else {
            (&mut self.message, self.max_message_bytes as usize)
        };
        grow(buffer, piece.len(), bound);
        buffer.extend(piece.iter().zip(frame.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame.mask.rotate_left(piece.len() % MASK_BYTES);
        frame.remaining -= piece.len() as u32;
    }

    /// The message that ends with this frame, if one does.
    fn finish_frame(&mut self) -> Result<Option<Inbound>, CloseReason> {
        match self.frame.opcode {
            Opcode::Continuation | Opcode::Text | Opcode::Binary if !self.frame.last => Ok(None),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                self.fragments = 0;
                let text = String::from_utf8(std::mem::take(&mut self.message));
                text.map(|text| Some(Inbound::Text(text))).map_err(|_| CloseReason::NotUtf8)
            }
            Opcode::Ping => Ok(Some(Inbound::Ping(std::mem::take(&mut self.control)))),
            Opcode::Pong => {
                self.control = Vec::new();
                Ok(Some(Inbound::Pong))
            }
            Opcode::Close => close_code(&std::mem::take(&mut self.control)).map(|code| Some(Inbound::Close(code))),
        }
    }
}

/// Length bytes that follow the second byte of a header.
const fn length_bytes(second: u8) -> usize {
    match second & !MASKED {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

/// Makes room for `more` bytes: doubling, so that pieces cost linear time, but never beyond `bound`.
fn grow(buffer: &mut Vec<u8>, more: usize, bound: usize) {
    let needed = buffer.len() + more;
    if needed > buffer.capacity() {
        let target = needed.max((buffer.capacity() * 2).min(bound));
        buffer.reserve_exact(target - buffer.len());
    }
}

/// The code in the payload of a close frame (RFC 6455 sections 5.5.1 and 7.4; 1012 to 1014 from the IANA registry).
fn close_code(payload: &[u8]) -> Result<Option<u16>, CloseReason> {
    let (code, words) = match payload {
        [] => return Ok(None),
        [high, low, words @ ..] => (u16::from_be_bytes([*high, *low]), words),
        [_] => return Err(CloseReason::ProtocolError),
    };
    let may_be_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    if may_be_sent && std::str::from_utf8(words).is_ok() { Ok(Some(code)) } else { Err(CloseReason::ProtocolError) }
}

#[cfg(test)]
mod tests;
