//! Where to go on in a topic that no longer has what would come next, and what is missing then. Pure.

use super::watermarks::Watermarks;
use crate::stream::entry::Gap;
use crate::stream::position::Position;
use headgate_wire::message::GapReason;

/// Goes on in a topic whose partitions hold what `watermarks` say; where nothing is known, at the same offset as before.
/// `replaced` says that it is not the topic that `before` belongs to, whatever its offsets.
pub(super) fn continuation(
    before: &Position,
    watermarks: &[Option<Watermarks>],
    replaced: bool,
) -> (Position, Vec<Gap>) {
    // Kafka never takes a partition away.
    let replaced = replaced || watermarks.len() < before.partitions();
    let mut position = Position::new(vec![0; watermarks.len()]);
    let mut gaps = Vec::new();
    for index in 0..watermarks.len().max(before.partitions()) {
        let partition = index as i32;
        let from = before.next(partition);
        let (low, high) = match watermarks.get(index) {
            Some(Some(marks)) => (marks.low, marks.high),
            // Nobody answers for it now.
            Some(None) if replaced => (0, 0),
            Some(None) => (from, from),
            None => (0, 0),
        };
        if from > high || (replaced && from != low) {
            gaps.push(Gap { partition, from, to: low, reason: GapReason::TopicReset });
        } else if from < low {
            gaps.push(Gap { partition, from, to: low, reason: GapReason::Retention });
        }
        if index < watermarks.len() {
            let stays = !replaced && (low..=high).contains(&from);
            position.set(partition, if stays { from } else { low });
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

    fn marks(known: &[(i64, i64)]) -> Vec<Option<Watermarks>> {
        known.iter().map(|(low, high)| Some(Watermarks { low: *low, high: *high })).collect()
    }

    #[test]
    fn a_partition_for_which_nobody_answers_goes_on_where_it_was() {
        let before = Position::new(vec![5, 20]);
        let known = [None, Some(Watermarks { low: 30, high: 40 })];
        let (position, gaps) = continuation(&before, &known, false);
        assert_eq!(position, Position::new(vec![5, 30]));
        assert_eq!(gaps, [gap(1, 20, 30, GapReason::Retention)]);
    }

    #[test]
    fn what_is_still_there_is_not_repeated() {
        let before = Position::new(vec![5, 20, 0]);
        let (position, gaps) = continuation(&before, &marks(&[(0, 9), (0, 20), (0, 0)]), false);
        assert_eq!((position, gaps), (before, vec![]));
    }

    #[test]
    fn each_partition_is_judged_by_itself() {
        let (position, gaps) = continuation(&Position::new(vec![5, 20, 7]), &marks(&[(9, 30), (3, 10), (0, 9)]), false);
        assert_eq!(position, Position::new(vec![9, 3, 7]));
        assert_eq!(gaps, [gap(0, 5, 9, GapReason::Retention), gap(1, 20, 3, GapReason::TopicReset)]);
    }

    #[test]
    fn a_replaced_topic_is_read_from_its_start_even_if_the_offsets_would_fit() {
        let (position, gaps) = continuation(&Position::new(vec![5, 0]), &marks(&[(0, 100), (0, 100)]), true);
        assert_eq!(position, Position::new(vec![0, 0]));
        assert_eq!(gaps, [gap(0, 5, 0, GapReason::TopicReset)]);
    }

    #[test]
    fn a_topic_with_fewer_partitions_is_another_one() {
        let (position, gaps) = continuation(&Position::new(vec![5, 5]), &marks(&[(0, 100)]), false);
        assert_eq!(position, Position::new(vec![0]));
        assert_eq!(gaps, [gap(0, 5, 0, GapReason::TopicReset), gap(1, 5, 0, GapReason::TopicReset)]);
    }
}
