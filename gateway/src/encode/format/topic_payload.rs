//! `{"topic":…,"payload":…}`, for clients that know streams in this form: always valid JSON, whatever the value.

use super::metadata::Metadata;
use super::raw;
use crate::stream::record::{Record, StreamContext};

/// Appends the record as one object; metadata stands beside `topic` and `payload`.
pub(super) fn write(record: &Record, context: &StreamContext, metadata: Option<Metadata<'_>>, payload: &mut Vec<u8>) {
    payload.extend_from_slice(br#"{"topic":"#);
    payload.extend_from_slice(context.quoted_topic());
    payload.extend_from_slice(br#","payload":"#);
    raw::write_json(record, payload);
    if let Some(metadata) = metadata {
        metadata.write_members(payload);
    }
    payload.push(b'}');
}
