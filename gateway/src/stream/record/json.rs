//! Reads a value once: is it JSON, and if it may be a CloudEvent, which attributes does it have?
//!
//! The grammar is serde_json's; this file never looks inside `data`, and bounds nesting and the number of attributes.

use super::attributes::{Attributes, Form, JsonMembers};
use super::required::{ESCAPED_NAME, NOT_JSON, TOO_MANY_ATTRIBUTES};
use super::{Body, MAX_ATTRIBUTES, MAX_JSON_DEPTH};
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Range;

const BYTE_ORDER_MARK: &str = "\u{feff}";
/// Whoever is a CloudEvent has it; whoever has not need not be searched for attributes.
const TELLTALE: &[u8] = b"\"specversion\"";

/// What a value is, and the attributes that it has if it is read as a structured CloudEvent, or why it has none.
/// Whether the required ones are there is not looked at.
pub(super) fn read(value: Option<&Bytes>) -> (Body, Result<Attributes, &'static str>) {
    let Some(value) = value else { return (Body::Null, Err(NOT_JSON)) };
    let Ok(text) = std::str::from_utf8(value) else { return (Body::Bytes, Err(NOT_JSON)) };
    let json = trim(text);
    if exceeds_depth(json.as_bytes()) || u32::try_from(text.len()).is_err() {
        return (Body::Text, Err(NOT_JSON));
    }
    let shared = || value.slice(range_in(json, text));
    if json.starts_with('{') && memchr::memmem::find(json.as_bytes(), TELLTALE).is_some() {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        return match (TopLevel { text: json })
            .deserialize(&mut deserializer)
            .and_then(|m| deserializer.end().map(|()| m))
        {
            Ok(members) => (Body::Json(shared()), members.map(|members| members.in_text(shared()))),
            Err(_) => (Body::Text, Err(NOT_JSON)),
        };
    }
    match serde_json::from_str::<&RawValue>(json) {
        Ok(_) => (Body::Json(shared()), Ok(Attributes::default())),
        Err(_) => (Body::Text, Err(NOT_JSON)),
    }
}

/// Without the byte order mark, which parsers may refuse, and the white space of RFC 8259 section 2.
fn trim(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_matches([' ', '\t', '\r', '\n'])
}

/// True if arrays and objects nest deeper than [`MAX_JSON_DEPTH`]. Right for JSON; for anything else it does not
/// matter.
fn exceeds_depth(json: &[u8]) -> bool {
    let opening = json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if opening <= MAX_JSON_DEPTH {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_JSON_DEPTH {
            return true;
        }
    }
    false
}

/// Where `part`, which is a part of `whole`, is in it.
fn range_in(part: &str, whole: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

/// Collects the members of the outermost object that can be attributes, and skips over all others.
struct TopLevel<'t> {
    text: &'t str,
}

impl<'de> DeserializeSeed<'de> for TopLevel<'de> {
    type Value = Result<JsonMembers, &'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TopLevel<'de> {
    type Value = Result<JsonMembers, &'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = JsonMembers::default();
        let mut flaw = None;
        while let Some(name) = map.next_key_seed(MemberName)? {
            let value = map.next_value::<&RawValue>()?.get();
            match name {
                // Readers of the event would see an attribute that filters do not.
                Name::Disguised => flaw = Some(ESCAPED_NAME),
                Name::Attribute(_) if members.len() == MAX_ATTRIBUTES => flaw = Some(TOO_MANY_ATTRIBUTES),
                Name::Attribute(name) => {
                    members.push(range_in(name, self.text), range_in(value, self.text), form(value));
                }
                Name::Other => {}
            }
        }
        Ok(flaw.map_or(Ok(members), Err))
    }
}

fn form(value: &str) -> Form {
    match value.as_bytes() {
        [b'"', ..] if value.contains('\\') => Form::Escaped,
        [b'"', ..] => Form::Quoted,
        [b't' | b'f', ..] => Form::Scalar,
        [b'-' | b'0'..=b'9', ..] if !value.contains(['.', 'e', 'E']) => Form::Scalar,
        _ => Form::Unusable,
    }
}

