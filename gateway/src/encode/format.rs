//! Record to message payload: what one client message holds, without the frame around it.
//!
//! Owns the three formats and the three envelopes. Pure: no socket, no clock, no Kafka, no state; it appends to the
//! buffer that it is given and allocates nothing besides for a structured event or plain JSON.

mod cloudevents;
mod json;
mod metadata;
mod notice;
mod raw;
mod server_sent_events;
mod topic_payload;

pub use notice::{encode_cursor, encode_draining, encode_gap, encode_ready};

use crate::stream::record::{Body, Content, Record, StreamContext};
use headgate_wire::config::Format;
use headgate_wire::message::GapReason;
use metadata::Metadata;

/// How one view writes its messages. Views with the same filter and encoding are the same view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Encoding {
    /// What an event looks like.
    pub format: Format,
    /// What is around it.
    pub envelope: Envelope,
    /// Adds `headgatepartition`, `headgateoffset`, `headgatetime`, `headgatekey` and `headgatecursor` to the event.
    /// [`Format::Raw`] has no place for them.
    pub kafka_metadata: bool,
}

impl Encoding {
    /// True if a message is a record's value and nothing else, so that a missing value has no form.
    fn is_bare_raw(self) -> bool {
        self.format == Format::Raw && self.envelope == Envelope::Plain
    }
}

/// What is around an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Envelope {
    /// Nothing: a message is an event. With [`Format::CloudEvents`] this is the `cloudevents.json` subprotocol.
    Plain,
    /// The messages of `headgate.v1` ([`headgate_wire::ServerMessage`]).
    HeadgateV1,
    /// `text/event-stream` (WHATWG HTML, section 9.2): events unnamed, everything else by its name.
    ServerSentEvents,
}

/// What was appended to the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// One message of UTF-8.
    Text,
    /// One message that is not UTF-8.
    Binary,
    /// Nothing: the record cannot be passed on, and the client should be told so ([`encode_gap`]).
    Skipped(GapReason),
    /// Nothing: this encoding has no form for it.
    Nothing,
}

/// Appends one message with one record to `payload`.
///
/// `cursor` is the position after the record. A record without a value is [`Encoded::Nothing`] in [`Format::Raw`] without
/// an envelope, and `null` with one; a record that is too large, or claims to be a CloudEvent and is not, is [`Encoded::Skipped`], except that raw streams pass
/// the latter unchanged.
pub fn encode(
    record: &Record,
    context: &StreamContext,
    encoding: Encoding,
    cursor: Option<&str>,
    payload: &mut Vec<u8>,
) -> Encoded {
    match &record.content {
        Content::Oversized { .. } => return Encoded::Skipped(GapReason::TooLarge),
        Content::Undecodable(_) if encoding.format != Format::Raw => return Encoded::Skipped(GapReason::Undecodable),
        _ if encoding.is_bare_raw() && record.body == Body::Null => return Encoded::Nothing,
        _ => {}
    }
    let event = Event { record, context, encoding, cursor };
    match encoding.envelope {
        Envelope::Plain if encoding.is_bare_raw() => return raw::write(record, payload),
        Envelope::Plain => event.write_json(payload),
        Envelope::HeadgateV1 => event.write_headgate_v1(payload),
        Envelope::ServerSentEvents => event.write_server_sent(payload),
    }
    Encoded::Text
}

/// One record on its way into one message.
struct Event<'e> {
    record: &'e Record,
    context: &'e StreamContext,
    encoding: Encoding,
    cursor: Option<&'e str>,
}

