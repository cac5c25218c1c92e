//! What is the same for every record of one endpoint: its topic and the names that wrapped records get.
//!
//! Prepared once, as JSON where it goes into JSON, so that encoding a record escapes nothing twice.

use headgate_wire::endpoints::DEFAULT_EVENT_TYPE;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What RFC 3986 section 2.3 leaves as it is.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The constants of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamContext {
    topic: String,
    event_type: String,
    source_prefix: String,
    gap_source: String,
    quoted_topic: Vec<u8>,
    quoted_event_type: Vec<u8>,
}

impl StreamContext {
    /// `event_type` is the CloudEvents `type` of plain records (`stream.eventType`); empty means the default.
    pub fn new(topic: impl Into<String>, event_type: impl Into<String>) -> Self {
        let topic = topic.into();
        let mut event_type = event_type.into();
        if event_type.is_empty() {
            DEFAULT_EVENT_TYPE.clone_into(&mut event_type);
        }
        let encoded = utf8_percent_encode(&topic, NOT_UNRESERVED).to_string();
        Self {
            source_prefix: format!("/kafka/{encoded}/"),
            gap_source: format!("/headgate/{encoded}"),
            quoted_topic: quoted(&topic),
            quoted_event_type: quoted(&event_type),
            topic,
            event_type,
        }
    }

    /// The Kafka topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// CloudEvents `type` of plain records.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// What the `source` of a wrapped record begins with; the partition follows. A valid URI reference (RFC 3986).
    pub fn source_prefix(&self) -> &str {
        &self.source_prefix
    }

    /// `source` of events that tell of a gap. A valid URI reference (RFC 3986).
    pub fn gap_source(&self) -> &str {
        &self.gap_source
    }

    /// The topic as a JSON string, with its quotation marks.
    pub(crate) fn quoted_topic(&self) -> &[u8] {
        &self.quoted_topic
    }

    /// The event type as a JSON string, with its quotation marks.
    pub(crate) fn quoted_event_type(&self) -> &[u8] {
        &self.quoted_event_type
    }
}

fn quoted(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_kafka_would_not_allow_still_gives_a_valid_source() {
        let context = StreamContext::new("a b/ü\"", "");
        assert_eq!(context.source_prefix(), "/kafka/a%20b%2F%C3%BC%22/");
        assert_eq!(context.quoted_topic(), "\"a b/ü\\\"\"".as_bytes());
    }

    #[test]
    fn an_event_type_is_never_empty() {
        assert_eq!(StreamContext::new("t", "").event_type(), DEFAULT_EVENT_TYPE);
    }
}
