//! What to do with each frame of `headgate.v1`: show it, say something about it, or drop it. Pure.
//!
//! It owns the position (for resuming), which records were shown (so that none is shown twice), and the count. It knows
//! no socket and no clock, and an event's JSON passes through it byte for byte.

use headgate_wire::cursor::MAX_PARTITIONS;
use headgate_wire::message::{GapReason, ServerMessage};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Everything that outlives one connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The newest cursor that the gateway gave us.
    cursor: Option<String>,
    /// Partition → first offset that was not shown yet; at most [`MAX_PARTITIONS`] entries.
    next: HashMap<i32, i64>,
    shown: u64,
    limit: Option<u64>,
    gaps: u64,
    /// How long the gateway asked us to wait before the next connection.
    pause: Option<Duration>,
}

/// Records that were lost between two shown ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Kafka partition.
    pub(crate) partition: i32,
    /// First missing offset.
    pub(crate) from: i64,
    /// First offset that is not missing any more.
    pub(crate) to: i64,
    /// Why.
    pub(crate) reason: GapReason,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, from, to, reason } = self;
        if *reason == GapReason::TopicReset {
            write!(f, "partition {partition} has begun anew at offset {to}; the position was {from}")?;
        } else {
            let (missing, last) = (to.saturating_sub(*from).max(0), to.saturating_sub(1));
            write!(f, "partition {partition}: {missing} record(s) missing, offsets {from} to {last}")?;
        }
        write!(f, " ({})", reason.as_str())
    }
}

/// What the loop does with one frame.
#[derive(Debug)]
pub(crate) enum Action<'f> {
    /// Nothing.
    Nothing,
    /// Show this event; it was counted.
    Show(&'f RawValue),
    /// The stream is open. True if this connection continues an earlier one.
    Ready {
        /// An earlier connection was continued.
        again: bool,
    },
    /// Report missing records.
    Gap(Gap),
    /// Tell the user.
    Say(String),
}

/// The fields of an `event` message, and the type of every other.
#[derive(Deserialize)]
struct Frame<'f> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'f, str>,
    #[serde(borrow, default)]
    cursor: Option<Cow<'f, str>>,
    partition: Option<i32>,
    offset: Option<i64>,
    #[serde(borrow, default)]
    event: Option<&'f RawValue>,
}

impl Session {
    /// A session that is complete after `limit` shown events.
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Where to connect next: the newest cursor, if there is one.
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Number of events shown.
    pub(crate) fn shown(&self) -> u64 {
        self.shown
    }

