//! A request target: understood or refused without repeating a value, and logged within bounds.

#![no_main]

use headgate_gateway::rejection::Rejection;
use headgate_gateway::request::{MAX_LOGGED_TARGET_BYTES, StartPosition, StreamRequest, redacted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|target: &str| {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    for path in [path, "/orders"] {
        if let Err(error) = StreamRequest::parse("orders", path, query) {
            let rejection = Rejection::from(error);
            assert!(rejection.status().is_client_error() && rejection.message().len() < 500);
        }
    }
    let _ = (StartPosition::parse(target), StartPosition::from_last_event_id(target));
    let shown = redacted(target);
    assert!(shown.len() <= MAX_LOGGED_TARGET_BYTES + '…'.len_utf8());
    let secret = redacted(&format!("/orders?{}&token=S3CRET", query.unwrap_or_default().replace('3', "")));
    assert!(!secret.contains("S3CRET"));
});
