//! What clients may send, in every cut, and what they may not.

use super::*;
use proptest::prelude::*;

const LIMIT: u32 = 1000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client frame in the shortest form.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(MASKED | length as u8),
        length @ 126..=0xffff => {
            out.push(MASKED | 0x7e);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(MASKED | 0x7f);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

/// Everything that comes out of `bytes` in pieces of at most `piece` bytes, and how it ended.
fn read(bytes: &[u8], piece: usize) -> (Vec<Inbound>, Option<CloseReason>) {
    let mut parser = Parser::new(LIMIT);
    let mut messages = Vec::new();
    for mut input in bytes.chunks(piece) {
        loop {
            match parser.next_message(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(reason) => return (messages, Some(reason)),
            }
        }
        assert!(input.is_empty(), "bytes were left over");
    }
    (messages, None)
}

fn refused(bytes: &[u8]) -> Option<CloseReason> {
    let outcomes: Vec<_> = [1, 2, 3, usize::MAX].map(|piece| read(bytes, piece)).into();
    assert!(outcomes.windows(2).all(|two| two[0] == two[1]), "the outcome depends on the cut");
    outcomes[0].1
}

#[test]
fn a_parser_is_small_and_holds_no_memory_between_messages() {
    assert!(size_of::<Parser>() <= 96, "{}", size_of::<Parser>());
    let mut parser = Parser::new(LIMIT);
    let bytes = [text(&"x".repeat(900)), frame(0x89, b"ping"), frame(0x8a, b"pong")].concat();
    let mut input = &bytes[..];
    while let Some(_message) = parser.next_message(&mut input).unwrap() {}
    assert_eq!((parser.message.capacity(), parser.control.capacity()), (0, 0));
}

#[test]
fn the_examples_of_rfc_6455_section_5_7_are_understood() {
    assert_eq!(
        read(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58], 1),
        (vec![Inbound::Text("Hello".into())], None)
    );
    assert_eq!(
        read(&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58], usize::MAX),
        (vec![Inbound::Pong], None)
    );
}

#[test]
fn a_ping_between_two_fragments_comes_out_before_the_message() {
    let bytes = [frame(0x01, b"Hel"), frame(0x89, b"?"), frame(0x00, b""), frame(0x80, b"lo")].concat();
    let expected = vec![Inbound::Ping(b"?".to_vec()), Inbound::Text("Hello".into())];
    for piece in 1..bytes.len() {
        assert_eq!(read(&bytes, piece), (expected.clone(), None));
    }
}

#[test]
fn a_character_may_be_cut_by_fragments_but_not_by_the_end() {
    let euro = "€".as_bytes();
    let whole = [frame(0x01, &euro[..1]), frame(0x80, &euro[1..])].concat();
    assert_eq!(read(&whole, 3), (vec![Inbound::Text("€".into())], None));
    assert_eq!(refused(&frame(0x81, &euro[..2])), Some(CloseReason::NotUtf8));
}

#[test]
fn a_binary_message_is_reported_from_its_first_bytes_and_not_read() {
    let bytes = [&frame(0x82, &[0; 6000])[..2], &text("lost")[..]].concat();
    assert_eq!(read(&bytes, 1), (vec![Inbound::Binary], None));
    assert_eq!(read(&frame(0x02, b"part"), usize::MAX), (vec![Inbound::Binary], None));
}

#[test]
fn close_frames_carry_a_valid_code_or_none_and_end_the_input() {
    let close = |payload: &[u8]| frame(0x88, payload);
    for code in [1000u16, 1001, 1003, 1007, 1012, 1014, 3000, 4999] {
        let bytes = [close(&[&code.to_be_bytes()[..], "bye €".as_bytes()].concat()), text("late")].concat();
        assert_eq!(read(&bytes, 5), (vec![Inbound::Close(Some(code))], None));
    }
    assert_eq!(read(&close(b""), 5), (vec![Inbound::Close(None)], None));
    for code in [0u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        assert_eq!(refused(&close(&code.to_be_bytes())), Some(CloseReason::ProtocolError), "{code}");
    }
    assert_eq!(refused(&close(&[3])), Some(CloseReason::ProtocolError));
    assert_eq!(refused(&close(&[3, 0xe8, 0xff])), Some(CloseReason::ProtocolError));
}

