//! Whether a position belongs to the log that Kafka has now, and if not, where the two histories part. Pure.
//!
//! A topic can be deleted and made again, a log can lose its end (an unclean election, a volume that was restored) and be
//! written again: then old offsets are valid numbers of other records. So a position knows what was seen before it, and
//! is compared with what the log holds there. What cannot be decided is repeated, never skipped.

use super::entry::Gap;
use super::position::Position;
use headgate_wire::cursor::Seen;
use headgate_wire::message::GapReason;

/// What a partition's log holds, as far as it matters to one place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// Its oldest offset.
    pub low: i64,
    /// The offset that its next record will get.
    pub high: i64,
    /// What the record right before the place is, if there is one.
    pub before: Option<Seen>,
    /// The first offset whose record is younger than what was seen before the place; none if there is none, or if the
    /// time of that is not known.
    pub younger: Option<i64>,
}

/// Where a reader that has seen everything before `next`, last a record of which `seen` is known, parts from the log:
/// from there on it has not seen what the log holds. `None` if it has seen the same log.
pub fn parting(next: i64, seen: Seen, log: &Evidence) -> Option<i64> {
    if next > log.high {
        // The end that it has seen is gone. What is left is what it has seen, but for records that are younger.
        let old_end = if seen.time_ms == 0 { log.low } else { log.younger.unwrap_or(log.high) };
        return Some(old_end.clamp(log.low, log.high));
    }
    if next <= log.low || seen == Seen::default() {
        // Retention, which is told as such, has taken what could be compared; or nothing is known.
        return None;
    }
    // Records that were written again are younger than what they replace.
    let written_again = log.younger.filter(|younger| *younger < next).map(|younger| younger.max(log.low));
    match log.before {
        Some(before) if before.check == seen.check => None,
        // If they are not, nothing says which of them were seen.
        Some(_) if seen.check != 0 => Some(written_again.unwrap_or(log.low)),
        // Compaction has taken the record, now or when the place was taken.
        _ => written_again,
    }
}