impl Event<'_> {
    /// The event itself, as JSON.
    fn write_json(&self, payload: &mut Vec<u8>) {
        let metadata = Metadata { record: self.record, cursor: self.cursor };
        let metadata = Some(metadata).filter(|_| self.encoding.kafka_metadata);
        match self.encoding.format {
            Format::CloudEvents => cloudevents::write(self.record, self.context, metadata, payload),
            Format::TopicPayload => topic_payload::write(self.record, self.context, metadata, payload),
            Format::Raw => raw::write_json(self.record, payload),
        }
    }

    /// [`headgate_wire::ServerMessage::Event`], by hand: the event is not parsed again.
    fn write_headgate_v1(&self, payload: &mut Vec<u8>) {
        payload.extend_from_slice(br#"{"type":"event""#);
        if let Some(cursor) = self.cursor {
            json::next_member(payload, "cursor");
            json::string(payload, cursor);
        }
        json::next_member(payload, "partition");
        json::integer(payload, i64::from(self.record.partition));
        json::next_member(payload, "offset");
        json::integer(payload, self.record.offset);
        json::next_member(payload, "event");
        self.write_json(payload);
        payload.push(b'}');
    }

    /// Bytes that are not UTF-8 are base64 (RFC 4648 section 4) in an event named `binary`.
    fn write_server_sent(&self, payload: &mut Vec<u8>) {
        let raw = self.encoding.format == Format::Raw;
        let binary = raw && self.record.body == Body::Bytes;
        server_sent_events::begin(binary.then_some("binary"), self.cursor, payload);
        server_sent_events::data(payload, |payload| match &self.record.value {
            Some(value) if binary => json::base64(payload, value),
            Some(value) if raw => payload.extend_from_slice(value),
            _ => self.write_json(payload),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::record::samples::any_parts;
    use crate::stream::record::{Attributes, RecordParts};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use headgate_wire::ServerMessage;
    use proptest::prelude::*;
    use serde_json::Value;

    const FORMATS: [Format; 3] = [Format::CloudEvents, Format::Raw, Format::TopicPayload];

    const SHOWN: [&str; 11] = [
        "id",
        "source",
        "type",
        "subject",
        "time",
        "partitionkey",
        "sequence",
        "datacontenttype",
        "tenant",
        "headgateoffset",
        "headgatepartition",
    ];

    fn context() -> StreamContext {
        StreamContext::new("shop.\"orders\"", "")
    }

    fn encoded(record: &Record, encoding: Encoding, cursor: Option<&str>) -> (Encoded, Vec<u8>) {
        let mut payload = b"kept".to_vec();
        let encoded = encode(record, &context(), encoding, cursor, &mut payload);
        assert!(payload.starts_with(b"kept"), "what was there stays");
        (encoded, payload.split_off(4))
    }

    fn text(record: &Record, format: Format, envelope: Envelope, kafka_metadata: bool) -> Option<String> {
        let (outcome, payload) = encoded(record, Encoding { format, envelope, kafka_metadata }, Some("AQA"));
        match outcome {
            Encoded::Text => Some(String::from_utf8(payload).expect("text is UTF-8")),
            Encoded::Binary => None,
            Encoded::Skipped(_) | Encoded::Nothing => {
                assert!(payload.is_empty(), "nothing is appended");
                None
            }
        }
    }

    /// Numbers beyond 64 bits and lone surrogates are valid JSON that `Value` cannot hold; the samples have none.
    fn parse(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// A reader of `text/event-stream` by the letter of WHATWG HTML, section 9.2.6: name, last event id, data.
    fn read_server_sent(stream: &str) -> Vec<(String, String, String)> {
        let (mut name, mut id, mut data, mut messages) = (String::new(), String::new(), String::new(), Vec::new());
        for line in stream.replace("\r\n", "\n").replace('\r', "\n").split_terminator('\n') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => {
                    if let Some(data) = data.strip_suffix('\n') {
                        messages.push((name.clone(), id.clone(), data.to_owned()));
                    }
                    (name, data) = (String::new(), String::new());
                }
                "event" => value.clone_into(&mut name),
                "id" => value.clone_into(&mut id),
                "data" => data.extend([value, "\n"]),
                other => panic!("unexpected field {other}"),
            }
        }
        messages
    }

    fn structured(event: &'static str) -> Record {
        let value = Some(Bytes::from_static(event.as_bytes()));
        let key = Some(Bytes::from_static(b"k"));
        Record::decode(RecordParts { partition: 3, offset: 42, key, value, ..RecordParts::default() }, usize::MAX)
    }

    #[test]
    fn metadata_replaces_what_a_producer_wrote_under_its_names_and_changes_nothing_else() {
        let record = structured(concat!(
            r#"{ "headgateoffset" : {"no":1}, "specversion":"1.0", "id":"1", "headgatekey":null,"#,
            r#""source":"/s","headgatetime":"forged","type":"t","headgateother":1 }"#
        ));
        let expected = concat!(
            r#"{ "headgateoffset" : "42", "specversion":"1.0", "id":"1", "headgatekey":"k","#,
            r#""source":"/s","headgatetime":null,"type":"t","headgateother":1 ,"#,
            r#""headgatepartition":3,"headgatecursor":"AQA"}"#
        );
        let event = text(&record, Format::CloudEvents, Envelope::Plain, true);
        assert_eq!(event.as_deref(), Some(expected));
    }

    #[test]
    fn the_json_of_a_structured_event_is_the_records_own_memory() {
        let record = structured(r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#);
        assert!(matches!(&record.content, Content::Structured(attributes) if *attributes != Attributes::default()));
        let Body::Json(event) = &record.body else { panic!("not JSON") };
        let value = record.value.as_ref().expect("a value");
        assert_eq!(event.as_ptr(), value.as_ptr(), "the event is the record's own bytes");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn every_json_message_is_valid_and_every_event_complete(parts in any_parts(), metadata: bool) {
            let record = Record::decode(parts, 2000);
            if let Some(event) = text(&record, Format::CloudEvents, Envelope::Plain, metadata) {
                let event = parse(&event);
                for name in ["specversion", "id", "source", "type"] {
                    prop_assert!(event[name].as_str().is_some_and(|value| !value.is_empty()), "{}: {}", name, event);
                }
                if metadata {
                    prop_assert_eq!(&event["headgateoffset"], &Value::from(record.offset.to_string()));
                    prop_assert_eq!(&event["headgatepartition"], &Value::from(record.partition));
                }
            }
            if let Some(message) = text(&record, Format::TopicPayload, Envelope::Plain, metadata) {
                prop_assert_eq!(&parse(&message)["topic"], &Value::from(context().topic()));
            }
        }

        #[test]
        fn the_attributes_that_filters_see_are_those_that_clients_get(parts in any_parts()) {
            let record = Record::decode(parts, usize::MAX);
            let Some(event) = text(&record, Format::CloudEvents, Envelope::Plain, true) else { return Ok(()) };
            let event = parse(&event);
            for name in SHOWN {
                let shown = match &event[name] {
                    Value::String(text) => Some(text.clone()),
                    Value::Bool(_) | Value::Number(_) => Some(event[name].to_string()),
                    _ => None,
                };
                prop_assert_eq!(record.attribute(name, &context()).map(String::from), shown, "{}", name);
            }
        }

        #[test]
        fn a_structured_event_passes_byte_for_byte(parts in any_parts()) {
            let record = Record::decode(parts, usize::MAX);
            if let (Content::Structured(_), Some(value)) = (&record.content, record.text()) {
                let event = text(&record, Format::CloudEvents, Envelope::Plain, false);
                prop_assert_eq!(event.as_deref(), Some(value.trim_start_matches('\u{feff}').trim()));
            }
        }

        #[test]
        fn an_event_is_the_same_inside_and_outside_of_headgate_v1(parts in any_parts(), metadata: bool) {
            let record = Record::decode(parts, 2000);
            for format in [Format::CloudEvents, Format::TopicPayload] {
                let Some(message) = text(&record, format, Envelope::HeadgateV1, metadata) else { continue };
                let plain = text(&record, format, Envelope::Plain, metadata).expect("plain too");
                let ServerMessage::Event { cursor, partition, offset, event } = serde_json::from_str(&message).unwrap()
                else { panic!("no event: {message}") };
                prop_assert_eq!((cursor.as_deref(), partition, offset), (Some("AQA"), record.partition, record.offset));
                prop_assert_eq!(event, parse(&plain));
                let end = format!(r#","event":{plain}}}"#);
                prop_assert!(message.ends_with(&end), "{} in {}", end, message);
            }
            if let Some(message) = text(&record, Format::Raw, Envelope::HeadgateV1, metadata) {
                prop_assert_eq!(&parse(&message)["offset"], &Value::from(record.offset));
            }
        }

        #[test]
        fn server_sent_events_read_back_as_the_same_data(parts in any_parts(), metadata: bool) {
            let record = Record::decode(parts, 2000);
            for format in FORMATS {
                let Some(stream) = text(&record, format, Envelope::ServerSentEvents, metadata) else { continue };
                let encoding = Encoding { format, envelope: Envelope::Plain, kafka_metadata: metadata };
                let (outcome, plain) = encoded(&record, encoding, Some("AQA"));
                let (name, data) = match outcome {
                    Encoded::Binary => ("binary", STANDARD.encode(&plain)),
                    // Where there is an envelope, a missing value has a form.
                    Encoded::Nothing => ("", "null".to_owned()),
                    _ => ("", String::from_utf8(plain).unwrap().replace("\r\n", "\n").replace('\r', "\n")),
                };
                prop_assert_eq!(read_server_sent(&stream), vec![(name.to_owned(), "AQA".to_owned(), data)]);
            }
        }

        #[test]
        fn raw_passes_every_value_that_fits_unchanged(parts in any_parts(), metadata: bool) {
            let value = parts.value.clone();
            let record = Record::decode(parts, usize::MAX);
            let encoding = Encoding { format: Format::Raw, envelope: Envelope::Plain, kafka_metadata: metadata };
            let (outcome, payload) = encoded(&record, encoding, None);
            let expected = match &value {
                None => Encoded::Nothing,
                Some(value) if std::str::from_utf8(value).is_ok() => Encoded::Text,
                Some(_) => Encoded::Binary,
            };
            prop_assert_eq!(outcome, expected);
            prop_assert_eq!(Bytes::from(payload), value.unwrap_or_default());
        }
    }
}
