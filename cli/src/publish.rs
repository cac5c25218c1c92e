//! Making the record of one event. Pure: identifiers and time are arguments.

use crate::kafka::Record;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// CloudEvents `type` of an event for which none was given.
const DEFAULT_TYPE: &str = "dev.headgate.cli.v1";
/// CloudEvents `source` of an event for which none was given.
const DEFAULT_SOURCE: &str = "/headgate/cli";
/// Content type of a whole event (CloudEvents Kafka binding 1.0.2, section 3.3).
const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";
/// Longest name of an attribute (CloudEvents 1.0.2, section 3.1: should not exceed).
const MAX_ATTRIBUTE_NAME: usize = 20;
/// Attributes with an option of their own, or that only we may set.
const RESERVED: [&str; 9] =
    ["id", "source", "specversion", "type", "subject", "time", "datacontenttype", "data", "dataschema"];

/// How records become CloudEvents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The data alone.
    Plain,
    /// Attributes in headers (CloudEvents Kafka binding 1.0.2, section 3.2).
    Binary(Attributes),
    /// Everything in the value (section 3.3).
    Structured(Attributes),
}

/// Attributes that are the same for every record of one command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Attributes {
    /// `type`.
    pub(crate) kind: Option<String>,
    /// `source`.
    pub(crate) source: Option<String>,
    /// `subject`.
    pub(crate) subject: Option<String>,
    /// Extensions.
    pub(crate) extensions: BTreeMap<String, String>,
}

/// What is the same for every record of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    /// Topic.
    pub(crate) topic: String,
    /// Kafka key.
    pub(crate) key: Option<String>,
    /// Kafka headers.
    pub(crate) headers: Vec<(String, String)>,
    /// CloudEvents.
    pub(crate) mode: Mode,
}

/// An attribute name that CloudEvents does not allow, or that has an option of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AttributeError {
    /// Wrong characters or too long.
    #[error("`{0}` is no attribute name: 1 to 20 lower-case letters and digits")]
    Name(String),
    /// Set by another option.
    #[error("`{0}` cannot be set with --attribute: --type, --subject and --source exist, the others are set for you")]
    Reserved(String),
}

/// Structured mode, in the order in which people read it.
#[derive(Serialize)]
struct Structured<'e> {
    specversion: &'static str,
    id: &'e str,
    source: &'e str,
    #[serde(rename = "type")]
    kind: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'e str>,
    time: String,
    #[serde(flatten)]
    extensions: &'e BTreeMap<String, String>,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'e> {
    Json(&'e RawValue),
    Text(&'e str),
}

impl Attributes {
    /// Refuses names that are none.
    pub(crate) fn check(&self) -> Result<(), AttributeError> {
        for name in self.extensions.keys() {
            if RESERVED.contains(&name.as_str()) {
                return Err(AttributeError::Reserved(name.clone()));
            }
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            if name.is_empty() || name.len() > MAX_ATTRIBUTE_NAME || !name.bytes().all(allowed) {
                return Err(AttributeError::Name(name.clone()));
            }
        }
        Ok(())
    }

    /// Sets what a filter may ask for; what only the producer knows (`id`, `time` and the like) stays as it is.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let value = value.to_owned();
        match name {
            "type" => self.kind = Some(value),
            "source" => self.source = Some(value),
            "subject" => self.subject = Some(value),
            name if RESERVED.contains(&name) => {}
            name => {
                self.extensions.insert(name.to_owned(), value);
            }
        }
    }

    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or(DEFAULT_TYPE)
    }

    fn source(&self) -> &str {
        self.source.as_deref().unwrap_or(DEFAULT_SOURCE)
    }
}

impl Template {
    /// The record for this data; `id` must be fresh.
    pub(crate) fn record(&self, data: &[u8], id: &str, time: Timestamp) -> Result<Record, serde_json::Error> {
        let mut headers = self.headers.clone();
        let value = match &self.mode {
            Mode::Plain => data.to_vec(),
            Mode::Binary(attributes) => {
                headers.extend(binary_headers(attributes, id, time));
                headers.push(("content-type".to_owned(), content_type(data).to_owned()));
                data.to_vec()
            }
            Mode::Structured(attributes) => {
                headers.push(("content-type".to_owned(), STRUCTURED.to_owned()));
                structured(attributes, data, id, time)?
            }
        };
        Ok(Record { topic: self.topic.clone(), key: self.key.clone(), headers, value })
    }
}

