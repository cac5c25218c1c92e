//! Decides what a record is, in the order of the CloudEvents Kafka binding, section 3: structured by its
//! `content-type`, binary by its `ce_` headers, structured without the header, plain.
//!
//! Infallible: a record that is nothing of these is plain.

use super::attributes::HeaderValues;
use super::required::{UNSUPPORTED_FORMAT, complete};
use super::{Body, Content, Data, Header, RecordParts, binary, json, media_type};

/// What the record is, and what its value looks like.
pub(super) fn classify(parts: &RecordParts) -> (Body, Content) {
    let (body, event) = json::read(parts.value.as_ref());
    let event = event.and_then(complete);
    let content_type = header_text(&parts.headers, "content-type");
    let content = match content_type {
        Some(content_type) if media_type::is_cloud_event(content_type) => match event {
            _ if body == Body::Null => Content::Tombstone { attributes: subject(&parts.headers).finish() },
            _ if !media_type::is_json_cloud_event(content_type) => Content::Undecodable(UNSUPPORTED_FORMAT),
            Ok(attributes) => Content::Structured(attributes),
            Err(reason) => Content::Undecodable(reason),
        },
        _ if binary::is_event(&parts.headers) => match binary::attributes(&parts.headers, content_type) {
            Ok(attributes) => {
                // Producers that set the attribute often leave the header out.
                let declared = attributes.string("datacontenttype").filter(|declared| !declared.is_empty());
                let data = binary::data(declared.as_deref(), &body, parts.value.as_ref());
                Content::Binary { attributes, data }
            }
            Err(reason) => Content::Undecodable(reason),
        },
        _ => match event {
            Ok(attributes) => Content::Structured(attributes),
            Err(_) => plain(&parts.headers, content_type, &body),
        },
    };
    (body, content)
}

/// The last header of that name, in whatever case, if it is UTF-8 and not empty.
pub(super) fn header_text<'h>(headers: &'h [Header], name: &str) -> Option<&'h str> {
    let header = headers.iter().rev().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(header.value.as_deref()?).ok().filter(|text| !text.is_empty())
}

fn plain(headers: &[Header], content_type: Option<&str>, body: &Body) -> Content {
    let mut attributes = subject(headers);
    if *body == Body::Null {
        return Content::Tombstone { attributes: attributes.finish() };
    }
    let (data, declared) = match (content_type, body) {
        (Some(declared), _) if !media_type::is_json(declared) => {
            (binary::declared_data(declared, body), Some(declared))
        }
        (declared, Body::Json(_)) => (Data::Json, declared),
        // A producer that says JSON and writes something else: the event says what it is.
        (_, Body::Text) => (Data::Text, None),
        (_, Body::Bytes | Body::Null) => (Data::Base64, None),
    };
    if let Some(declared) = declared {
        attributes.set("datacontenttype", declared);
    }
    Content::Plain { attributes: attributes.finish(), data }
}

