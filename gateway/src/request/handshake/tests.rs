//! Handshakes that are accepted, passed over and refused.

use super::*;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_wire::endpoints::SUBPROTOCOL_BEARER_PREFIX;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

/// A valid handshake with some headers replaced (an empty list of values takes one away).
fn handshake(name: &'static str, values: &[&str]) -> HeaderMap {
    let mut map = headers(&[
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", KEY),
    ]);
    map.remove(name);
    for value in values {
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn parse(headers: &HeaderMap) -> Result<Option<WebSocketRequest>, HandshakeError> {
    WebSocketRequest::parse(&Method::GET, headers)
}

fn negotiate(offers: &[&str]) -> Result<(Option<Subprotocol>, Option<String>), HandshakeError> {
    let request = parse(&handshake("sec-websocket-protocol", offers))?.expect("an upgrade");
    let Subprotocols { selected, bearer } = request.subprotocols;
    Ok((selected, bearer.map(|token| token.expose_secret().to_owned())))
}

fn bearer(token: impl AsRef<[u8]>) -> String {
    format!("{SUBPROTOCOL_BEARER_PREFIX}{}", URL_SAFE_NO_PAD.encode(token))
}

#[test]
fn the_example_of_rfc_6455_section_1_3_is_accepted() {
    assert_eq!(accept_key(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let request = parse(&handshake("x-other", &[])).unwrap().unwrap();
    assert_eq!(request.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert!(request.subprotocols.selected.is_none() && request.subprotocols.bearer.is_none());
}

#[test]
fn a_request_that_asks_for_no_websocket_is_passed_over() {
    assert!(parse(&headers(&[("accept", "text/event-stream")])).unwrap().is_none());
    assert!(parse(&headers(&[("upgrade", "h2c"), ("connection", "upgrade")])).unwrap().is_none());
}

#[test]
fn upgrade_and_connection_are_lists_over_several_lines_in_any_case() {
    assert!(parse(&handshake("connection", &["close, x", " UPGRADE "])).unwrap().is_some());
    assert!(parse(&handshake("upgrade", &["h2c , WebSocket"])).unwrap().is_some());
}

#[test]
fn a_handshake_whose_hop_by_hop_headers_were_removed_is_told_why() {
    for name in ["upgrade", "connection"] {
        assert_eq!(parse(&handshake(name, &[])).unwrap_err(), HandshakeError::UpgradeRemoved);
    }
    assert_eq!(parse(&handshake("connection", &["upgraded"])).unwrap_err(), HandshakeError::UpgradeRemoved);
}

#[test]
fn another_version_is_answered_with_426_and_the_version_that_is_spoken() {
    for values in [&["8"][..], &[], &["13", "13"], &["13, 8"], &["013"]] {
        let error = parse(&handshake("sec-websocket-version", values)).unwrap_err();
        let rejection = Rejection::from(error);
        assert_eq!((error, rejection.status().as_u16()), (HandshakeError::Version, 426));
        assert_eq!(rejection.headers()[SEC_WEBSOCKET_VERSION], WEBSOCKET_VERSION);
    }
}

#[test]
fn only_get_opens_a_websocket() {
    let error = WebSocketRequest::parse(&Method::POST, &handshake("x-other", &[])).unwrap_err();
    let rejection = Rejection::from(error);
    assert_eq!((error, rejection.status().as_u16()), (HandshakeError::Method, 405));
    assert_eq!(rejection.headers()["allow"], "GET");
}

#[test]
fn the_key_is_sixteen_bytes_in_base64_once() {
    for values in [&[][..], &[KEY, KEY], &["dGhlIHNhbXBsZSBub25jZQ"], &["c2hvcnQ="], &["not base64 at all!!"], &[""]] {
        assert_eq!(parse(&handshake("sec-websocket-key", values)).unwrap_err(), HandshakeError::Key, "{values:?}");
    }
    assert!(parse(&handshake("sec-websocket-key", &["AAAAAAAAAAAAAAAAAAAAAB=="])).unwrap().is_some(), "spare bits");
}

#[test]
fn the_first_known_subprotocol_in_the_clients_order_is_selected() {
    use Subprotocol::{CloudEventsJson, HeadgateV1};
    assert_eq!(negotiate(&["headgate.v1, cloudevents.json"]), Ok((Some(HeadgateV1), None)));
    assert_eq!(negotiate(&["soap", "cloudevents.json,headgate.v1"]), Ok((Some(CloudEventsJson), None)));
    assert_eq!(negotiate(&["soap, , mqtt,"]), Ok((None, None)));
    assert_eq!(negotiate(&["Headgate.V1"]), Ok((None, None)));
}

#[test]
fn a_bearer_token_is_taken_out_and_never_selected() {
    let offer = bearer("hgk_secret");
    let taken = Ok((Some(Subprotocol::HeadgateV1), Some("hgk_secret".to_owned())));
    assert_eq!(negotiate(&[&offer, "headgate.v1"]), taken);
    assert_eq!(negotiate(&[&format!("headgate.v1, {offer}")]), taken);
    let shown = format!("{:?}", parse(&handshake("sec-websocket-protocol", &[&offer, "headgate.v1"])).unwrap());
    assert!(!shown.contains("hgk_secret") && !shown.contains(&offer), "{shown}");
}

#[test]
fn a_bearer_token_that_is_repeated_malformed_or_alone_is_refused() {
    let one = bearer("one");
    assert_eq!(negotiate(&[&one]), Err(HandshakeError::BearerAlone));
    assert_eq!(negotiate(&[&one, &bearer("two"), "headgate.v1"]), Err(HandshakeError::BearerRepeated));
    let padded = format!("{SUBPROTOCOL_BEARER_PREFIX}b25lMQ==");
    for malformed in [bearer(""), bearer([0xff, 0xfe]), format!("{SUBPROTOCOL_BEARER_PREFIX}+"), bearer("one") + "A"] {
        assert_eq!(negotiate(&[&malformed, "headgate.v1"]), Err(HandshakeError::BearerMalformed), "{malformed}");
    }
    assert_eq!(negotiate(&[&padded, "headgate.v1"]), Err(HandshakeError::SubprotocolList), "= is no token character");
}

#[test]
fn a_list_that_is_empty_repeated_or_no_tokens_is_refused() {
    assert_eq!(negotiate(&[""]), Err(HandshakeError::SubprotocolList));
    assert_eq!(negotiate(&["a b"]), Err(HandshakeError::SubprotocolList));
    assert_eq!(negotiate(&["a", "b,a"]), Err(HandshakeError::SubprotocolRepeated));
    let many: Vec<String> = (0..=MAX_OFFERED_SUBPROTOCOLS).map(|n| n.to_string()).collect();
    assert_eq!(negotiate(&[&many.join(",")]), Err(HandshakeError::SubprotocolList));
}

proptest! {
    #[test]
    fn every_token_survives_the_bearer_subprotocol(token in "\\PC{1,60}") {
        prop_assert_eq!(negotiate(&[&bearer(&token), "headgate.v1"]), Ok((Some(Subprotocol::HeadgateV1), Some(token))));
    }
}