/// What the name of a member says about it.
enum Name<'de> {
    /// An attribute (CloudEvents 1.0, attribute naming convention: lower-case letters and digits).
    Attribute(&'de str),
    /// An attribute, written with escapes that it does not need.
    Disguised,
    /// `data`, or nothing of CloudEvents.
    Other,
}

struct MemberName;

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = Name<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for MemberName {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(if can_be_attribute(name) { Name::Attribute(name) } else { Name::Other })
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(if can_be_attribute(name) { Name::Disguised } else { Name::Other })
    }
}

fn can_be_attribute(name: &str) -> bool {
    name != "data" && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body_of(value: &[u8]) -> Body {
        read(Some(&Bytes::copy_from_slice(value))).0
    }

    fn nested(depth: usize) -> Vec<u8> {
        [b"[".repeat(depth), b"]".repeat(depth)].concat()
    }

    #[test]
    fn what_is_not_rfc_8259_is_not_json() {
        for text in
            ["NaN", "{\"a\":NaN}", "[Infinity]", "-Infinity", "{'a':1}", "{\"a\":1,}", "", " ", "1 2", "\u{feff}"]
        {
            assert_eq!(body_of(text.as_bytes()), Body::Text, "{text}");
        }
        assert_eq!(body_of(&[0xff]), Body::Bytes);
        assert_eq!(read(None).0, Body::Null);
    }

    #[test]
    fn a_byte_order_mark_and_white_space_around_json_are_left_out() {
        assert_eq!(body_of("\u{feff} {\"a\" : 1}\r\n".as_bytes()), Body::Json(Bytes::from_static(b"{\"a\" : 1}")));
    }

    #[test]
    fn nesting_is_json_up_to_its_bound_and_no_further() {
        assert!(matches!(body_of(&nested(MAX_JSON_DEPTH)), Body::Json(_)));
        assert_eq!(body_of(&nested(MAX_JSON_DEPTH + 1)), Body::Text);
        assert_eq!(body_of(&b"[".repeat(1_000_000)), Body::Text);
        let flat = format!("[{}\"[[\\\"{}\"]", "[],".repeat(1000), "[".repeat(1000));
        assert!(matches!(body_of(flat.as_bytes()), Body::Json(_)), "brackets in strings and siblings do not nest");
    }

    #[test]
    fn attributes_are_those_that_a_json_parser_would_see() {
        let text = concat!(
            r#"{"specversion":"1.0","s":"a","s":"b","n":-7,"t":true,"x":null,"f":1.5,"#,
            r#""o":{"p":"q"},"data":"d","Up":"u"}"#
        );
        let attributes = read(Some(&Bytes::from(text))).1.unwrap();
        assert_eq!(attributes.get("s").as_deref(), Some("b"));
        assert_eq!(attributes.get("n").as_deref(), Some("-7"));
        assert_eq!(attributes.get("t").as_deref(), Some("true"));
        for absent in ["x", "f", "o", "p", "data", "Up", "missing"] {
            assert_eq!(attributes.get(absent), None, "{absent}");
        }
    }

    #[test]
    fn an_attribute_cannot_hide_behind_escapes() {
        let text = br#"{"specversion":"1.0","\u0073ubject":"hidden"}"#;
        assert_eq!(read(Some(&Bytes::from_static(text))).1, Err(ESCAPED_NAME));
        let harmless = br#"{"specversion":"1.0","caf\u00e9":"x","a\/b":1}"#;
        assert!(read(Some(&Bytes::from_static(harmless))).1.is_ok());
    }

    #[test]
    fn more_attributes_than_the_bound_are_refused() {
        let members: Vec<_> = (0..=MAX_ATTRIBUTES).map(|n| format!("\"a{n}\":1")).collect();
        let text = format!("{{\"specversion\":\"1.0\",{}}}", members.join(","));
        assert_eq!(read(Some(&Bytes::from(text))).1, Err(TOO_MANY_ATTRIBUTES));
    }

    proptest! {
        #[test]
        fn json_is_what_serde_json_takes_for_json(text in r#"[\[\]{}",:0-9a-etruflsn\\ .-]{0,24}"#) {
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(matches!(body_of(text.as_bytes()), Body::Json(_)), expected);
        }
    }
}