#[test]
fn what_rfc_6455_forbids_is_a_protocol_error() {
    let cases: [(&str, Vec<u8>); 13] = [
        ("unmasked", vec![0x81, 0x00]),
        ("RSV1", frame(0xc1, b"")),
        ("RSV2", frame(0xa1, b"")),
        ("RSV3", frame(0x91, b"")),
        ("reserved data opcode", frame(0x83, b"")),
        ("reserved control opcode", frame(0x8b, b"")),
        ("continuation of nothing", frame(0x80, b"")),
        ("new message inside another", [frame(0x01, b"a"), text("b")].concat()),
        ("binary inside a text message", [frame(0x01, b"a"), frame(0x82, b"b")].concat()),
        ("fragmented ping", frame(0x09, b"")),
        ("long ping", frame(0x89, &[0; 126])),
        ("two length bytes for 125", [&[0x81, 0xfe, 0, 125][..], &MASK].concat()),
        ("eight length bytes for 65535", [&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff][..], &MASK].concat()),
    ];
    for (name, bytes) in cases {
        assert_eq!(refused(&bytes), Some(CloseReason::ProtocolError), "{name}");
    }
    let negative = [&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0][..], &MASK].concat();
    assert_eq!(refused(&negative), Some(CloseReason::ProtocolError));
}

#[test]
fn a_message_over_the_limit_is_refused_by_its_header() {
    assert_eq!(refused(&frame(0x81, &[b'x'; 1001])[..8]), Some(CloseReason::MessageTooLarge));
    let two = [frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 401])[..8].to_vec()].concat();
    assert_eq!(refused(&two), Some(CloseReason::MessageTooLarge));
    let huge = [&[0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], &MASK].concat();
    assert_eq!(refused(&huge), Some(CloseReason::MessageTooLarge));
    let exact = [frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 400])].concat();
    assert_eq!(read(&exact, 7), (vec![Inbound::Text("x".repeat(1000))], None));
}

#[test]
fn a_message_cannot_be_kept_open_with_empty_fragments() {
    let mut bytes = frame(0x01, b"");
    for _ in 0..MAX_FRAGMENTS_PER_MESSAGE {
        bytes.extend(frame(0x00, b""));
    }
    assert_eq!(refused(&bytes), Some(CloseReason::OverLimit));
}

#[test]
fn nothing_comes_out_after_an_error() {
    let mut parser = Parser::new(LIMIT);
    let bytes = [vec![0x81, 0x00], text("more")].concat();
    let mut input = &bytes[..];
    assert_eq!(parser.next_message(&mut input), Err(CloseReason::ProtocolError));
    assert_eq!(parser.next_message(&mut input), Ok(None));
    assert!(input.is_empty());
}

