//! A message of the client library to a [`Record`]: the one copy of its bytes.

use crate::stream::record::{Header, Record, RecordParts};
use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Copies a message out of the client library. Never fails: what cannot be understood says so itself.
pub(super) fn record(message: &BorrowedMessage<'_>, max_bytes: usize) -> Record {
    let headers = headers(message);
    let parts = RecordParts {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(Bytes::copy_from_slice),
        headers_unreadable: headers.is_none(),
        headers: headers.unwrap_or_default(),
        value: message.payload().map(Bytes::copy_from_slice),
    };
    Record::decode(parts, max_bytes)
}

/// The record's headers; `None` if a header name is not UTF-8, on which the client library panics.
fn headers(message: &BorrowedMessage<'_>) -> Option<Vec<Header>> {
    let Some(headers) = message.headers() else { return Some(Vec::new()) };
    let copied = catch_unwind(AssertUnwindSafe(|| {
        headers
            .iter()
            .map(|header| Header { name: header.key.to_owned(), value: header.value.map(Bytes::copy_from_slice) })
            .collect()
    }));
    copied.ok()
}
