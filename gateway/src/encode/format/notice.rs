//! Messages that are not records: gaps, and what `headgate.v1` and Server-Sent Events say about the connection.
//!
//! A gap is told in every encoding, since nothing may be lost silently; the others need an envelope with room for them.

use super::{Encoded, Encoding, Envelope, json, server_sent_events};
use crate::stream::entry::Gap;
use crate::stream::record::{CURSOR, PARTITION, StreamContext};
use headgate_wire::ServerMessage;
use headgate_wire::config::Format;
use headgate_wire::endpoints::GAP_EVENT_TYPE;
use headgate_wire::message::GapReason;
use serde::Serialize;

/// A gap as clients see it in formats without an envelope.
#[derive(Serialize)]
struct GapData {
    partition: i32,
    from: i64,
    to: i64,
    reason: GapReason,
}

/// Appends one message that tells of a gap; `cursor` is the position after it.
///
/// `headgate.v1`: a `gap` message. Server-Sent Events: an event named `gap` with that message as its data. Otherwise
/// what the format allows: an event of the type [`GAP_EVENT_TYPE`], `{"gap":{…}}`, or `{"topic":…,"gap":{…}}`.
pub fn encode_gap(
    gap: Gap,
    context: &StreamContext,
    encoding: Encoding,
    cursor: Option<&str>,
    payload: &mut Vec<u8>,
) -> Encoded {
    if encoding.envelope != Envelope::Plain {
        let Gap { partition, from, to, reason } = gap;
        let notice = Notice { name: "gap", cursor, retry_ms: None };
        return notice.write(&ServerMessage::Gap { partition, from, to, reason }, encoding, payload);
    }
    match encoding.format {
        Format::CloudEvents => write_gap_event(gap, context, cursor.filter(|_| encoding.kafka_metadata), payload),
        Format::Raw => {
            payload.extend_from_slice(br#"{"gap":"#);
            write_gap_data(gap, payload);
        }
        Format::TopicPayload => {
            payload.extend_from_slice(br#"{"topic":"#);
            payload.extend_from_slice(context.quoted_topic());
            payload.extend_from_slice(br#","gap":"#);
            write_gap_data(gap, payload);
        }
    }
    payload.push(b'}');
    Encoded::Text
}

/// Appends the first message of a connection: everything from `cursor` on follows. Nothing without an envelope.
///
/// `session` names the connection in the gateway's logs; `resumed` says that nothing was lost since the client's
/// cursor.
pub fn encode_ready(cursor: &str, session: &str, resumed: bool, encoding: Encoding, payload: &mut Vec<u8>) -> Encoded {
    let message = ServerMessage::Ready { cursor: cursor.to_owned(), session: session.to_owned(), resumed };
    Notice { name: "ready", cursor: Some(cursor), retry_ms: None }.write(&message, encoding, payload)
}

/// Appends the position after everything sent so far. Nothing without an envelope.
pub fn encode_cursor(cursor: &str, encoding: Encoding, payload: &mut Vec<u8>) -> Encoded {
    let message = ServerMessage::Cursor { cursor: cursor.to_owned() };
    Notice { name: "cursor", cursor: Some(cursor), retry_ms: None }.write(&message, encoding, payload)
}

/// Appends the request to connect again elsewhere, `retry_after_ms` milliseconds from now; Server-Sent Events clients
/// wait that long by themselves. Nothing without an envelope.
pub fn encode_draining(cursor: &str, retry_after_ms: u64, encoding: Encoding, payload: &mut Vec<u8>) -> Encoded {
    let message = ServerMessage::Draining { cursor: cursor.to_owned(), retry_after_ms };
    Notice { name: "draining", cursor: Some(cursor), retry_ms: Some(retry_after_ms) }.write(&message, encoding, payload)
}

/// What Server-Sent Events need beside the message itself.
struct Notice<'n> {
    name: &'static str,
    cursor: Option<&'n str>,
    retry_ms: Option<u64>,
}

impl Notice<'_> {
    fn write(&self, message: &ServerMessage, encoding: Encoding, payload: &mut Vec<u8>) -> Encoded {
        match encoding.envelope {
            Envelope::Plain => return Encoded::Nothing,
            Envelope::HeadgateV1 => json::value(payload, message),
            Envelope::ServerSentEvents => {
                server_sent_events::begin(Some(self.name), self.cursor, payload);
                if let Some(milliseconds) = self.retry_ms {
                    payload.extend_from_slice(b"retry: ");
                    json::value(payload, &milliseconds);
                    payload.push(b'\n');
                }
                server_sent_events::data(payload, |payload| json::value(payload, message));
            }
        }
        Encoded::Text
    }
}

/// A gap as a CloudEvent, without its closing brace. The same gap always has the same id.
fn write_gap_event(gap: Gap, context: &StreamContext, cursor: Option<&str>, payload: &mut Vec<u8>) {
    payload.extend_from_slice(br#"{"specversion":"1.0","id":"gap"#);
    for number in [i64::from(gap.partition), gap.from, gap.to] {
        payload.push(b'-');
        json::integer(payload, number);
    }
    payload.push(b'-');
    payload.extend_from_slice(gap.reason.as_str().as_bytes());
    payload.extend_from_slice(br#"","source":""#);
    payload.extend_from_slice(context.gap_source().as_bytes());
    payload.push(b'"');
    json::next_member(payload, "type");
    json::string(payload, GAP_EVENT_TYPE);
    if let Some(cursor) = cursor {
        json::next_member(payload, PARTITION);
        json::integer(payload, i64::from(gap.partition));
        json::next_member(payload, CURSOR);
        json::string(payload, cursor);
    }
    payload.extend_from_slice(br#","datacontenttype":"application/json","data":"#);
    write_gap_data(gap, payload);
}

fn write_gap_data(gap: Gap, payload: &mut Vec<u8>) {
    let Gap { partition, from, to, reason } = gap;
    json::value(payload, &GapData { partition, from, to, reason });
}
