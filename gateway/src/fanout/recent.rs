//! The newest records in memory, in the order in which this gateway read them.
//!
//! A client that comes back soon, to whatever view, continues from here without asking Kafka. Bounded in bytes; what
//! leaves is still in Kafka, and [`Recent::start`] says exactly from which position on everything is here. Pure.

use crate::stream::entry::Entry;
use crate::stream::position::Position;
use std::collections::VecDeque;

/// The newest entries, addressed by a number that only grows.
#[derive(Debug)]
pub struct Recent {
    entries: VecDeque<Entry>,
    first: u64,
    bytes: usize,
    limit_bytes: usize,
    start: Position,
    head: Position,
    /// Per partition: next offset after an entry, and the entry's number; both ascending.
    by_partition: Vec<VecDeque<(i64, u64)>>,
}

impl Recent {
    /// Nothing yet, of a stream that stands at `position`.
    pub fn new(position: Position, limit_bytes: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            bytes: 0,
            limit_bytes,
            start: position.clone(),
            head: position,
            by_partition: Vec::new(),
        }
    }

    /// Everything from here on is in memory.
    pub fn start(&self) -> &Position {
        &self.start
    }

    /// The position after the newest entry.
    pub fn head(&self) -> &Position {
        &self.head
    }

    /// Number of the oldest entry.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Number that the next entry will get.
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Memory in use, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The entry with this number, if it is still here.
    pub fn get(&self, number: u64) -> Option<&Entry> {
        number.checked_sub(self.first).and_then(|index| self.entries.get(index as usize))
    }

    /// Appends an entry and lets the oldest go.
    pub fn push(&mut self, entry: Entry) {
        let number = self.end();
        self.bytes += entry.memory_bytes();
        entry.advance(&mut self.head);
        if let Ok(partition) = usize::try_from(entry.partition()) {
            if partition >= self.by_partition.len() {
                self.by_partition.resize_with(partition + 1, VecDeque::new);
            }
            self.by_partition[partition].push_back((entry.next(), number));
        }
        self.entries.push_back(entry);
        while self.bytes > self.limit_bytes && self.entries.len() > 1 {
            self.evict();
        }
    }

    /// Forgets everything and continues at `position`: the topic is not the one that it was.
    pub fn restart(&mut self, position: Position) {
        self.first = self.end();
        self.entries.clear();
        self.by_partition.clear();
        self.bytes = 0;
        self.start.clone_from(&position);
        self.head = position;
    }

    /// Number of the first entry that a reader at `position` needs, or `None` if older ones have left.
    pub fn first_wanted(&self, position: &Position) -> Option<u64> {
        if !position.reaches(&self.start) {
            return None;
        }
        let first = self.by_partition.iter().enumerate().filter_map(|(partition, entries)| {
            let seen = entries.partition_point(|(next, _)| *next <= position.next(partition as i32));
            entries.get(seen).map(|(_, number)| *number)
        });
        Some(first.min().unwrap_or_else(|| self.end()))
    }

    fn evict(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        self.bytes -= entry.memory_bytes();
        self.first += 1;
        entry.advance(&mut self.start);
        if let Some(entries) = usize::try_from(entry.partition()).ok().and_then(|p| self.by_partition.get_mut(p)) {
            entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::entry::Gap;
    use headgate_wire::message::GapReason;
    use proptest::prelude::*;

    fn gap(partition: i32, offset: i64) -> Entry {
        Entry::Gap(Gap { partition, from: offset, to: offset + 1, reason: GapReason::TooLarge })
    }

    proptest! {
        #[test]
        fn a_reader_that_starts_at_the_first_wanted_entry_misses_nothing(
            partitions in proptest::collection::vec(0i32..4, 0..300),
            position in proptest::collection::vec(0i64..80, 4),
            limit in 200usize..20_000,
        ) {
            let mut recent = Recent::new(Position::default(), limit);
            let mut all = Vec::new();
            let mut next = [0i64; 4];
            for partition in partitions {
                let entry = gap(partition, next[partition as usize]);
                next[partition as usize] += 1;
                all.push(entry.clone());
                recent.push(entry);
            }
            let position = Position::new(position);
            let wanted: Vec<_> = all.iter().filter(|e| e.is_new_at(&position)).map(|e| (e.partition(), e.next())).collect();
            match recent.first_wanted(&position) {
                Some(first) => {
                    let got: Vec<_> = (first..recent.end()).filter_map(|n| recent.get(n))
                        .filter(|e| e.is_new_at(&position)).map(|e| (e.partition(), e.next())).collect();
                    prop_assert_eq!(got, wanted);
                }
                None => prop_assert!(!position.reaches(recent.start())),
            }
            prop_assert!(recent.bytes() <= limit.max(200));
        }
    }
}
