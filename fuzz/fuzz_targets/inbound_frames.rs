//! Bytes from a client's socket: every cut gives the same messages, no message exceeds the limit, nothing panics, and a
//! session that has closed stays silent.

#![no_main]

use headgate_gateway::encode::frame::{Inbound, Parser};
use headgate_gateway::session::{Dialect, Millis, Output, Session, SessionSettings};
use headgate_wire::CloseReason;
use libfuzzer_sys::fuzz_target;

const MAX_MESSAGE_BYTES: u32 = 512;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (dialect, piece, bytes) = input;
    let messages = read(bytes, bytes.len().max(1));
    assert_eq!(messages, read(bytes, usize::from(piece).max(1)), "the outcome depends on the cut");
    let dialect = [Dialect::HeadgateV1, Dialect::CloudEvents, Dialect::Plain, Dialect::ServerSentEvents]
        [usize::from(dialect) % 4];
    let settings = SessionSettings { dialect, idle_timeout_ms: 60_000, max_age_ms: 0, expires_at: None };
    let mut session = Session::new(settings, Millis(0));
    for message in messages {
        let closed = session.is_closed();
        let output = match message {
            Ok(inbound) => session.on_inbound(Millis(0), inbound),
            Err(reason) => session.on_protocol_error(reason),
        };
        assert!(!closed || output == Output::Nothing, "something came out after the close");
    }
});

fn read(bytes: &[u8], piece: usize) -> Vec<Result<Inbound, CloseReason>> {
    let mut parser = Parser::new(MAX_MESSAGE_BYTES);
    let mut messages = Vec::new();
    for mut input in bytes.chunks(piece) {
        loop {
            match parser.next_message(&mut input) {
                Ok(None) => break,
                Ok(Some(inbound)) => {
                    if let Inbound::Text(text) = &inbound {
                        assert!(text.capacity() <= MAX_MESSAGE_BYTES as usize);
                    }
                    messages.push(Ok(inbound));
                }
                Err(reason) => messages.push(Err(reason)),
            }
        }
        assert!(input.is_empty(), "bytes were left over");
    }
    messages
}
