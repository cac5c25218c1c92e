//! Positions in a topic: the next offset of every partition, and the arithmetic on them.
//!
//! Pure. A position is what a [`Cursor`] encodes; everything about resuming is a comparison of two positions.

use headgate_wire::Cursor;
use headgate_wire::cursor::MAX_PARTITIONS;

/// The next offset of every partition, by partition number. Partitions beyond the end begin at offset 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position(Vec<i64>);

impl Position {
    /// From next offsets, by partition number.
    pub fn new(next: Vec<i64>) -> Self {
        Self(next)
    }

    /// Number of partitions that are named.
    pub fn partitions(&self) -> usize {
        self.0.len()
    }

    /// Memory that the position takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<i64>()
    }

    /// The first offset of `partition` that has not been seen.
    pub fn next(&self, partition: i32) -> i64 {
        usize::try_from(partition).ok().and_then(|p| self.0.get(p)).copied().unwrap_or(0)
    }

    /// Sets the next offset of `partition`, forwards or backwards. Partitions beyond Kafka's sane range are ignored.
    pub fn set(&mut self, partition: i32, next: i64) {
        let Ok(index) = usize::try_from(partition) else { return };
        if index >= MAX_PARTITIONS {
            return;
        }
        if index >= self.0.len() {
            self.0.resize(index + 1, 0);
        }
        self.0[index] = next;
    }

    /// Moves `partition` forward to `next`, never back.
    pub fn advance(&mut self, partition: i32, next: i64) {
        if next > self.next(partition) {
            self.set(partition, next);
        }
    }

    /// Whether a record has not been seen at this position.
    pub fn wants(&self, partition: i32, offset: i64) -> bool {
        offset >= self.next(partition)
    }

    /// True if this position is at or after `other` in every partition.
    pub fn reaches(&self, other: &Self) -> bool {
        (0..self.0.len().max(other.0.len()) as i32).all(|p| self.next(p) >= other.next(p))
    }

    /// Moves every partition back to where `other` is, if that is earlier. Partitions that one of the two does not name
    /// begin at 0.
    pub fn lower_to(&mut self, other: &Self) {
        self.0.truncate(other.0.len());
        for (next, theirs) in self.0.iter_mut().zip(&other.0) {
            *next = (*next).min(*theirs);
        }
    }

    /// Offsets between two positions, over all partitions, whichever is ahead.
    pub fn distance(&self, other: &Self) -> u64 {
        (0..self.0.len().max(other.0.len()) as i32)
            .fold(0u64, |sum, p| sum.saturating_add(self.next(p).abs_diff(other.next(p))))
    }

    /// `(partition, next offset)` of every partition.
    pub fn iter(&self) -> impl Iterator<Item = (i32, i64)> + '_ {
        self.0.iter().enumerate().map(|(partition, next)| (partition as i32, *next))
    }

    /// The cursor that encodes this position.
    pub fn to_cursor(&self) -> Cursor {
        Cursor { next: self.0.clone() }
    }

    /// Appends the text of the cursor.
    pub fn write_cursor(&self, out: &mut String) {
        self.to_cursor().write_to(out);
    }
}

impl From<Cursor> for Position {
    fn from(cursor: Cursor) -> Self {
        Self(cursor.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_a_cursor_does_not_name_begins_at_its_first_record() {
        let position = Position::new(vec![5]);
        assert!(position.wants(3, 0));
        assert!(!position.wants(0, 4));
    }

    #[test]
    fn positions_are_compared_partition_by_partition() {
        let a = Position::new(vec![5, 1]);
        let b = Position::new(vec![4, 2]);
        assert!(!a.reaches(&b) && !b.reaches(&a));
        let mut lower = a.clone();
        lower.lower_to(&b);
        assert_eq!(lower, Position::new(vec![4, 1]));
        assert_eq!(a.distance(&b), 2);
    }

    #[test]
    fn a_negative_partition_changes_nothing() {
        let mut position = Position::default();
        position.set(-1, 9);
        position.set(i32::MAX, 9);
        assert_eq!(position.partitions(), 0);
    }
}
