//! What the live consumer has read lately, so that most cursors are compared without asking Kafka. Pure.

use crate::stream::entry::Entry;
use crate::stream::position::Position;
use std::collections::VecDeque;

/// Records that are remembered of all partitions together: 16 bytes each.
const RECORDS: usize = 256 * 1024;
/// Most of them in one partition.
const RECORDS_OF_PARTITION: usize = 16 * 1024;
/// Fewest of them in one partition, however many there are.
const FEWEST: usize = 16;

/// Offsets and checks of the newest records, by partition.
#[derive(Debug, Default)]
pub(super) struct Lately {
    partitions: Vec<VecDeque<(i64, u32)>>,
}

impl Lately {
    /// Forgets everything: the stream begins again.
    pub fn clear(&mut self) {
        self.partitions.clear();
    }

    /// The stream has passed this step.
    pub fn pass(&mut self, entry: &Entry) {
        let (Ok(partition), Entry::Record(record)) = (usize::try_from(entry.partition()), entry) else { return };
        if partition >= self.partitions.len() {
            self.partitions.resize_with(partition + 1, VecDeque::new);
        }
        let most = (RECORDS / self.partitions.len()).clamp(FEWEST, RECORDS_OF_PARTITION);
        let records = &mut self.partitions[partition];
        records.push_back((record.offset, record.check));
        while records.len() > most {
            records.pop_front();
        }
    }

    /// True if a reader at `position` has certainly seen the log that was read here: what is known of each record before
    /// its places is what was read there.
    pub fn agrees_with(&self, position: &Position) -> bool {
        position.iter().all(|(partition, next)| {
            let check = position.seen(partition).check;
            // Without a check there is nothing to compare.
            next == 0 || check == 0 || self.check_at(partition, next - 1) == Some(check)
        })
    }

    fn check_at(&self, partition: i32, offset: i64) -> Option<u32> {
        let records = usize::try_from(partition).ok().and_then(|partition| self.partitions.get(partition))?;
        let index = records.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        Some(records[index].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::record::{Record, RecordParts};
    use std::sync::Arc;

    fn record(offset: i64, time_ms: i64) -> Entry {
        let parts = RecordParts { offset, timestamp_ms: Some(time_ms), ..RecordParts::default() };
        Entry::Record(Arc::new(Record::decode(parts, 1024)))
    }

    #[test]
    fn a_position_behind_a_record_that_was_read_agrees_and_one_behind_another_record_does_not() {
        let mut lately = Lately::default();
        let (mut same, mut other) = (Position::default(), Position::default());
        for offset in 0..10 {
            lately.pass(&record(offset, 1));
            record(offset, 1).advance(&mut same);
            record(offset, 2).advance(&mut other);
        }
        assert!(lately.agrees_with(&same));
        assert!(!lately.agrees_with(&other));
        // It has read further than this gateway.
        record(10, 1).advance(&mut same);
        assert!(!lately.agrees_with(&same));
    }

    #[test]
    fn what_is_remembered_is_bounded_whatever_the_number_of_partitions() {
        let mut lately = Lately::default();
        for offset in 0..2 * RECORDS_OF_PARTITION as i64 {
            lately.pass(&record(offset, 1));
        }
        assert_eq!(lately.partitions[0].len(), RECORDS_OF_PARTITION);
    }
}
