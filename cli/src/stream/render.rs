//! How an event looks on the terminal or in a pipe. Pure.
//!
//! Events are hostile input: on a terminal no control character of theirs arrives as one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::builder::styling::{AnsiColor, Color, Effects, Style as Ansi};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Write as _;

use crate::args::StreamOutput;

const TIME: Ansi = Ansi::new().effects(Effects::DIMMED);
const TYPE: Ansi = Ansi::new().fg_color(Some(Color::Ansi(AnsiColor::Cyan)));
const SUBJECT: Ansi = Ansi::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow)));

/// How to show events.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    /// Which form.
    pub(crate) output: StreamOutput,
    /// ANSI colours.
    pub(crate) colours: bool,
    /// A person sees it directly.
    pub(crate) terminal: bool,
    /// Zone of the times in the pretty form.
    pub(crate) zone: TimeZone,
}

/// What the pretty and raw forms need of a CloudEvent (JSON format 1.0.2, section 3).
#[derive(Deserialize)]
struct Event<'e> {
    #[serde(borrow, default)]
    time: Option<Cow<'e, str>>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'e, str>,
    #[serde(borrow, default)]
    subject: Option<Cow<'e, str>>,
    #[serde(borrow, default)]
    datacontenttype: Option<Cow<'e, str>>,
    #[serde(borrow, default)]
    data: Option<&'e RawValue>,
    #[serde(borrow, default)]
    data_base64: Option<Cow<'e, str>>,
}

impl Style {
    /// One event as one line, without its line break; only the raw form may contain others.
    pub(crate) fn render(&self, event: &RawValue) -> Vec<u8> {
        let parsed = serde_json::from_str::<Event<'_>>(event.get()).ok();
        match (self.output, parsed) {
            (StreamOutput::Pretty, Some(parsed)) => self.pretty(&parsed).into_bytes(),
            (StreamOutput::Raw, Some(parsed)) => raw(&parsed, event),
            (StreamOutput::Raw, None) => event.get().as_bytes().to_vec(),
            (StreamOutput::Json, _) | (StreamOutput::Pretty, None) => self.json(event).into_bytes(),
        }
    }

    fn json(&self, event: &RawValue) -> String {
        let line = one_line(event.get());
        if self.terminal { escaped_json(&line) } else { line.into_owned() }
    }

    fn pretty(&self, event: &Event<'_>) -> String {
        let mut line = String::new();
        let time = event.time.as_deref().map_or_else(|| "-".to_owned(), |time| self.time_of_day(time));
        self.column(&mut line, TIME, &time);
        self.column(&mut line, TYPE, &event.kind);
        self.column(&mut line, SUBJECT, event.subject.as_deref().unwrap_or("-"));
        match (event.data, &event.data_base64) {
            (Some(data), _) => line.push_str(&escaped_json(&compact(data.get()))),
            (None, Some(data)) => visible(&mut line, &format!("base64:{data}")),
            (None, None) => line.push('-'),
        }
        line
    }

    fn column(&self, line: &mut String, style: Ansi, text: &str) {
        if self.colours {
            let _ = write!(line, "{style}");
        }
        visible(line, text);
        if self.colours {
            let _ = write!(line, "{style:#}");
        }
        line.push_str("  ");
    }

    fn time_of_day(&self, time: &str) -> String {
        match time.parse::<Timestamp>() {
            Ok(timestamp) => timestamp.to_zoned(self.zone.clone()).strftime("%H:%M:%S%.3f").to_string(),
            Err(_) => time.to_owned(),
        }
    }
}

/// The data as its producer wrote it: JSON as JSON, text as text, bytes as bytes.
fn raw(event: &Event<'_>, whole: &RawValue) -> Vec<u8> {
    if let Some(data) = event.data {
        let is_json = event.datacontenttype.as_deref().is_none_or(is_json_type);
        return match serde_json::from_str::<String>(data.get()) {
            Ok(text) if !is_json => text.into_bytes(),
            _ => one_line(data.get()).into_owned().into_bytes(),
        };
    }
    match &event.data_base64 {
        Some(data) => STANDARD.decode(data.as_bytes()).unwrap_or_else(|_| whole.get().as_bytes().to_vec()),
        None => Vec::new(),
    }
}

/// `application/json`, `text/json` or `…+json`, with or without parameters.
fn is_json_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// JSON on one line: between tokens a line break is only white space, and inside strings JSON has none.
fn one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) { Cow::Owned(json.replace(['\n', '\r'], " ")) } else { Cow::Borrowed(json) }
}