fn binary_headers(attributes: &Attributes, id: &str, time: Timestamp) -> Vec<(String, String)> {
    let mut headers = vec![
        ("ce_specversion".to_owned(), "1.0".to_owned()),
        ("ce_id".to_owned(), id.to_owned()),
        ("ce_source".to_owned(), attributes.source().to_owned()),
        ("ce_type".to_owned(), attributes.kind().to_owned()),
        ("ce_time".to_owned(), time.to_string()),
    ];
    headers.extend(attributes.subject.iter().map(|subject| ("ce_subject".to_owned(), subject.clone())));
    headers.extend(attributes.extensions.iter().map(|(name, value)| (format!("ce_{name}"), value.clone())));
    headers
}

fn structured(attributes: &Attributes, data: &[u8], id: &str, time: Timestamp) -> Result<Vec<u8>, serde_json::Error> {
    use base64::Engine as _;
    let text = std::str::from_utf8(data).ok();
    let json = text.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let event = Structured {
        specversion: "1.0",
        id,
        source: attributes.source(),
        kind: attributes.kind(),
        subject: attributes.subject.as_deref(),
        time: time.to_string(),
        extensions: &attributes.extensions,
        datacontenttype: content_type(data),
        data: json.map(Data::Json).or(text.map(Data::Text)),
        data_base64: text.is_none().then(|| base64::engine::general_purpose::STANDARD.encode(data)),
    };
    serde_json::to_vec(&event)
}

fn content_type(data: &[u8]) -> &'static str {
    if serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok() {
        "application/json"
    } else if std::str::from_utf8(data).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attributes() -> Attributes {
        Attributes {
            kind: Some("order.created".to_owned()),
            subject: Some("eu".to_owned()),
            extensions: BTreeMap::from([("device".to_owned(), "till-3".to_owned())]),
            ..Attributes::default()
        }
    }

    fn record(mode: Mode, data: &[u8]) -> Record {
        let headers = vec![("trace".to_owned(), "1".to_owned())];
        let template = Template { topic: "t".to_owned(), key: Some("k".to_owned()), headers, mode };
        template.record(data, "id-1", Timestamp::UNIX_EPOCH).unwrap()
    }

    fn value(mode: Mode, data: &[u8]) -> serde_json::Value {
        serde_json::from_slice(&record(mode, data).value).unwrap()
    }

    #[test]
    fn a_plain_record_is_the_data_and_nothing_else() {
        let record = record(Mode::Plain, b"{\"a\": 1.50}");
        assert_eq!(record.value, b"{\"a\": 1.50}");
        assert_eq!(record.headers, [("trace".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn binary_mode_puts_every_attribute_into_a_header() {
        let record = record(Mode::Binary(attributes()), b"{}");
        let header = |name: &str| record.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!(header("ce_specversion"), Some("1.0"));
        assert_eq!(header("ce_id"), Some("id-1"));
        assert_eq!(header("ce_type"), Some("order.created"));
        assert_eq!(header("ce_source"), Some(DEFAULT_SOURCE));
        assert_eq!(header("ce_subject"), Some("eu"));
        assert_eq!(header("ce_device"), Some("till-3"));
        assert_eq!(header("ce_time"), Some("1970-01-01T00:00:00Z"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("trace"), Some("1"));
        assert_eq!(record.value, b"{}");
    }

    #[test]
    fn structured_mode_puts_the_whole_event_into_the_value() {
        let event = value(Mode::Structured(attributes()), b"{\"a\":1}");
        let expected = json!({
            "specversion": "1.0", "id": "id-1", "source": DEFAULT_SOURCE, "type": "order.created", "subject": "eu",
            "time": "1970-01-01T00:00:00Z", "device": "till-3", "datacontenttype": "application/json", "data": {"a": 1},
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn data_that_is_no_json_stays_what_it_is() {
        let text = value(Mode::Structured(attributes()), b"hello");
        assert_eq!((&text["data"], &text["datacontenttype"]), (&json!("hello"), &json!("text/plain; charset=utf-8")));
        let bytes = value(Mode::Structured(attributes()), &[0xff, 0xfe]);
        assert_eq!((&bytes["data_base64"], &bytes["data"]), (&json!("//4="), &json!(null)));
    }

    #[test]
    fn numbers_in_the_data_are_not_rewritten() {
        let record = record(Mode::Structured(attributes()), b"{\"a\":12345678901234567890.10}");
        assert!(String::from_utf8(record.value).unwrap().contains("12345678901234567890.10"));
    }

    #[test]
    fn attribute_names_are_checked() {
        let named = |name: &str| {
            let extensions = BTreeMap::from([(name.to_owned(), String::new())]);
            Attributes { extensions, ..Attributes::default() }.check()
        };
        assert_eq!(named("device"), Ok(()));
        assert_eq!(named("Device"), Err(AttributeError::Name("Device".to_owned())));
        assert_eq!(named("subject"), Err(AttributeError::Reserved("subject".to_owned())));
    }
}
