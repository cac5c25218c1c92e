//! The headers of an opening handshake: accepted, passed over or refused.

#![no_main]

use headgate_gateway::rejection::Rejection;
use headgate_gateway::request::handshake::WebSocketRequest;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 5] =
    ["sec-websocket-protocol", "upgrade", "connection", "sec-websocket-version", "sec-websocket-key"];

// Lines of which the first byte chooses the header. Valid ones are there unless a line replaces them.
fuzz_target!(|input: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let [name, value @ ..] = line else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        headers.append(HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]), value);
    }
    for (name, value) in NAMES[1..].iter().zip(["websocket", "upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ=="]) {
        headers.entry(*name).or_insert(HeaderValue::from_static(value));
    }
    match WebSocketRequest::parse(&Method::GET, &headers) {
        Ok(Some(request)) => assert_eq!(request.accept.len(), 28),
        Ok(None) => {}
        Err(error) => assert!(Rejection::from(error).status().is_client_error()),
    }
});
