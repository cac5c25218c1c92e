//! Record to CloudEvents JSON format 1.0.
//!
//! What already is a CloudEvent keeps its attributes and data as they are, and a structured one every byte; only a
//! plain record is wrapped. Kafka metadata is added only if asked for.

use super::json;
use super::metadata::{self, Metadata};
use crate::stream::record::{Attributes, Body, Content, Data, Record, StreamContext};
use headgate_wire::endpoints::TOMBSTONE_EVENT_TYPE;

/// Appends the record as one event. Nothing for a record that is undecodable or too large.
pub(super) fn write(record: &Record, context: &StreamContext, metadata: Option<Metadata<'_>>, payload: &mut Vec<u8>) {
    match &record.content {
        Content::Structured(attributes) => {
            let Body::Json(event) = &record.body else { return };
            match metadata {
                Some(metadata) => metadata.write_into(event, attributes, payload),
                None => payload.extend_from_slice(event),
            }
        }
        Content::Binary { attributes, data } => {
            write_headers(attributes, metadata, payload);
            finish(record, *data, metadata, payload);
        }
        Content::Plain { attributes, data } => {
            write_wrapper(record, context, payload);
            write_given(attributes, payload);
            if let Some(content_type) = data.content_type().filter(|_| !attributes.contains("datacontenttype")) {
                json::next_member(payload, "datacontenttype");
                json::string(payload, content_type);
            }
            finish(record, *data, metadata, payload);
        }
        Content::Tombstone { attributes } => {
            write_wrapper(record, context, payload);
            write_given(attributes, payload);
            finish(record, Data::Absent, metadata, payload);
        }
        Content::Undecodable(_) | Content::Oversized { .. } => {}
    }
}

/// Opening brace and the attributes of an event in binary mode, in the producer's order.
fn write_headers(attributes: &Attributes, metadata: Option<Metadata<'_>>, payload: &mut Vec<u8>) {
    let mut separator = b'{';
    for (name, value) in attributes.verbatim() {
        if metadata.is_some() && metadata::owns(name) {
            continue;
        }
        payload.push(separator);
        json::string(payload, name);
        payload.push(b':');
        json::string(payload, value);
        separator = b',';
    }
}

/// Opening brace and the attributes that a record gets from its position.
fn write_wrapper(record: &Record, context: &StreamContext, payload: &mut Vec<u8>) {
    payload.extend_from_slice(br#"{"specversion":"1.0","id":"#);
    // The topic as a string that goes on after it.
    payload.extend_from_slice(&context.quoted_topic()[..context.quoted_topic().len() - 1]);
    payload.push(b'-');
    json::integer(payload, i64::from(record.partition));
    payload.push(b'-');
    json::integer(payload, record.offset);
    payload.extend_from_slice(br#"","source":""#);
    payload.extend_from_slice(context.source_prefix().as_bytes());
    json::integer(payload, i64::from(record.partition));
    payload.extend_from_slice(br#"","type":"#);
    if matches!(record.content, Content::Tombstone { .. }) {
        json::string(payload, TOMBSTONE_EVENT_TYPE);
    } else {
        payload.extend_from_slice(context.quoted_event_type());
    }
    let before = payload.len();
    json::next_member(payload, "time");
    if !metadata::write_time(record, payload) {
        payload.truncate(before);
    }
    if let Some(key) = record.partition_key() {
        json::next_member(payload, "partitionkey");
        json::string(payload, key);
    }
    payload.extend_from_slice(br#","sequence":""#);
    let _ = record.write_sequence(payload); // writing to a Vec cannot fail
    payload.push(b'"');
}

/// Attributes of a plain record that its headers give.
fn write_given(attributes: &Attributes, payload: &mut Vec<u8>) {
    for (name, value) in attributes.verbatim() {
        json::next_member(payload, name);
        json::string(payload, value);
    }
}

/// Metadata, data and the closing brace.
fn finish(record: &Record, data: Data, metadata: Option<Metadata<'_>>, payload: &mut Vec<u8>) {
    if let Some(metadata) = metadata {
        metadata.write_members(payload);
    }
    match (data, &record.body) {
        (Data::Absent, _) => {}
        (Data::Json, Body::Json(value)) => {
            json::next_member(payload, "data");
            payload.extend_from_slice(value);
        }
        (Data::Text, _) => {
            json::next_member(payload, "data");
            json::string(payload, record.text().unwrap_or_default());
        }
        (Data::Base64 | Data::Json, _) => {
            payload.extend_from_slice(br#","data_base64":""#);
            json::base64(payload, record.value.as_deref().unwrap_or_default());
            payload.push(b'"');
        }
    }
    payload.push(b'}');
}
