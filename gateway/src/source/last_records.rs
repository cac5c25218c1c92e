//! Where the last n records of every partition begin.
//!
//! Offsets do not count records: markers of transactions, aborted records and compaction leave holes. So the end of each
//! partition is read backwards in growing windows until it has yielded enough. What that may cost is bounded; beyond the
//! bound, offsets are counted, and the client gets fewer records than it asked for.

use super::watermarks::Watermarks;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Most records read for one answer.
const MAX_RECORDS: usize = 200_000;
/// Most bytes of records read for one answer.
const MAX_BYTES: usize = 256 * 1024 * 1024;
/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(4);
/// How long one poll waits.
const POLL: Duration = Duration::from_millis(50);
/// Each window is this many times larger than the one after it.
const GROWTH: i64 = 4;
/// Smallest window, in offsets: a question for one record should not need many.
const SMALLEST_WINDOW: i64 = 64;

/// The search in one partition.
#[derive(Debug)]
struct Search {
    partition: i32,
    low: i64,
    /// The window that is being read.
    window: std::ops::Range<i64>,
    /// Offsets of the records from the window on, the oldest last.
    found: Vec<i64>,
    /// Offsets of the records of the present window, the oldest first.
    reading: Vec<i64>,
    is_read: bool,
}

impl Search {
    fn new(partition: i32, marks: Watermarks, records: i64) -> Self {
        let window = (marks.high - records.max(SMALLEST_WINDOW)).max(marks.low)..marks.high;
        Self { partition, low: marks.low, window, found: Vec::new(), reading: Vec::new(), is_read: false }
    }

    /// A record of the partition, or one beyond the window, which says that the window is read.
    fn read(&mut self, offset: i64) {
        if self.window.contains(&offset) {
            self.reading.push(offset);
        }
        self.is_read |= offset + 1 >= self.window.end;
    }

    /// Takes what the window yielded, and goes on before it; false if that is not needed or not possible.
    fn widen(&mut self, records: usize) -> bool {
        self.found.extend(self.reading.drain(..).rev());
        self.is_read = false;
        if self.found.len() >= records || self.window.start <= self.low {
            return false;
        }
        let size = (self.window.end - self.window.start).saturating_mul(GROWTH);
        self.window = (self.window.start - size).max(self.low)..self.window.start;
        true
    }

    /// Where to begin for the last `records`.
    fn begin(&self, records: usize) -> i64 {
        match records.checked_sub(1).and_then(|last| self.found.get(last)) {
            Some(offset) => *offset,
            None => self.window.start,
        }
    }
}

/// The offset of every partition from which on it holds `records` records, or all that it has; `None` where nobody answers.
pub(super) fn find<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    watermarks: &[Option<Watermarks>],
    records: u64,
) -> KafkaResult<Vec<Option<i64>>> {
    let wanted = i64::try_from(records).unwrap_or(i64::MAX);
    let by_offset = |marks: Watermarks| marks.high.saturating_sub(wanted).max(marks.low);
    let mut begins: Vec<Option<i64>> = watermarks.iter().map(|marks| marks.map(by_offset)).collect();
    let partitions = watermarks.iter().enumerate();
    let mut searches: Vec<Search> = partitions
        .filter_map(|(partition, marks)| Some(Search::new(partition as i32, (*marks)?, wanted)))
        .filter(|search| !search.window.is_empty())
        .collect();
    let deadline = Instant::now() + TIMEOUT;
    let mut budget = Budget { records: MAX_RECORDS, bytes: MAX_BYTES };
    while !searches.is_empty() && read_windows(consumer, topic, &mut searches, &mut budget, deadline)? {
        searches.retain_mut(|search| {
            let goes_on = search.widen(records as usize);
            if !goes_on {
                begins[search.partition as usize] = Some(search.begin(records as usize));
            }
            goes_on
        });
    }
    consumer.unassign()?;
    Ok(begins)
}

/// What may still be read.
struct Budget {
    records: usize,
    bytes: usize,
}

/// Reads the window of every search; false if that would cost too much.
fn read_windows<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    searches: &mut [Search],
    budget: &mut Budget,
    deadline: Instant,
) -> KafkaResult<bool> {
    let mut assignment = TopicPartitionList::with_capacity(searches.len());
    for search in searches.iter() {
        assignment.add_partition_offset(topic, search.partition, Offset::Offset(search.window.start))?;
    }
    consumer.assign(&assignment)?;
    let places: HashMap<i32, usize> =
        searches.iter().enumerate().map(|(place, search)| (search.partition, place)).collect();
    let mut unread = searches.len();
    while unread > 0 {
        if Instant::now() >= deadline || budget.records == 0 || budget.bytes == 0 {
            return Ok(false);
        }
        let (partition, offset) = match consumer.poll(POLL) {
            Some(Ok(message)) => {
                budget.records = budget.records.saturating_sub(1);
                budget.bytes = budget.bytes.saturating_sub(message.payload_len() + message.key_len());
                (message.partition(), message.offset())
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => (partition, i64::MAX - 1),
            // A window that cannot be read ends with the deadline.
            Some(Err(_)) | None => continue,
        };
        let search = places.get(&partition).and_then(|place| searches.get_mut(*place));
        if let Some(search) = search.filter(|search| !search.is_read) {
            search.read(offset);
            unread -= usize::from(search.is_read);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a search finds in a partition that holds records at these offsets only.
    fn search(offsets: &[i64], low: i64, high: i64, records: usize) -> i64 {
        let mut search = Search::new(0, Watermarks { low, high }, records as i64);
        loop {
            let begin = search.window.start;
            for offset in offsets.iter().copied().filter(|offset| *offset >= begin) {
                if !search.is_read {
                    search.read(offset);
                }
            }
            if !search.widen(records) {
                return search.begin(records);
            }
        }
    }

    proptest! {
        #[test]
        fn the_last_records_are_counted_whatever_the_holes_between_them(
            mut offsets in proptest::collection::btree_set(0i64..5_000, 0..300), records in 1usize..200, low in 0i64..2_000,
        ) {
            offsets.retain(|offset| *offset >= low);
            let offsets: Vec<i64> = offsets.into_iter().collect();
            let begin = search(&offsets, low, 6_000, records);
            let yielded = offsets.iter().filter(|offset| **offset >= begin).count();
            prop_assert_eq!(yielded, records.min(offsets.len()));
        }
    }
}