    /// Number of gaps reported.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps
    }

    /// True when as many events were shown as were asked for.
    pub(crate) fn is_complete(&self) -> bool {
        self.limit.is_some_and(|limit| self.shown >= limit)
    }

    /// How long the gateway asked us to wait before connecting again; asked once.
    pub(crate) fn take_pause(&mut self) -> Option<Duration> {
        self.pause.take()
    }

    /// Takes one text frame.
    pub(crate) fn receive<'f>(&mut self, frame: &'f str) -> Action<'f> {
        let Ok(parsed) = serde_json::from_str::<Frame<'f>>(frame) else {
            return Action::Say("the gateway sent something that is no headgate.v1 message".to_owned());
        };
        match (parsed.kind.as_ref(), parsed.partition, parsed.offset, parsed.event) {
            ("event", Some(partition), Some(offset), Some(event)) => {
                self.event(parsed.cursor.map(Cow::into_owned), (partition, offset), event)
            }
            _ => self.other(frame, &parsed.kind),
        }
    }

    fn event<'f>(&mut self, cursor: Option<String>, record: (i32, i64), event: &'f RawValue) -> Action<'f> {
        if let Some(cursor) = cursor {
            self.cursor = Some(cursor);
        }
        let (partition, offset) = record;
        if self.next.get(&partition).is_some_and(|next| offset < *next) || self.is_complete() {
            return Action::Nothing;
        }
        self.expect(partition, offset.saturating_add(1));
        self.shown += 1;
        Action::Show(event)
    }

    fn other(&mut self, frame: &str, kind: &str) -> Action<'static> {
        match serde_json::from_str(frame) {
            Ok(ServerMessage::Ready { cursor, .. }) => {
                let again = self.cursor.replace(cursor).is_some();
                Action::Ready { again }
            }
            Ok(ServerMessage::Cursor { cursor }) => {
                self.cursor = Some(cursor);
                Action::Nothing
            }
            Ok(ServerMessage::Gap { partition, from, to, reason }) => self.gap(Gap { partition, from, to, reason }),
            Ok(ServerMessage::Draining { cursor, retry_after_ms }) => {
                self.cursor = Some(cursor);
                self.pause = Some(Duration::from_millis(retry_after_ms));
                Action::Nothing
            }
            Ok(ServerMessage::Error { message, .. }) => Action::Say(message),
            Ok(_) => Action::Nothing,
            Err(_) => Action::Say(format!("a `{kind}` message was not understood; a newer headgate may know it")),
        }
    }

    fn gap(&mut self, gap: Gap) -> Action<'static> {
        if gap.reason == GapReason::TopicReset {
            // Offsets begin anew: what comes next is no repetition, however small its offset.
            self.expect(gap.partition, gap.to);
        } else if self.next.get(&gap.partition).is_some_and(|next| gap.to <= *next) {
            return Action::Nothing; // told before the connection broke
        } else {
            self.expect(gap.partition, gap.to);
        }
        self.gaps += 1;
        Action::Gap(gap)
    }

    fn expect(&mut self, partition: i32, offset: i64) {
        if self.next.len() < MAX_PARTITIONS || self.next.contains_key(&partition) {
            self.next.insert(partition, offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(partition: i32, offset: i64) -> String {
        format!(
            r#"{{"type":"event","cursor":"c{partition}.{offset}","partition":{partition},"offset":{offset},"event":{{"id":"{partition}/{offset}"}}}}"#
        )
    }

    fn gap(from: i64, to: i64, reason: &str) -> String {
        format!(r#"{{"type":"gap","partition":0,"from":{from},"to":{to},"reason":"{reason}"}}"#)
    }

    fn shows(session: &mut Session, frame: &str) -> bool {
        matches!(session.receive(frame), Action::Show(_))
    }

    #[test]
    fn an_event_is_shown_byte_for_byte() {
        let frame =
            r#"{"type":"event","partition":0,"offset":1,"event":{"b":1.10,"a":123456789012345678901234567890}}"#;
        let Action::Show(event) = Session::new(None).receive(frame) else { unreachable!() };
        assert_eq!(event.get(), r#"{"b":1.10,"a":123456789012345678901234567890}"#);
    }

    #[test]
    fn a_record_that_comes_again_after_a_reconnect_is_not_shown_twice() {
        let mut session = Session::new(None);
        assert!(shows(&mut session, &event(0, 7)));
        assert!(!shows(&mut session, &event(0, 7)));
        assert!(!shows(&mut session, &event(0, 6)));
        assert!(shows(&mut session, &event(1, 6)), "another partition has offsets of its own");
        assert!(shows(&mut session, &event(0, 8)));
        assert_eq!(session.shown(), 3);
    }

    #[test]
    fn the_newest_cursor_is_where_the_next_connection_begins() {
        let mut session = Session::new(None);
        assert_eq!(session.cursor(), None);
        session.receive(r#"{"type":"ready","cursor":"start","session":"s","resumed":false}"#);
        assert_eq!(session.cursor(), Some("start"));
        session.receive(&event(0, 1));
        assert_eq!(session.cursor(), Some("c0.1"));
        session.receive(r#"{"type":"cursor","cursor":"later"}"#);
        assert_eq!(session.cursor(), Some("later"));
    }

    #[test]
    fn a_stream_that_drains_says_where_and_when_to_go_on() {
        let mut session = Session::new(None);
        session.receive(r#"{"type":"draining","cursor":"here","retryAfterMs":250}"#);
        assert_eq!(session.cursor(), Some("here"));
        assert_eq!(session.take_pause(), Some(Duration::from_millis(250)));
        assert_eq!(session.take_pause(), None);
    }

    #[test]
    fn only_the_second_ready_continues_a_stream() {
        let mut session = Session::new(None);
        let ready = r#"{"type":"ready","cursor":"c","session":"s","resumed":true}"#;
        assert!(matches!(session.receive(ready), Action::Ready { again: false }));
        assert!(matches!(session.receive(ready), Action::Ready { again: true }));
    }

    #[test]
    fn only_shown_events_count_towards_the_limit() {
        let mut session = Session::new(Some(2));
        session.receive(&event(0, 1));
        session.receive(&event(0, 1));
        session.receive(&gap(2, 5, "retention"));
        assert!(!session.is_complete());
        session.receive(&event(0, 5));
        assert!(session.is_complete());
        assert!(!shows(&mut session, &event(0, 6)), "nothing is shown beyond the limit");
    }

    #[test]
    fn a_gap_is_reported_once() {
        let mut session = Session::new(None);
        assert!(matches!(session.receive(&gap(2, 5, "retention")), Action::Gap(Gap { from: 2, to: 5, .. })));
        assert!(matches!(session.receive(&gap(2, 5, "retention")), Action::Nothing));
        assert_eq!(session.gaps(), 1);
    }

    #[test]
    fn a_gap_says_what_is_missing() {
        let text = |reason| Gap { partition: 1, from: 40, to: 43, reason }.to_string();
        assert_eq!(text(GapReason::Retention), "partition 1: 3 record(s) missing, offsets 40 to 42 (retention)");
        assert!(text(GapReason::TopicReset).contains("anew at offset 43"));
    }

    #[test]
    fn a_new_topic_of_the_same_name_is_shown_from_its_beginning() {
        let mut session = Session::new(None);
        session.receive(&event(0, 900));
        session.receive(&gap(901, 0, "topic-reset"));
        assert!(shows(&mut session, &event(0, 0)));
    }

    #[test]
    fn a_message_of_a_later_version_does_not_end_the_stream() {
        let mut session = Session::new(None);
        assert!(matches!(session.receive(r#"{"type":"weather","sun":true}"#), Action::Say(_)));
        assert!(matches!(session.receive("not json"), Action::Say(_)));
        assert!(shows(&mut session, &event(0, 0)));
    }

    proptest! {
        /// Any history of connections, each of which repeats from some earlier position.
        #[test]
        fn every_record_is_shown_once_and_in_order(
            connections in proptest::collection::vec((0i64..40, 1i64..40), 1..12)
        ) {
            let mut session = Session::new(None);
            let mut shown = Vec::new();
            let mut reached = 0;
            for (back, length) in connections {
                let start = (reached - back).max(0);
                for offset in start..start + length {
                    if shows(&mut session, &event(3, offset)) {
                        shown.push(offset);
                    }
                    reached = reached.max(offset + 1);
                }
            }
            prop_assert_eq!(shown, (0..reached).collect::<Vec<_>>());
        }

        #[test]
        fn no_frame_makes_it_panic(frame in ".{0,200}") {
            Session::new(None).receive(&frame);
        }
    }
}