#[test]
fn the_answer_to_our_close_is_found_behind_whatever_was_refused() {
    let echo = frame(0x88, &[3, 0xea]);
    let cases: [(&str, Vec<u8>); 9] = [
        ("unmasked", vec![0x81, 3, b'a', b'b', b'c']),
        ("reserved bit", frame(0xc1, b"payload")),
        ("reserved opcode", frame(0x83, &[0x88; 300])),
        ("long ping", frame(0x89, &[0; 126])),
        ("binary", frame(0x82, "x".repeat(70_000).as_bytes())),
        ("not UTF-8", frame(0x81, b"\xff\xfe")),
        ("too large", frame(0x81, &[b'x'; 1001])),
        ("two length bytes for 3", [&[0x81, 0xfe, 0, 3][..], &MASK, b"abc"].concat()),
        ("more after it", [frame(0x80, b"continuation of nothing"), text("late"), frame(0x89, b"?")].concat()),
    ];
    for (name, refused) in cases {
        for piece in [1, 2, 7, usize::MAX] {
            let (mut parser, mut out) = (Parser::new(LIMIT), Vec::new());
            for mut input in [&refused[..], &echo, &text("never read")].concat().chunks(piece) {
                while !input.is_empty() {
                    out.push(parser.next_message(&mut input));
                }
            }
            out.retain(|result| *result != Ok(None));
            assert!(matches!(out[0], Err(_) | Ok(Some(Inbound::Binary))), "{name}: {out:?}");
            assert_eq!(out[1..], [Ok(Some(Inbound::Close(None)))], "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn a_close_frame_that_is_refused_is_the_clients_last_word() {
    for refused in [frame(0x88, &[3]), frame(0x88, &[0, 0]), frame(0x88, &[0; 126])] {
        let (mut parser, mut input) = (Parser::new(LIMIT), &refused[..]);
        assert_eq!(parser.next_message(&mut input), Err(CloseReason::ProtocolError));
        assert_eq!(parser.next_message(&mut input), Ok(Some(Inbound::Close(None))));
        assert_eq!(parser.next_message(&mut input), Ok(None));
    }
}

/// Wire bytes of a valid sequence together with what must come out of it.
fn valid_sequence() -> impl Strategy<Value = (Vec<u8>, Vec<Inbound>)> {
    let message = prop_oneof![
        proptest::collection::vec(("\\PC{0,80}", proptest::option::of(any::<u8>())), 1..4)
            .prop_map(|parts| fragmented(&parts)),
        proptest::collection::vec(any::<u8>(), 0..=125).prop_map(|p| (frame(0x89, &p), vec![Inbound::Ping(p)])),
        proptest::collection::vec(any::<u8>(), 0..=125).prop_map(|p| (frame(0x8a, &p), vec![Inbound::Pong])),
    ];
    proptest::collection::vec(message, 0..8).prop_map(|messages| {
        let (bytes, inbound): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        (bytes.concat(), inbound.concat())
    })
}

/// A text in parts, with a ping before some of them.
fn fragmented(parts: &[(String, Option<u8>)]) -> (Vec<u8>, Vec<Inbound>) {
    let (mut bytes, mut inbound, mut whole) = (Vec::new(), Vec::new(), String::new());
    for (index, (part, ping)) in parts.iter().enumerate() {
        if let Some(byte) = ping {
            bytes.extend(frame(0x89, &[*byte]));
            inbound.push(Inbound::Ping(vec![*byte]));
        }
        let last = if index + 1 == parts.len() { FINAL } else { 0 };
        bytes.extend(frame(last | u8::from(index == 0), part.as_bytes()));
        whole.push_str(part);
    }
    inbound.push(Inbound::Text(whole));
    (bytes, inbound)
}

proptest! {
    #[test]
    fn any_cut_of_a_valid_sequence_gives_the_same_messages((bytes, expected) in valid_sequence(), piece in 1usize..60) {
        prop_assert_eq!(read(&bytes, piece), (expected.clone(), None));
        prop_assert_eq!(read(&bytes, usize::MAX), (expected, None));
    }

    #[test]
    fn any_bytes_stay_within_the_limit_and_never_panic(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x81), Just(0x01), Just(0x00), Just(0x8a)], 0..500),
        limit in 0u32..300,
        piece in 1usize..200,
    ) {
        let mut parser = Parser::new(limit);
        for mut input in bytes.chunks(piece) {
            while let Ok(Some(message)) = parser.next_message(&mut input) {
                if let Inbound::Text(text) = message {
                    prop_assert!(text.capacity() <= limit as usize);
                }
            }
            prop_assert!(parser.message.capacity() <= limit as usize);
            prop_assert!(parser.control.capacity() <= MAX_CONTROL_PAYLOAD_BYTES);
        }
    }
}
