//! Positions in a topic: the next offset of every partition, what was seen before it, and the arithmetic on them.
//!
//! Pure. A position is what a [`Cursor`] encodes; everything about resuming is a comparison of two positions.

use headgate_wire::Cursor;
use headgate_wire::cursor::{MAX_PARTITIONS, Seen};

/// The next offset of every partition, by partition number. Partitions beyond the end begin at offset 0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Position {
    places: Vec<Place>,
    /// A check of the id of the topic ([`Cursor::topic`]); 0 if that is not known.
    pub topic: u32,
}

/// A place in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
struct Place {
    next: i64,
    /// What is known of the record before `next`.
    seen: Seen,
}

impl Position {
    /// From next offsets, by partition number.
    pub fn new(next: Vec<i64>) -> Self {
        Self { places: next.into_iter().map(|next| Place { next, seen: Seen::default() }).collect(), topic: 0 }
    }

    /// Number of partitions that are named.
    pub fn partitions(&self) -> usize {
        self.places.len()
    }

    /// Memory that the position takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }

    /// The first offset of `partition` that has not been seen.
    pub fn next(&self, partition: i32) -> i64 {
        self.place(partition).next
    }

    /// What is known of the record before [`Position::next`].
    pub fn seen(&self, partition: i32) -> Seen {
        self.place(partition).seen
    }

    fn place(&self, partition: i32) -> Place {
        usize::try_from(partition).ok().and_then(|p| self.places.get(p)).copied().unwrap_or_default()
    }

    /// Sets the next offset of `partition`, forwards or backwards, without knowing what is before it. Partitions beyond
    /// Kafka's sane range are ignored.
    pub fn set(&mut self, partition: i32, next: i64) {
        self.set_after(partition, next, Seen::default());
    }

    /// The same, behind a record of which this is known.
    pub fn set_after(&mut self, partition: i32, next: i64, seen: Seen) {
        let Ok(index) = usize::try_from(partition) else { return };
        if index >= MAX_PARTITIONS {
            return;
        }
        if index >= self.places.len() {
            self.places.resize(index + 1, Place::default());
        }
        self.places[index] = Place { next, seen };
    }

    /// Moves `partition` forward to `next`, never back.
    pub fn advance(&mut self, partition: i32, next: i64) {
        self.advance_after(partition, next, Seen::default());
    }

    /// The same, behind a record of which this is known.
    pub fn advance_after(&mut self, partition: i32, next: i64, seen: Seen) {
        if next > self.next(partition) {
            self.set_after(partition, next, seen);
        }
    }

    /// Whether a record has not been seen at this position.
    pub fn wants(&self, partition: i32, offset: i64) -> bool {
        offset >= self.next(partition)
    }

    /// True if this position is at or after `other` in every partition.
    pub fn reaches(&self, other: &Self) -> bool {
        self.all(other).all(|p| self.next(p) >= other.next(p))
    }

    /// Moves every partition back to where `other` is, if that is earlier. Partitions that one of the two does not name
    /// begin at 0.
    pub fn lower_to(&mut self, other: &Self) {
        self.places.truncate(other.places.len());
        for (mine, theirs) in self.places.iter_mut().zip(&other.places) {
            if theirs.next < mine.next {
                *mine = *theirs;
            }
        }
    }

    /// Offsets between two positions, over all partitions, whichever is ahead.
    pub fn distance(&self, other: &Self) -> u64 {
        self.all(other).fold(0u64, |sum, p| sum.saturating_add(self.next(p).abs_diff(other.next(p))))
    }

    /// The partitions that one of the two names.
    fn all(&self, other: &Self) -> std::ops::Range<i32> {
        0..self.places.len().max(other.places.len()) as i32
    }

    /// `(partition, next offset)` of every partition.
    pub fn iter(&self) -> impl Iterator<Item = (i32, i64)> + '_ {
        self.places.iter().enumerate().map(|(partition, place)| (partition as i32, place.next))
    }

    /// The cursor that encodes this position.
    pub fn to_cursor(&self) -> Cursor {
        Cursor {
            next: self.places.iter().map(|place| place.next).collect(),
            seen: self.places.iter().map(|place| place.seen).collect(),
            topic: self.topic,
        }
    }

    /// Appends the text of the cursor.
    pub fn write_cursor(&self, out: &mut String) {
        self.to_cursor().write_to(out);
    }
}

impl From<Cursor> for Position {
    fn from(cursor: Cursor) -> Self {
        let Cursor { next, seen, topic } = cursor;
        let seen = seen.into_iter().chain(std::iter::repeat(Seen::default()));
        Self { places: next.into_iter().zip(seen).map(|(next, seen)| Place { next, seen }).collect(), topic }
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

    #[test]
    fn what_was_seen_before_a_place_is_forgotten_with_the_place() {
        let mut position = Position::default();
        let seen = Seen { check: 77, time_ms: 1 };
        position.set_after(0, 5, seen);
        position.advance(0, 3);
        assert_eq!((position.next(0), position.seen(0)), (5, seen));
        position.advance(0, 6);
        assert_eq!(position.seen(0), Seen::default());
    }
}
