//! Whatever a client sends, the parts of the gateway that read it answer or refuse, and never panic.
//!
//! Owns generated requests, frames and targets from a fixed seed, 10,000 of each, built from pieces that get past the
//! first checks. The fuzz targets in `fuzz/` go on from here; this is what every `cargo test` runs.

use headgate_gateway::encode::frame::{Inbound, Parser};
use headgate_gateway::request::handshake::WebSocketRequest;
use headgate_gateway::request::{MAX_LOGGED_TARGET_BYTES, StartPosition, StreamRequest, redacted};
use headgate_gateway::session::{Dialect, Millis, Output, Session, SessionSettings};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const CASES: usize = 10_000;
const MAX_MESSAGE_BYTES: u32 = 4096;

/// xorshift64*, so that a failure comes back with the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    fn pick<'p, T: ?Sized>(&mut self, pieces: &[&'p T]) -> &'p T {
        pieces[self.below(pieces.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.next() as u8).collect()
    }

    /// Pieces after another, now and then a character of any kind between them.
    fn text(&mut self, pieces: &[&str], most: usize) -> String {
        let mut text = String::new();
        for _ in 0..self.below(most + 1) {
            text.push_str(self.pick(pieces));
            if self.below(8) == 0 {
                text.extend(char::from_u32(self.below(0x11_0000) as u32));
            }
        }
        text
    }

    /// A client frame that is right in most respects.
    fn frame(&mut self) -> Vec<u8> {
        let payload = match self.below(4) {
            0 => self.bytes(200),
            1 => self.bytes(6),
            _ => self.message().into_bytes(),
        };
        let first = self.pick(&[&0x81, &0x81, &0x81, &0x01, &0x80, &0x00, &0x89, &0x8a, &0x88, &0x82, &0xc1, &0x83]);
        let mut frame = vec![*first];
        match (self.below(16), payload.len()) {
            (0, _) => frame.extend(self.bytes(14)),
            (_, length @ 0..=125) => frame.push(0x80 | length as u8),
            (_, length) => frame.extend([&[0xfe], &(length as u16).to_be_bytes()[..]].concat()),
        }
        let mask = (self.next() as u32).to_be_bytes();
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// A text message, more or less of `headgate.v1`.
    fn message(&mut self) -> String {
        const PIECES: [&str; 16] = [
            r#"{"type":"#,
            r#""filter","#,
            r#""ping"}"#,
            r#""refresh","token":"a.b.c"}"#,
            r#""filters":["#,
            "]}",
            r#"{"exact":{"subject":"a"}}"#,
            r#"{"not":"#,
            r#"{"any":["#,
            "]",
            "}",
            "null",
            "1e999",
            r#""id":"x","#,
            "[[",
            r#"{"RefreshAccessToken":"x"}"#,
        ];
        match self.below(3) {
            0 => {
                r#"{"type":"filter","filters":[{"exact":{"subject":"a"}},{"not":{"prefix":{"type":"b"}}}]}"#.to_owned()
            }
            _ => self.text(&PIECES, 9),
        }
    }
}

#[test]
fn any_frames_are_read_or_refused_and_the_session_answers_within_bounds() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let dialects = [Dialect::HeadgateV1, Dialect::CloudEvents, Dialect::Plain, Dialect::ServerSentEvents];
    let (mut texts, mut refusals, mut filters) = (0, 0, 0);
    for case in 0..CASES {
        let frames: Vec<u8> = (0..=random.below(6)).flat_map(|_| random.frame()).collect();
        let piece = 1 + random.below(frames.len());
        let settings =
            SessionSettings { dialect: dialects[case % 4], idle_timeout_ms: 60_000, max_age_ms: 0, expires_at: None };
        let mut session = Session::new(settings, Millis(0));
        let mut parser = Parser::new(MAX_MESSAGE_BYTES);
        for mut input in frames.chunks(piece) {
            loop {
                let output = match parser.next_message(&mut input) {
                    Ok(None) => break,
                    Ok(Some(inbound)) => {
                        texts += usize::from(matches!(inbound, Inbound::Text(_)));
                        session.on_inbound(Millis(0), inbound)
                    }
                    Err(reason) => {
                        refusals += 1;
                        session.on_protocol_error(reason)
                    }
                };
                match output {
                    Output::Send(bytes) => assert!(bytes.len() < 1024, "an answer of {} bytes", bytes.len()),
                    Output::Filter(_) => filters += 1,
                    Output::Renew(_) => panic!("there was no token to renew"),
                    Output::Nothing | Output::Close(_) | Output::PeerClosed(_) => {}
                }
            }
            assert!(input.is_empty(), "bytes were left over");
        }
    }
    assert!(texts > 1000 && refusals > 1000 && filters > 100, "{texts} texts, {refusals} refusals, {filters} filters");
}