/// Headers that name the subject of a record that is no CloudEvent.
fn subject(headers: &[Header]) -> HeaderValues {
    let mut values = HeaderValues::default();
    if let Some(subject) = header_text(headers, "ce_subject").or_else(|| header_text(headers, "subject")) {
        values.set("subject", subject);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::record::Record;
    use crate::stream::record::samples::header;
    use bytes::Bytes;

    const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";

    fn content(headers: &[(&str, &str)], value: Option<&str>) -> Content {
        let headers = headers.iter().map(|(name, value)| header(name, value)).collect();
        let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        Record::decode(RecordParts { headers, value, ..RecordParts::default() }, usize::MAX).content
    }

    fn data_of(content_type: &str, value: &str) -> (Data, Option<String>) {
        match content(&[("content-type", content_type)], Some(value)) {
            Content::Plain { attributes, data } => (data, attributes.get("datacontenttype").map(Into::into)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_structured_event_is_recognised_with_and_without_its_content_type() {
        assert!(matches!(content(&[("Content-Type", STRUCTURED)], Some(EVENT)), Content::Structured(_)));
        assert!(matches!(content(&[], Some(EVENT)), Content::Structured(_)));
        assert!(matches!(content(&[("content-type", "application/json")], Some(EVENT)), Content::Structured(_)));
    }

    #[test]
    fn a_patch_version_is_tolerated_and_another_version_is_not() {
        let patch = EVENT.replace("\"1.0\"", "\"1.0.2\"");
        assert!(matches!(content(&[("content-type", STRUCTURED)], Some(&patch)), Content::Structured(_)));
        for version in ["0.3", "1.01", "1", "2.0"] {
            let other = EVENT.replace("1.0", version);
            let claimed = content(&[("content-type", STRUCTURED)], Some(&other));
            assert_eq!(claimed, Content::Undecodable("unsupported-specversion"), "{version}");
            assert!(matches!(content(&[], Some(&other)), Content::Plain { .. }), "{version}");
        }
    }

    #[test]
    fn a_claimed_event_says_why_it_is_none() {
        let cases = [
            ("application/cloudevents+avro", EVENT, "unsupported-format"),
            (STRUCTURED, "", "not-json"),
            (STRUCTURED, "[1]", "missing-specversion"),
            (STRUCTURED, r#"{"specversion":1.0,"id":"1"}"#, "missing-specversion"),
            (STRUCTURED, r#"{"specversion":"1.0","id":7,"source":"/s","type":"t"}"#, "missing-id"),
            (STRUCTURED, r#"{"specversion":"1.0","id":"1","source":"","type":"t"}"#, "missing-source"),
            (STRUCTURED, r#"{"specversion":"1.0","id":"1","source":"/s","type":null}"#, "missing-type"),
            (STRUCTURED, r#"{"specversion":"1.0","id":"\ud800","source":"/s","type":"t"}"#, "missing-id"),
        ];
        for (content_type, value, reason) in cases {
            let content = content(&[("content-type", content_type)], Some(value));
            assert_eq!(content, Content::Undecodable(reason), "{value}");
        }
        let binary = [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_type", "t")];
        assert_eq!(content(&binary, Some("x")), Content::Undecodable("missing-source"));
    }

    #[test]
    fn a_binary_event_is_recognised_by_headers_in_any_case() {
        let headers =
            [("CE_SpecVersion", "1.0"), ("Ce_Id", "1"), ("ce_source", "/s"), ("ce_TYPE", "t"), ("ce_data", "no")];
        let Content::Binary { attributes, data } = content(&headers, Some("[1]")) else { panic!("not binary") };
        assert_eq!(data, Data::Json);
        assert_eq!(attributes.get("id").as_deref(), Some("1"));
        assert!(!attributes.contains("data"));
    }

    #[test]
    fn the_content_type_of_a_binary_event_counts_from_the_header_and_from_the_attribute() {
        let event = [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "/s"), ("ce_type", "t")];
        let data_as = |carrier: &str, content_type: &str, value: &str| {
            let headers: Vec<_> = event.into_iter().chain([(carrier, content_type)]).collect();
            match content(&headers, Some(value)) {
                Content::Binary { data, attributes } => {
                    assert_eq!(attributes.get("datacontenttype").as_deref(), Some(content_type));
                    data
                }
                other => panic!("{other:?}"),
            }
        };
        for carrier in ["content-type", "ce_datacontenttype", "CE_DataContentType"] {
            assert_eq!(data_as(carrier, "text/plain", "42"), Data::Text, "{carrier}");
            assert_eq!(data_as(carrier, "application/xml", "123"), Data::Text, "{carrier}");
            assert_eq!(data_as(carrier, "application/octet-stream", r#"{"a":1}"#), Data::Base64, "{carrier}");
            assert_eq!(data_as(carrier, "application/json", "oops"), Data::Base64, "{carrier}");
            assert_eq!(data_as(carrier, "application/json", ""), Data::Absent, "{carrier}");
            assert_eq!(data_as(carrier, "application/json", "[1]"), Data::Json, "{carrier}");
        }
    }

    #[test]
    fn what_strict_readers_would_refuse_an_event_for_is_left_out_of_it() {
        let headers = [
            ("ce_specversion", "1.0"),
            ("ce_id", "1"),
            ("ce_source", "/s"),
            ("ce_type", "t"),
            ("ce_time", "2023-01-19T22:30:24.860213GMT"),
            ("ce_event_source", "x"),
            ("ce_my-ext", "y"),
            ("ce_entityType", "z"),
        ];
        let Content::Binary { attributes, .. } = content(&headers, Some("1")) else { panic!("not binary") };
        let names: Vec<_> = attributes.verbatim().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["specversion", "id", "source", "type", "entitytype"]);
        for (time, is_kept) in [
            ("2023-01-19T22:30:24.860213Z", true),
            ("2023-01-19t22:30:24+01:00", true),
            ("2023-01-19 22:30:24Z", false),
            ("20230119T223024Z", false),
            ("2023-01-19T22:30:24+01:00[Europe/Berlin]", false),
            ("2023-01-19T22:30:24", false),
        ] {
            let headers: Vec<_> = headers[..4].iter().copied().chain([("ce_time", time)]).collect();
            let Content::Binary { attributes, .. } = content(&headers, Some("1")) else { panic!("not binary") };
            assert_eq!(attributes.contains("time"), is_kept, "{time}");
        }
    }

    #[test]
    fn a_binary_event_without_a_value_is_an_event_without_data() {
        let headers = [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "/s"), ("ce_type", "t")];
        assert!(matches!(content(&headers, None), Content::Binary { data: Data::Absent, .. }));
    }

    #[test]
    fn a_null_value_is_a_tombstone_even_if_its_header_promises_an_event() {
        assert!(matches!(content(&[], None), Content::Tombstone { .. }));
        assert!(matches!(content(&[("content-type", STRUCTURED)], None), Content::Tombstone { .. }));
    }

    #[test]
    fn the_declared_content_type_decides_how_plain_data_is_shown() {
        let declared = |content_type: &str| Some(content_type.to_owned());
        assert_eq!(data_of("text/plain", "123"), (Data::Text, declared("text/plain")));
        assert_eq!(data_of("application/vnd.shop+json", "123"), (Data::Json, declared("application/vnd.shop+json")));
        assert_eq!(data_of("image/png", "text?"), (Data::Base64, declared("image/png")));
        assert_eq!(data_of("application/json", "{\"a\":NaN}"), (Data::Text, None), "it is not what it says");
    }
}
