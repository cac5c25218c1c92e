//! CloudEvents in binary mode: attributes in `ce_` headers (CloudEvents Kafka binding, section 3.2).
//!
//! Header names are compared without case. What strict readers would refuse the whole event for is left out: attributes
//! whose names are not letters and digits (CloudEvents 1.0, "Naming Conventions"), and a time that is not RFC 3339.

use super::attributes::{Attributes, HeaderValues};
use super::required::{NOT_UTF8, TOO_MANY_ATTRIBUTES, complete};
use super::{Body, Data, Header, MAX_ATTRIBUTES, media_type};
use bytes::Bytes;
use jiff::Timestamp;

const PREFIX: &str = "ce_";

/// True if the record claims to be a CloudEvent in binary mode.
pub(super) fn is_event(headers: &[Header]) -> bool {
    headers.iter().any(|header| attribute_name(header).is_some_and(|name| name.eq_ignore_ascii_case("specversion")))
}

/// Its attributes, or why it is none.
pub(super) fn attributes(headers: &[Header], content_type: Option<&str>) -> Result<Attributes, &'static str> {
    let mut values = HeaderValues::default();
    for header in headers {
        let (Some(name), Some(value)) = (attribute_name(header), header.value.as_deref()) else { continue };
        let value = std::str::from_utf8(value).map_err(|_| NOT_UTF8)?;
        if name.eq_ignore_ascii_case("time") && !is_rfc_3339(value) {
            continue;
        }
        values.set(name, value);
        if values.len() > MAX_ATTRIBUTES {
            return Err(TOO_MANY_ATTRIBUTES);
        }
    }
    if let Some(content_type) = content_type {
        values.set("datacontenttype", content_type);
    }
    complete(values.finish())
}

/// How the value of an event goes into JSON. A declared content type always gives the same form, except that data which
/// is declared as JSON or text and is not becomes `data_base64`: its bytes are then all that can be relied on.
pub(super) fn data(content_type: Option<&str>, body: &Body, value: Option<&Bytes>) -> Data {
    let empty = value.is_none_or(Bytes::is_empty);
    match content_type {
        _ if *body == Body::Null => Data::Absent,
        // Not even an empty text is JSON, which is what an event without a content type holds.
        None if empty => Data::Absent,
        Some(content_type) if empty && media_type::is_json(content_type) => Data::Absent,
        Some(content_type) => declared_data(content_type, body),
        None => match body {
            Body::Json(_) => Data::Json,
            Body::Text => Data::Text,
            Body::Bytes | Body::Null => Data::Base64,
        },
    }
}

/// How a value of a declared content type goes into JSON.
pub(super) fn declared_data(content_type: &str, body: &Body) -> Data {
    match body {
        Body::Json(_) if media_type::is_json(content_type) => Data::Json,
        Body::Json(_) | Body::Text if !media_type::is_json(content_type) && media_type::is_text(content_type) => {
            Data::Text
        }
        Body::Null => Data::Absent,
        _ => Data::Base64,
    }
}

/// Whether strict readers take it for a time (RFC 3339 section 5.6); the calendar's parser takes more forms than that.
fn is_rfc_3339(time: &str) -> bool {
    let bytes = time.as_bytes();
    let has_form = bytes.len() >= "2026-01-01T00:00:00Z".len()
        && bytes.get(4) == Some(&b'-')
        && matches!(bytes.get(10), Some(b'T' | b't'))
        && bytes.get(13) == Some(&b':')
        && bytes.get(16) == Some(&b':')
        && matches!(bytes.last(), Some(b'Z' | b'z' | b'0'..=b'9'));
    has_form && time.parse::<Timestamp>().is_ok()
}

fn attribute_name(header: &Header) -> Option<&str> {
    let (prefix, name) = header.name.split_at_checked(PREFIX.len())?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (prefix.eq_ignore_ascii_case(PREFIX) && is_name && !name.eq_ignore_ascii_case("data")).then_some(name)
}
