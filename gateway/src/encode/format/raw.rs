//! The record's value as it is, or, inside a JSON message, as the JSON that comes closest to it.

use super::{Encoded, json};
use crate::stream::record::{Body, Record};

/// Appends the value, unchanged.
pub(super) fn write(record: &Record, payload: &mut Vec<u8>) -> Encoded {
    payload.extend_from_slice(record.value.as_deref().unwrap_or_default());
    match record.body {
        Body::Null => Encoded::Nothing,
        Body::Json(_) | Body::Text => Encoded::Text,
        Body::Bytes => Encoded::Binary,
    }
}

/// Appends the value as JSON: itself if it is JSON, a string if it is text, `{"base64":…}` if it is neither, `null` if
/// there is none.
pub(super) fn write_json(record: &Record, payload: &mut Vec<u8>) {
    match &record.body {
        Body::Null => payload.extend_from_slice(b"null"),
        Body::Json(value) => payload.extend_from_slice(value),
        Body::Text => json::string(payload, record.text().unwrap_or_default()),
        Body::Bytes => {
            payload.extend_from_slice(br#"{"base64":""#);
            json::base64(payload, record.value.as_deref().unwrap_or_default());
            payload.extend_from_slice(br#""}"#);
        }
    }
}