#[test]
fn any_handshake_is_accepted_passed_over_or_refused() {
    const NAMES: [&str; 5] =
        ["upgrade", "connection", "sec-websocket-version", "sec-websocket-key", "sec-websocket-protocol"];
    const PIECES: [&str; 14] = [
        "websocket",
        "Upgrade",
        "13",
        ",",
        " ",
        "dGhlIHNhbXBsZSBub25jZQ==",
        "headgate.v1",
        "cloudevents.json",
        "soap",
        "base64url.bearer.authorization.k8s.io.",
        "aGdr",
        "=",
        "\u{e9}",
        ";",
    ];
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..CASES {
        let mut headers = HeaderMap::new();
        for (name, valid) in
            NAMES.into_iter().zip(["websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", "headgate.v1"])
        {
            for _ in 0..=random.below(8) / 6 {
                let value = if random.below(10) == 0 { random.text(&PIECES, 4) } else { valid.to_owned() };
                if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                    headers.append(HeaderName::from_static(name), value);
                }
            }
        }
        if random.below(10) == 0 {
            headers.remove(random.pick(&NAMES));
        }
        let protocols = HeaderValue::from_bytes(random.text(&PIECES[3..], 5).as_bytes());
        if let (0, Ok(protocols)) = (random.below(2), protocols) {
            headers.insert("sec-websocket-protocol", protocols);
        }
        match WebSocketRequest::parse(random.pick(&[&Method::GET, &Method::GET, &Method::POST]), &headers) {
            Ok(request) => accepted += usize::from(request.is_some()),
            Err(error) => refused += usize::from(!error.to_string().is_empty()),
        }
    }
    assert!(accepted > 100 && refused > 1000, "{accepted} accepted, {refused} refused");
}

#[test]
fn any_target_is_understood_or_refused_and_logged_within_bounds() {
    const PATH: [&str; 12] = ["/", "orders", "ws", "eu", "%2F", "%", "%e2%82%ac", "%ff", "+", "*", "..", "€"];
    const QUERY: [&str; 30] = [
        "&",
        "=",
        "from=",
        "latest",
        "-5",
        "-99999999999999999999",
        "AQMArAIq",
        "2027-01-01T00:00:00+01:00",
        ":",
        "format=raw",
        "metadata=kafka",
        "key=",
        "*",
        "type=",
        "filter.",
        "subject",
        ".prefix",
        ".suffix",
        "token=",
        "username=",
        "api_key=",
        "ticket=",
        "group_id=",
        "hgk_",
        "%",
        "%41",
        "%ff",
        "?",
        "a",
        "tokn=",
    ];
    let mut random = Random(0x94d0_49bb_1331_11eb);
    let mut understood = 0;
    for _ in 0..CASES {
        let path = if random.below(2) == 0 { "/orders".to_owned() } else { random.text(&PATH, 5) };
        let query = random.text(&QUERY, 6);
        understood += usize::from(StreamRequest::parse("orders", &path, Some(&query)).is_ok());
        let _ = (StartPosition::parse(&query), StartPosition::from_last_event_id(&path));
        let shown = redacted(&format!("{path}?{query}"));
        assert!(shown.len() <= MAX_LOGGED_TARGET_BYTES + '…'.len_utf8() && !shown.contains("hgk_"), "{shown}");
    }
    assert!(understood > 100, "{understood}");
}
