//! Every sample in `formats/`: a record as Kafka holds it, what the gateway takes it for, and what clients get.
//!
//! These files are the specification of the formats by example; the property tests beside the code cover the rest.

#![expect(clippy::expect_used, clippy::panic, reason = "a sample that cannot be read is a failed test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use headgate_gateway::encode::format::{
    Encoded, Encoding, Envelope, encode, encode_cursor, encode_draining, encode_gap, encode_ready,
};
use headgate_gateway::stream::entry::Gap;
use headgate_gateway::stream::record::{Content, Header, Record, RecordParts, StreamContext};
use headgate_wire::ServerMessage;
use headgate_wire::config::Format;
use headgate_wire::message::GapReason;
use serde::Deserialize;
use std::path::Path;

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    topic: String,
    #[serde(default)]
    event_type: String,
    max_bytes: Option<usize>,
    cursor: Option<String>,
    record: Option<SampleRecord>,
    /// What [`Content`] the record is, in lower case; an undecodable one with its reason.
    content: Option<String>,
    notice: Option<Notice>,
    expect: Vec<Expectation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleRecord {
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<Value>,
    #[serde(default)]
    headers: Vec<(String, Option<Value>)>,
    value: Option<Value>,
}

/// Text, or bytes that YAML cannot hold.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Bytes { base64: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Notice {
    Gap { partition: i32, from: i64, to: i64, reason: GapReason },
    Ready { session: String, resumed: bool },
    Cursor {},
    Draining { retry_after_ms: u64 },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    format: Format,
    envelope: SampleEnvelope,
    #[serde(default)]
    metadata: bool,
    text: Option<String>,
    binary: Option<Value>,
    skipped: Option<GapReason>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SampleEnvelope {
    Plain,
    HeadgateV1,
    ServerSentEvents,
}

impl Value {
    fn bytes(&self) -> Bytes {
        match self {
            Self::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Self::Bytes { base64 } => STANDARD.decode(base64).expect("base64 in a sample").into(),
        }
    }
}

impl Expectation {
    fn encoding(&self) -> Encoding {
        let envelope = match self.envelope {
            SampleEnvelope::Plain => Envelope::Plain,
            SampleEnvelope::HeadgateV1 => Envelope::HeadgateV1,
            SampleEnvelope::ServerSentEvents => Envelope::ServerSentEvents,
        };
        Encoding { format: self.format, envelope, kafka_metadata: self.metadata }
    }

    /// Without anything expected, nothing is.
    fn outcome(&self) -> (Encoded, Vec<u8>) {
        match (&self.text, &self.binary, self.skipped) {
            (Some(text), None, None) => (Encoded::Text, text.clone().into_bytes()),
            (None, Some(binary), None) => (Encoded::Binary, binary.bytes().to_vec()),
            (None, None, Some(reason)) => (Encoded::Skipped(reason), Vec::new()),
            (None, None, None) => (Encoded::Nothing, Vec::new()),
            _ => panic!("a sample expects two things at once"),
        }
    }
}

impl Sample {
    fn context(&self) -> StreamContext {
        StreamContext::new(&self.topic, &self.event_type)
    }

    fn decoded(&self) -> Option<Record> {
        let sample = self.record.as_ref()?;
        let header = |(name, value): &(String, Option<Value>)| Header {
            name: name.clone(),
            value: value.as_ref().map(Value::bytes),
        };
        let parts = RecordParts {
            headers_unreadable: false,
            partition: sample.partition,
            offset: sample.offset,
            timestamp_ms: sample.timestamp_ms,
            key: sample.key.as_ref().map(Value::bytes),
            headers: sample.headers.iter().map(header).collect(),
            value: sample.value.as_ref().map(Value::bytes),
        };
        Some(Record::decode(parts, self.max_bytes.unwrap_or(usize::MAX)))
    }

    fn encode(&self, record: Option<&Record>, encoding: Encoding) -> (Encoded, Vec<u8>) {
        let (context, cursor, mut payload) = (self.context(), self.cursor.as_deref(), Vec::new());
        let position = cursor.unwrap_or_default();
        let encoded = match (record, &self.notice) {
            (Some(record), None) => encode(record, &context, encoding, cursor, &mut payload),
            (None, Some(Notice::Gap { partition, from, to, reason })) => {
                let gap = Gap { partition: *partition, from: *from, to: *to, reason: *reason };
                encode_gap(gap, &context, encoding, cursor, &mut payload)
            }
            (None, Some(Notice::Ready { session, resumed })) => {
                encode_ready(position, session, *resumed, encoding, &mut payload)
            }
            (None, Some(Notice::Cursor {})) => encode_cursor(position, encoding, &mut payload),
            (None, Some(Notice::Draining { retry_after_ms })) => {
                encode_draining(position, *retry_after_ms, encoding, &mut payload)
            }
            _ => panic!("a sample is either a record or a notice"),
        };
        (encoded, payload)
    }
}

fn samples() -> Vec<(String, Sample)> {
    let pattern = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/*.yaml");
    let paths = glob::glob(pattern.to_str().expect("a UTF-8 path")).expect("a pattern");
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).expect("a readable sample");
        // By way of JSON: serde_yaml wants a tag where everybody else writes the variant as a key.
        let sample = serde_yaml::from_str(&text).map(serde_json::from_value);
        let sample = sample.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        sample.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let samples: Vec<_> = paths.flatten().map(|path| (path.display().to_string(), read(&path))).collect();
    assert!(samples.len() > 10, "the samples are gone");
    samples
}

fn content(record: &Record) -> String {
    match &record.content {
        Content::Structured(_) => "structured".to_owned(),
        Content::Binary { .. } => "binary".to_owned(),
        Content::Plain { .. } => "plain".to_owned(),
        Content::Tombstone { .. } => "tombstone".to_owned(),
        Content::Undecodable(reason) => format!("undecodable {reason}"),
        Content::Oversized { .. } => "oversized".to_owned(),
    }
}

#[test]
fn every_sample_record_is_taken_for_what_it_is() {
    for (path, sample) in samples() {
        assert_eq!(sample.decoded().as_ref().map(content), sample.content, "{path}");
    }
}

#[test]
fn every_sample_is_encoded_as_written_down() {
    for (path, sample) in samples() {
        let record = sample.decoded();
        for expectation in &sample.expect {
            let encoding = expectation.encoding();
            let (encoded, payload) = sample.encode(record.as_ref(), encoding);
            let (expected, expected_payload) = expectation.outcome();
            let (shown, wanted) = (String::from_utf8_lossy(&payload), String::from_utf8_lossy(&expected_payload));
            assert_eq!(shown, wanted, "{path}: {encoding:?}");
            assert_eq!(payload, expected_payload, "{path}: {encoding:?}");
            assert_eq!(encoded, expected, "{path}: {encoding:?}");
        }
    }
}

#[test]
fn what_the_samples_say_of_headgate_v1_is_what_the_wire_crate_says() {
    for (path, sample) in samples() {
        for expectation in sample.expect.iter().filter(|e| matches!(e.envelope, SampleEnvelope::HeadgateV1)) {
            let Some(text) = &expectation.text else { continue };
            let message: ServerMessage =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
            let written = serde_json::to_value(&message).expect("a message is JSON");
            let sample: serde_json::Value = serde_json::from_str(text).expect("a sample is JSON");
            assert_eq!(written, sample, "{path}: a member that the wire crate does not know");
            assert!(text.starts_with(r#"{"type":""#), "{path}: the type is not first");
        }
    }
}
