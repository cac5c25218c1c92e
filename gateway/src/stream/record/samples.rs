//! Records for tests: everything that a producer might write, and with good odds what this gateway looks at.

use super::{Header, RecordParts};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A header with a value.
pub(crate) fn header(name: &str, value: impl AsRef<[u8]>) -> Header {
    Header { name: name.to_owned(), value: Some(Bytes::copy_from_slice(value.as_ref())) }
}

/// Any record at all.
pub(crate) fn any_parts() -> impl Strategy<Value = RecordParts> {
    let position = (0..=i32::MAX, 0..=i64::MAX, option::of(any::<i64>()));
    let binary_event = prop_oneof![2 => Just(false), 1 => Just(true)];
    (position, option::of(any_bytes()), vec(any_header(), 0..6), binary_event, option::of(any_value())).prop_map(
        |((partition, offset, timestamp_ms), key, mut headers, binary_event, value)| {
            if binary_event {
                let required = [("ce_specversion", "1.0"), ("ce_id", "1"), ("CE_SOURCE", "/s"), ("ce_type", "a")];
                headers.extend(required.map(|(name, value)| header(name, value)));
            }
            RecordParts { partition, offset, timestamp_ms, key, headers, headers_unreadable: false, value }
        },
    )
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..40).prop_map(Bytes::from), "[ab1.]{0,3}".prop_map(Bytes::from)]
}

fn any_header() -> impl Strategy<Value = Header> {
    let known = [
        "content-type",
        "Content-Type",
        "subject",
        "ce_subject",
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_tenant",
        "ce_data",
        "ce_data_base64",
        "ce_",
        "ce_headgateoffset",
        "ce_headgatetime",
        "ce_datacontenttype",
    ];
    let name = prop_oneof![8 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,8}"];
    let types = [
        "application/cloudevents+json",
        "Application/CloudEvents; charset=utf-8",
        "application/cloudevents+avro",
        "application/json",
        "text/plain",
        "application/octet-stream",
        "1.0",
        "a",
        "",
    ];
    let value = prop_oneof![
        4 => proptest::sample::select(types.to_vec()).prop_map(Bytes::from),
        1 => any_bytes(),
    ];
    (name, option::weighted(0.9, value)).prop_map(|(name, value)| Header { name, value })
}

fn any_value() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        any_bytes(),
        "[a\"\\\\\r\n\u{feff}é ]{0,12}".prop_map(Bytes::from),
        any_json().prop_map(Bytes::from),
        any_event().prop_map(Bytes::from),
    ]
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("NaN".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            vec(("[a-c]", inner), 0..3).prop_map(|members| object(&members)),
        ]
    })
}

fn any_event() -> impl Strategy<Value = String> {
    let names = [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "tenant",
        "data",
        "data_base64",
        "partitionkey",
        "headgateoffset",
        "headgatekey",
        "headgatetime",
        "headgatecursor",
        "headgateother",
        "\\u0069d",
        "ID",
    ];
    let value = prop_oneof![3 => "\"[ab1.]{0,3}\"", 1 => Just("\"1.0\"".to_owned()), 1 => any_json()];
    let members = vec((proptest::sample::select(names.to_vec()).prop_map(str::to_owned), value), 0..6);
    (members, any::<bool>(), "[ \r\n]{0,2}").prop_map(|(mut members, complete, space)| {
        if complete {
            let required = [("specversion", "\"1.0\""), ("id", "\"1\""), ("source", "\"/s\""), ("type", "\"a\"")];
            members.extend(required.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        format!("{space}{}{space}", object(&members).replace(',', &format!(",{space}")))
    })
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}
