//! What a `content-type` says about bytes (RFC 9110 section 8.3.1, RFC 6839 for `+json` and `+xml`).
//!
//! Owns that one decision; it never looks at the bytes.

/// What the CloudEvents Kafka binding, section 3, recognises a structured event by.
const CLOUD_EVENTS: &str = "application/cloudevents";

/// Media types beside `text/*` and XML whose bytes are text.
const TEXT_TYPES: [&str; 11] = [
    "application/csv",
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/jsonl",
    "application/sql",
    "application/toml",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/x-yaml",
    "application/yaml",
];

/// True if the record claims to be a structured CloudEvent, in whatever format.
pub(super) fn is_cloud_event(content_type: &str) -> bool {
    starts_with(content_type, CLOUD_EVENTS)
}

/// True for the JSON event format, and for a producer that does not name its format.
pub(super) fn is_json_cloud_event(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    media_type.eq_ignore_ascii_case(CLOUD_EVENTS) || media_type.eq_ignore_ascii_case("application/cloudevents+json")
}

/// CloudEvents JSON format 1.0, section 3.1: `*/json` and `*/*+json`.
pub(super) fn is_json(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    ends_with(media_type, "/json") || ends_with(media_type, "+json")
}

/// True if the bytes are text, so that a string shows them as they are.
pub(super) fn is_text(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    starts_with(media_type, "text/")
        || ends_with(media_type, "/xml")
        || ends_with(media_type, "+xml")
        || ends_with(media_type, "+yaml")
        || TEXT_TYPES.iter().any(|text_type| media_type.eq_ignore_ascii_case(text_type))
        || content_type.split(';').skip(1).any(|parameter| starts_with(parameter.trim_start(), "charset="))
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn ends_with(text: &str, suffix: &str) -> bool {
    let start = text.len().checked_sub(suffix.len());
    start.is_some_and(|start| text.as_bytes()[start..].eq_ignore_ascii_case(suffix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structured_events_are_recognised_in_any_case_and_with_parameters() {
        assert!(is_json_cloud_event("Application/CloudEvents+JSON; charset=UTF-8"));
        assert!(is_json_cloud_event("application/cloudevents"));
        assert!(is_cloud_event("application/cloudevents+avro") && !is_json_cloud_event("application/cloudevents+avro"));
        assert!(!is_json_cloud_event("application/cloudevents-batch+json"));
        assert!(!is_cloud_event("application/json"));
    }

    #[test]
    fn a_media_type_says_what_its_bytes_are() {
        assert!(is_json("text/JSON") && is_json("application/vnd.shop+json;v=1") && !is_json("application/x-ndjson"));
        assert!(is_text("text/plain") && is_text("image/svg+xml") && is_text("application/x-foo; Charset=utf-8"));
        assert!(!is_text("application/octet-stream") && !is_text("") && !is_text("é"));
    }
}