/// A position in the log that Kafka has now, and what was lost on the way to it. `logs` has what is known of each
/// partition; where nothing is, the position is taken at its word. `topic` is a check of the topic's id, 0 if unknown.
pub fn continued(position: &Position, logs: &[Option<Evidence>], topic: u32) -> (Position, Vec<Gap>) {
    let is_another = topic != 0 && position.topic != 0 && topic != position.topic;
    let mut continued = Position::default();
    continued.topic = topic;
    let mut gaps = Vec::new();
    for partition in 0..position.partitions().max(logs.len()) as i32 {
        let (next, seen) = (position.next(partition), position.seen(partition));
        let log = logs.get(partition as usize).copied();
        let parts_at = match log {
            // Kafka never takes a partition away.
            None if next > 0 => Some(0),
            Some(Some(log)) if is_another && next > 0 => Some(log.low),
            Some(None) if is_another && next > 0 => Some(0),
            Some(Some(log)) if next > 0 => parting(next, seen, &log),
            _ => None,
        };
        match parts_at {
            Some(at) => {
                gaps.push(Gap { partition, from: next, to: at, reason: GapReason::TopicReset });
                // What was seen before the parting is not younger than what was seen last.
                continued.set_after(partition, at, Seen { check: 0, ..seen });
            }
            None => continued.set_after(partition, next, seen),
        }
    }
    (continued, gaps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(check: u32, time_ms: i64) -> Seen {
        Seen { check, time_ms }
    }

    #[test]
    fn a_log_that_was_made_anew_and_is_longer_than_before_is_read_from_its_beginning() {
        let log = Evidence { low: 0, high: 1000, before: Some(seen(9, 500)), younger: Some(0) };
        assert_eq!(parting(61, seen(5, 100), &log), Some(0));
    }

    #[test]
    fn a_log_that_lost_its_end_goes_on_where_it_ends() {
        let log = Evidence { low: 10, high: 90, before: None, younger: None };
        assert_eq!(parting(100, seen(5, 100), &log), Some(90));
        // The new end was written already.
        assert_eq!(parting(100, seen(5, 100), &Evidence { younger: Some(80), ..log }), Some(80));
        // Nothing is known of what was seen.
        assert_eq!(parting(100, Seen::default(), &log), Some(10));
    }

    #[test]
    fn a_log_whose_end_was_written_again_goes_on_where_it_is_younger() {
        let log = Evidence { low: 0, high: 130, before: Some(seen(9, 500)), younger: Some(90) };
        assert_eq!(parting(100, seen(5, 100), &log), Some(90));
        // Copies with old times: nothing says which of them were seen.
        assert_eq!(parting(100, seen(5, 100), &Evidence { younger: None, ..log }), Some(0));
    }

    #[test]
    fn retention_and_compaction_are_no_other_history() {
        let log = Evidence { low: 50, high: 130, before: None, younger: Some(100) };
        assert_eq!(parting(30, seen(5, 100), &log), None);
        assert_eq!(parting(50, seen(5, 100), &log), None);
        assert_eq!(parting(100, seen(5, 100), &log), None);
    }

    #[test]
    fn another_topic_is_read_from_its_beginning_whatever_its_offsets() {
        let mut position = Position::new(vec![5, 0, 7]);
        position.topic = 1;
        let log = Evidence { low: 0, high: 100, before: None, younger: None };
        let (now, gaps) = continued(&position, &[Some(log), Some(log)], 2);
        assert_eq!((now.next(0), now.next(1), now.next(2)), (0, 0, 0));
        assert_eq!(
            gaps.iter().map(|gap| (gap.partition, gap.from, gap.to)).collect::<Vec<_>>(),
            [(0, 5, 0), (2, 7, 0)]
        );
    }

    /// One thing that happens to a log.
    #[derive(Debug, Clone)]
    enum Event {
        Append {
            records: usize,
            pause_ms: i64,
        },
        /// The client reads some records and remembers its place.
        Read {
            records: usize,
        },
        LoseEnd {
            records: usize,
        },
        MakeAnew,
        Retain {
            records: usize,
        },
        Compact {
            every: usize,
        },
    }

    /// A record of the model: what it is, and when it was written.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Written {
        offset: i64,
        seen: Seen,
    }

    #[derive(Debug, Default)]
    struct Log {
        low: i64,
        high: i64,
        records: Vec<Written>,
        now_ms: i64,
        written: u32,
        /// How often the topic was made.
        topic: u32,
    }

    impl Log {
        fn append(&mut self, records: usize, pause_ms: i64) {
            self.now_ms += pause_ms;
            for _ in 0..records {
                self.written += 1;
                self.records.push(Written { offset: self.high, seen: seen(self.written, self.now_ms) });
                self.high += 1;
            }
        }

        fn lose_end(&mut self, records: usize) {
            self.high = (self.high - records as i64).max(self.low);
            self.records.retain(|record| record.offset < self.high);
            // What is written from now on is younger than what was lost.
            self.now_ms += 1;
        }

        fn evidence(&self, next: i64, last: Seen) -> Evidence {
            let younger = self.records.iter().find(|record| record.seen.time_ms > last.time_ms);
            Evidence {
                low: self.low,
                high: self.high,
                before: self.records.iter().find(|record| record.offset == next - 1).map(|record| record.seen),
                younger: younger.map(|record| record.offset),
            }
        }
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            5 => (1usize..30, 0i64..3).prop_map(|(records, pause_ms)| Event::Append { records, pause_ms }),
            4 => (1usize..40).prop_map(|records| Event::Read { records }),
            1 => (1usize..30).prop_map(|records| Event::LoseEnd { records }),
            1 => Just(Event::MakeAnew),
            1 => (1usize..20).prop_map(|records| Event::Retain { records }),
            1 => (2usize..5).prop_map(|every| Event::Compact { every }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { ..ProptestConfig::default() })]
        /// Whatever happened while a client was away: every record that the log holds now was seen by it, or comes, or is
        /// in the offsets that it is told are gone.
        #[test]
        fn no_history_makes_a_returning_client_skip_a_record_silently(
            events in proptest::collection::vec(event(), 1..40),
        ) {
            let mut log = Log { topic: 1, ..Log::default() };
            let mut has_seen: Vec<Written> = Vec::new();
            let mut position = Position::new(vec![0]);
            for event in events {
                match event {
                    Event::Append { records, pause_ms } => log.append(records, pause_ms),
                    Event::LoseEnd { records } => log.lose_end(records),
                    Event::MakeAnew => {
                        let (now_ms, written, topic) = (log.now_ms + 1, log.written, log.topic + 1);
                        log = Log { now_ms, written, topic, ..Log::default() };
                    }
                    Event::Retain { records } => {
                        log.low = (log.low + records as i64).min(log.high);
                        log.records.retain(|record| record.offset >= log.low);
                    }
                    Event::Compact { every } => {
                        // The newest record of a key always stays, and with one key for each that is the last one.
                        let end = log.high;
                        log.records.retain(|record| record.offset % every as i64 != 0 || record.offset == end - 1);
                    }
                    Event::Read { records } => {
                        let evidence = log.evidence(position.next(0), position.seen(0));
                        let (now, gaps) = continued(&position, &[Some(evidence)], log.topic);
                        position = now;
                        if let [gap] = gaps[..] {
                            prop_assert!((log.low..=log.high).contains(&gap.to));
                            for record in log.records.iter().filter(|record| record.offset < gap.to) {
                                prop_assert!(has_seen.contains(record), "{record:?} is skipped: {gap:?}");
                            }
                            let before = log.evidence(gap.to, Seen::default()).before;
                            position.set_after(0, gap.to, before.unwrap_or(position.seen(0)));
                        }
                        position.advance(0, log.low);
                        let to_come = log.records.iter().filter(|record| record.offset >= position.next(0));
                        for record in to_come.take(records).copied().collect::<Vec<_>>() {
                            has_seen.push(record);
                            position.set_after(0, record.offset + 1, record.seen);
                        }
                        for record in log.records.iter().filter(|record| record.offset < position.next(0)) {
                            prop_assert!(has_seen.contains(record), "{record:?} was skipped silently");
                        }
                    }
                }
            }
        }
    }
}