/// JSON without white space between tokens.
fn compact(json: &str) -> String {
    let (mut in_string, mut after_backslash) = (false, false);
    json.chars()
        .filter(|character| {
            if in_string {
                in_string = after_backslash || *character != '"';
                after_backslash = *character == '\\' && !after_backslash;
                return true;
            }
            in_string = *character == '"';
            in_string || !character.is_ascii_whitespace()
        })
        .collect()
}

/// The same JSON with every character that could steer a terminal written as an escape sequence of JSON.
fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if steers(character) {
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out
}

/// Text of an event with nothing in it that steers a terminal.
fn visible(out: &mut String, text: &str) {
    out.extend(text.chars().map(|character| if steers(character) { '\u{fffd}' } else { character }));
}

/// Control characters, and the marks that reorder what stands around them (Unicode Standard Annex 9).
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn style(output: StreamOutput) -> Style {
        Style { output, colours: false, terminal: false, zone: TimeZone::UTC }
    }

    fn rendered(style: &Style, event: &str) -> String {
        let event = RawValue::from_string(event.to_owned()).unwrap();
        String::from_utf8(style.render(&event)).unwrap()
    }

    const ORDER: &str = r#"{"specversion":"1.0","id":"1","source":"/s","type":"order.created","subject":"eu",
        "time":"2026-11-21T10:32:01.25+01:00","data":{ "total" : 12.50, "note":"a \" b" }}"#;

    #[test]
    fn the_pretty_form_has_time_type_subject_and_compact_data() {
        let line = rendered(&style(StreamOutput::Pretty), ORDER);
        assert_eq!(line, r#"09:32:01.250  order.created  eu  {"total":12.50,"note":"a \" b"}"#);
    }

    #[test]
    fn colours_surround_the_columns_only_when_asked() {
        let coloured = Style { colours: true, ..style(StreamOutput::Pretty) };
        assert!(rendered(&coloured, ORDER).contains("\u{1b}[36morder.created\u{1b}[0m"));
        assert!(!rendered(&style(StreamOutput::Pretty), ORDER).contains('\u{1b}'));
    }

    #[test]
    fn the_json_form_is_one_line_and_the_same_event() {
        let line = rendered(&style(StreamOutput::Json), ORDER);
        assert_eq!(line.lines().count(), 1);
        assert!(line.contains("12.50"), "numbers are not rewritten");
        let (a, b): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&line).unwrap(), serde_json::from_str(ORDER).unwrap());
        assert_eq!(a, b);
    }

    #[test]
    fn the_raw_form_is_the_data_as_its_producer_wrote_it() {
        let raw = style(StreamOutput::Raw);
        assert_eq!(rendered(&raw, ORDER), r#"{ "total" : 12.50, "note":"a \" b" }"#);
        assert_eq!(rendered(&raw, r#"{"type":"t","datacontenttype":"text/plain","data":"a\nb"}"#), "a\nb");
        assert_eq!(rendered(&raw, r#"{"type":"t","data":"json"}"#), r#""json""#);
        assert_eq!(rendered(&raw, r#"{"type":"t","data_base64":"aGk="}"#), "hi");
        assert_eq!(rendered(&raw, r#"{"type":"t"}"#), "");
    }

    #[test]
    fn what_is_no_cloudevent_is_shown_as_it_is() {
        for output in [StreamOutput::Pretty, StreamOutput::Json, StreamOutput::Raw] {
            assert_eq!(rendered(&style(output), r#"{"a":1}"#), r#"{"a":1}"#);
            assert_eq!(rendered(&style(output), "12"), "12");
        }
    }

    #[test]
    fn an_event_cannot_steer_the_terminal() {
        let event = "{\"type\":\"\\u001b[2Jx\",\"subject\":\"\u{9b}31m\",\"data\":\"\u{202e}\u{7f}\"}";
        let line = rendered(&Style { terminal: true, ..style(StreamOutput::Pretty) }, event);
        assert!(!line.chars().any(steers), "{line:?}");
        assert!(line.contains(r#""\u202e\u007f""#));
    }

    #[test]
    fn json_types_are_told_from_others() {
        for json in ["application/json", "application/json; charset=utf-8", "application/vnd.x+JSON", "text/json"] {
            assert!(is_json_type(json), "{json}");
        }
        assert!(!is_json_type("text/plain"));
        assert!(!is_json_type("application/jsonl"));
    }

    proptest! {
        #[test]
        fn compacting_never_changes_the_value(text in "[ \\\\\"a\n]{0,20}", number: i64) {
            let value = serde_json::json!({ "k e y": [text, number, { " ": null }] });
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(compact(&pretty), value.to_string());
        }

        #[test]
        fn escaping_for_the_terminal_never_changes_the_value(text in ".{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(serde_json::from_str::<String>(&escaped_json(&json)).unwrap(), text);
        }
    }
}
