//! A connection's life, told as inputs and outputs.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fmt::Display;

const SETTINGS: SessionSettings =
    SessionSettings { dialect: Dialect::HeadgateV1, idle_timeout_ms: 60_000, max_age_ms: 0, expires_at: None };
const ONE_WAY: [Dialect; 3] = [Dialect::CloudEvents, Dialect::Plain, Dialect::ServerSentEvents];

fn session(dialect: Dialect) -> Session {
    Session::new(SessionSettings { dialect, ..SETTINGS }, Millis(0))
}

fn text(text: impl AsRef<str>) -> Inbound {
    Inbound::Text(text.as_ref().to_owned())
}

/// The JSON of the answer in a text frame.
fn answer(output: Output) -> Value {
    let Output::Send(bytes) = output else { panic!("no answer but {output:?}") };
    assert_eq!(bytes[0], 0x81, "one whole text frame");
    let header = if bytes[1] < 126 { 2 } else { 4 };
    serde_json::from_slice(&bytes[header..]).unwrap()
}

fn ask(message: impl Display) -> Value {
    answer(session(Dialect::HeadgateV1).on_inbound(Millis(0), text(message.to_string())))
}

#[test]
fn an_idle_connection_costs_little() {
    assert!(size_of::<Session>() < 128, "{}", size_of::<Session>());
}

#[test]
fn a_ping_frame_is_answered_with_its_payload() {
    for dialect in [Dialect::HeadgateV1, Dialect::CloudEvents, Dialect::Plain] {
        let output = session(dialect).on_inbound(Millis(0), Inbound::Ping(b"abc".to_vec()));
        assert_eq!(output, Output::Send(vec![0x8a, 3, b'a', b'b', b'c']));
    }
}

