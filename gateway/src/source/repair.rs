//! Where to go on in a topic that no longer has what would come next, and what is missing then. Pure.

use crate::stream::entry::Gap;
use crate::stream::position::Position;
use headgate_wire::message::GapReason;

/// Goes on in a topic whose partitions hold the offsets from the first to before the second number of `watermarks`.
/// `replaced` says that it is not the topic that `before` belongs to, whatever its offsets.
pub(super) fn continuation(before: &Position, watermarks: &[(i64, i64)], replaced: bool) -> (Position, Vec<Gap>) {
    // Kafka never takes a partition away.
    let replaced = replaced || watermarks.len() < before.partitions();
    let mut position = Position::new(watermarks.iter().map(|(low, _)| *low).collect());
    let mut gaps = Vec::new();
    for partition in 0..watermarks.len().max(before.partitions()) {
        let (low, high) = watermarks.get(partition).copied().unwrap_or_default();
        let partition = partition as i32;
        let from = before.next(partition);
        if from > high || (replaced && from != low) {
            gaps.push(Gap { partition, from, to: low, reason: GapReason::TopicReset });
        } else if from < low {
            gaps.push(Gap { partition, from, to: low, reason: GapReason::Retention });
        } else {
            position.advance(partition, from);
        }
    }
    (position, gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(partition: i32, from: i64, to: i64, reason: GapReason) -> Gap {
        Gap { partition, from, to, reason }
    }

    #[test]
    fn what_is_still_there_is_not_repeated() {
        let before = Position::new(vec![5, 20, 0]);
        let (position, gaps) = continuation(&before, &[(0, 9), (0, 20), (0, 0)], false);
        assert_eq!((position, gaps), (before, vec![]));
    }

    #[test]
    fn each_partition_is_judged_by_itself() {
        let (position, gaps) = continuation(&Position::new(vec![5, 20, 7]), &[(9, 30), (3, 10), (0, 9)], false);
        assert_eq!(position, Position::new(vec![9, 3, 7]));
        assert_eq!(gaps, [gap(0, 5, 9, GapReason::Retention), gap(1, 20, 3, GapReason::TopicReset)]);
    }

    #[test]
    fn a_replaced_topic_is_read_from_its_start_even_if_the_offsets_would_fit() {
        let (position, gaps) = continuation(&Position::new(vec![5, 0]), &[(0, 100), (0, 100)], true);
        assert_eq!(position, Position::new(vec![0, 0]));
        assert_eq!(gaps, [gap(0, 5, 0, GapReason::TopicReset)]);
    }

    #[test]
    fn a_topic_with_fewer_partitions_is_another_one() {
        let (position, gaps) = continuation(&Position::new(vec![5, 5]), &[(0, 100)], false);
        assert_eq!(position, Position::new(vec![0]));
        assert_eq!(gaps, [gap(0, 5, 0, GapReason::TopicReset), gap(1, 5, 0, GapReason::TopicReset)]);
    }
}