#[test]
fn a_ping_message_is_answered_with_a_pong_message() {
    assert_eq!(ask(r#"{"type":"ping"}"#), json!({"type": "pong"}));
}

#[test]
fn a_filter_message_replaces_the_filters_in_canonical_form() {
    let message = json!({"type": "filter", "filters": [
        {"all": [{"exact": {"type": "b", "subject": "a"}}]}, {"exact": {"type": "b"}},
    ]});
    let output = session(Dialect::HeadgateV1).on_inbound(Millis(0), text(message.to_string()));
    assert_eq!(output, Output::Filter(vec![Filter::exact("subject", "a"), Filter::exact("type", "b")]));
    let none = session(Dialect::HeadgateV1).on_inbound(Millis(0), text(r#"{"type":"filter","filters":[]}"#));
    assert_eq!(none, Output::Filter(vec![]));
}

#[test]
fn a_filter_that_cannot_be_used_is_explained_and_changes_nothing() {
    let deep = json!({"not": {"not": {"not": {"not": {"exact": {"a": "b"}}}}}});
    let many: Vec<_> = (0..65).map(|n| json!({"exact": {"subject": n.to_string()}})).collect();
    for filters in
        [json!([{"exact": {"Subject": "a"}}]), json!([deep]), json!(many), json!([{"like": {}}]), json!("all")]
    {
        let error = ask(json!({"type": "filter", "id": "f1", "filters": filters}));
        assert_eq!(
            (&error["type"], &error["code"], &error["id"]),
            (&json!("error"), &json!("bad-message"), &json!("f1"))
        );
        assert!(error["message"].as_str().is_some_and(|sentence| !sentence.is_empty()), "{error}");
    }
}

#[test]
fn what_this_version_does_not_offer_is_answered_with_what_to_do_instead() {
    let messages = [
        json!({"type": "refresh", "token": "S3CRET"}),
        json!({"type": "publish", "id": "p1", "event": {}}),
        json!({"type": "ack", "cursor": "AQ"}),
        json!({"RefreshAccessToken": "S3CRET"}),
    ];
    for message in messages {
        let error = ask(&message);
        assert_eq!((&error["code"], &error["id"]), (&json!("not-offered"), &message["id"]), "{message}");
        assert!(!error.to_string().contains("S3CRET"));
    }
}

#[test]
fn json_that_makes_no_sense_is_answered_and_anything_else_ends_the_connection() {
    for message in ["{}", "[]", "1", "null", r#"{"type":"subscribe"}"#, r#"{"type":1}"#, r#"{"type":"filter"}"#] {
        assert_eq!(ask(message)["code"], "bad-message", "{message}");
    }
    for message in ["", "hello", "{", "{}{}", "NaN", &"[".repeat(10_000)] {
        let output = session(Dialect::HeadgateV1).on_inbound(Millis(0), text(message));
        assert_eq!(output, Output::Close(CloseReason::ProtocolError), "{message:.20}");
    }
}

#[test]
fn an_answer_is_short_whatever_was_sent() {
    let long = "x".repeat(60_000);
    let error = ask(json!({"type": long.as_str(), "id": long.as_str()}));
    assert!(error["id"].is_null() && error.to_string().len() < 500, "{}", error.to_string().len());
}

#[test]
fn streams_without_answers_are_read_only() {
    for dialect in ONE_WAY {
        for message in ["hello", r#"{"type":"ping"}"#, ""] {
            let output = session(dialect).on_inbound(Millis(0), text(message));
            assert_eq!(output, Output::Close(CloseReason::ReadOnly), "{dialect:?}");
        }
    }
}

fn with_token(dialect: Dialect) -> Session {
    let expires_at = Some((Millis(30_000), CloseReason::TokenExpired));
    Session::new(SessionSettings { dialect, expires_at, ..SETTINGS }, Millis(0))
}

#[test]
fn a_newer_token_is_asked_about_and_prolongs_the_connection_once_it_is_accepted() {
    for (dialect, message) in [
        (Dialect::HeadgateV1, r#"{"type":"refresh","token":"a.b.c"}"#),
        (Dialect::HeadgateV1, r#"{"RefreshAccessToken":"a.b.c"}"#),
        (Dialect::CloudEvents, r#"{"RefreshAccessToken":"a.b.c"}"#),
        (Dialect::Plain, r#"{"RefreshAccessToken":"a.b.c"}"#),
    ] {
        let mut session = with_token(dialect);
        let output = session.on_inbound(Millis(0), text(message));
        assert_eq!(output, Output::Renew(NewToken("a.b.c".into())));
        assert!(!format!("{output:?}").contains("a.b.c"), "{output:?}");
        let answer = session.on_renewed(Millis(50_000), "2027-01-01T00:00:00Z".into());
        assert_eq!(matches!(answer, Output::Send(_)), dialect == Dialect::HeadgateV1, "{dialect:?}");
        assert_eq!(session.on_tick(Millis(49_999)), Output::Nothing);
        assert_eq!(session.on_tick(Millis(50_000)), Output::Close(CloseReason::TokenExpired));
    }
}

#[test]
fn a_token_that_is_not_accepted_leaves_the_end_of_the_connection_where_it_was() {
    let mut session = with_token(Dialect::HeadgateV1);
    let answer = session.on_refused(ErrorCode::Unauthorized, "no".into());
    assert!(matches!(answer, Output::Send(_)));
    assert_eq!(session.on_tick(Millis(30_000)), Output::Close(CloseReason::TokenExpired));
    assert_eq!(session.on_renewed(Millis(90_000), String::new()), Output::Nothing, "it came too late");
}

#[test]
fn without_a_token_there_is_nothing_to_renew() {
    let older = r#"{"RefreshAccessToken":"S3CRET"}"#;
    let output = session(Dialect::CloudEvents).on_inbound(Millis(0), text(older));
    assert_eq!(output, Output::Close(CloseReason::ReadOnly));
    assert_eq!(ask(json!({"type": "refresh"}))["code"], "bad-message");
    let mut server_sent = with_token(Dialect::ServerSentEvents);
    assert_eq!(server_sent.on_tick(Millis(30_000)), Output::Close(CloseReason::TokenExpired));
}

#[test]
fn a_binary_message_is_not_accepted() {
    let output = session(Dialect::HeadgateV1).on_inbound(Millis(0), Inbound::Binary);
    assert_eq!(output, Output::Close(CloseReason::BinaryNotAccepted));
}

#[test]
fn silence_ends_a_connection_and_any_sign_of_life_prolongs_it() {
    for (sign, at) in [(Inbound::Pong, 59_999), (Inbound::Ping(vec![]), 30_000), (text(r#"{"type":"ping"}"#), 1)] {
        let mut session = session(Dialect::HeadgateV1);
        session.on_inbound(Millis(at), sign);
        assert_eq!(session.on_tick(Millis(at + 59_999)), Output::Nothing);
        assert_eq!(session.on_tick(Millis(at + 60_000)), Output::Close(CloseReason::IdleTimeout));
    }
    let mut slow = session(Dialect::Plain);
    slow.on_unblocked(Millis(50_000));
    assert_eq!(slow.on_tick(Millis(100_000)), Output::Nothing, "it reads");
    assert_eq!(session(Dialect::ServerSentEvents).on_tick(Millis(9_000_000)), Output::Nothing, "it cannot answer");
}

#[test]
fn age_is_measured_from_the_opening_and_zero_is_no_limit() {
    let settings = SessionSettings { max_age_ms: 5_000, ..SETTINGS };
    let mut session = Session::new(settings, Millis(100));
    assert_eq!(session.on_tick(Millis(5_099)), Output::Nothing);
    assert_eq!(session.on_tick(Millis(5_100)), Output::Close(CloseReason::ConnectionAge));
    let mut eternal = Session::new(SessionSettings { idle_timeout_ms: u64::MAX, ..SETTINGS }, Millis(100));
    assert_eq!(eternal.on_tick(Millis(u64::MAX - 1)), Output::Nothing);
}

#[test]
fn expiry_comes_before_age_and_silence() {
    for dialect in [Dialect::HeadgateV1, Dialect::ServerSentEvents] {
        let expires_at = Some((Millis(60_000), CloseReason::KeyExpired));
        let mut session = Session::new(SessionSettings { dialect, max_age_ms: 1, expires_at, ..SETTINGS }, Millis(0));
        assert_eq!(session.on_tick(Millis(60_000)), Output::Close(CloseReason::KeyExpired));
    }
}

#[test]
fn more_than_fifty_messages_in_a_second_are_over_the_limit() {
    let mut session = session(Dialect::HeadgateV1);
    for _ in 0..2 * MAX_CLIENT_MESSAGES_PER_SECOND {
        assert_eq!(session.on_inbound(Millis(0), Inbound::Pong), Output::Nothing);
    }
    for second in 0..3 {
        for _ in 0..MAX_CLIENT_MESSAGES_PER_SECOND {
            let output = session.on_inbound(Millis(second * 1000), Inbound::Ping(vec![]));
            assert!(matches!(output, Output::Send(_)));
        }
    }
    let output = session.on_inbound(Millis(2999), Inbound::Ping(vec![]));
    assert_eq!(output, Output::Close(CloseReason::OverLimit));
}

#[test]
fn a_close_of_the_peer_is_echoed_once() {
    let mut session = session(Dialect::Plain);
    assert_eq!(session.on_inbound(Millis(0), Inbound::Close(Some(1001))), Output::PeerClosed(Some(1001)));
    assert_eq!(session.on_inbound(Millis(0), Inbound::Close(None)), Output::Nothing);
}

/// One thing that can happen to a connection.
#[derive(Debug, Clone)]
enum Event {
    Inbound(Inbound),
    Tick,
    Broken,
    Revoked,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => "\\PC{0,20}".prop_map(|s| Event::Inbound(Inbound::Text(s))),
        4 => Just(Event::Inbound(Inbound::Text(r#"{"type":"ping"}"#.into()))),
        4 => Just(Event::Inbound(Inbound::Ping(vec![1]))),
        4 => Just(Event::Inbound(Inbound::Pong)),
        1 => Just(Event::Inbound(Inbound::Binary)),
        1 => Just(Event::Inbound(Inbound::Close(None))),
        8 => Just(Event::Tick),
        1 => Just(Event::Broken),
        1 => Just(Event::Revoked),
        1 => Just(Event::Restart),
    ]
}

proptest! {
    #[test]
    fn after_a_close_nothing_else_is_ever_emitted(
        dialect in prop_oneof![Just(Dialect::HeadgateV1), Just(Dialect::Plain), Just(Dialect::ServerSentEvents)],
        events in proptest::collection::vec((event(), 0u64..30_000), 0..40),
    ) {
        let mut session = Session::new(SessionSettings { dialect, max_age_ms: 300_000, ..SETTINGS }, Millis(0));
        let mut now = 0;
        for (event, later) in events {
            now += later;
            let before = session.is_closed();
            let output = match event {
                Event::Inbound(inbound) => session.on_inbound(Millis(now), inbound),
                Event::Tick => session.on_tick(Millis(now)),
                Event::Broken => session.on_protocol_error(CloseReason::ProtocolError),
                Event::Revoked => session.on_revoked(CloseReason::KeyRevoked),
                Event::Restart => session.close(CloseReason::Restart),
            };
            let ends = matches!(output, Output::Close(_) | Output::PeerClosed(_));
            prop_assert!(!before || output == Output::Nothing, "{:?}", output);
            prop_assert_eq!(session.is_closed(), before || ends);
        }
    }
}
