//! Where to go on in a topic that no longer has what would come next, and what is missing then. Pure.

use crate::stream::continuity::{self, Evidence};
use crate::stream::entry::Gap;
use crate::stream::position::Position;
use headgate_wire::message::GapReason;

/// Goes on in a topic whose partitions hold what `logs` say; where nothing is known, at the same offset as before. `topic` is
/// a check of its id.
pub(super) fn continuation(before: &Position, logs: &[Option<Evidence>], topic: u32) -> (Position, Vec<Gap>) {
    let (mut position, mut gaps) = continuity::continued(before, logs, topic);
    for (partition, log) in logs.iter().enumerate() {
        let partition = partition as i32;
        let from = position.next(partition);
        if let Some(log) = log.filter(|log| from < log.low) {
            gaps.push(Gap { partition, from, to: log.low, reason: GapReason::Retention });
            position.set(partition, log.low);
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

    fn logs(known: &[(i64, i64)]) -> Vec<Option<Evidence>> {
        known.iter().map(|(low, high)| Some(Evidence { low: *low, high: *high, before: None, younger: None })).collect()
    }

    #[test]
    fn a_partition_for_which_nobody_answers_goes_on_where_it_was() {
        let before = Position::new(vec![5, 20]);
        let known = [None, logs(&[(30, 40)])[0]];
        let (position, gaps) = continuation(&before, &known, 0);
        assert_eq!(position, Position::new(vec![5, 30]));
        assert_eq!(gaps, [gap(1, 20, 30, GapReason::Retention)]);
    }

    #[test]
    fn what_is_still_there_is_not_repeated() {
        let before = Position::new(vec![5, 20, 0]);
        let (position, gaps) = continuation(&before, &logs(&[(0, 9), (0, 20), (0, 0)]), 0);
        assert_eq!((position, gaps), (before, vec![]));
    }

    #[test]
    fn each_partition_is_judged_by_itself() {
        let (position, gaps) = continuation(&Position::new(vec![5, 20, 7]), &logs(&[(9, 30), (3, 10), (0, 9)]), 0);
        assert_eq!(position, Position::new(vec![9, 3, 7]));
        assert_eq!(gaps, [gap(1, 20, 3, GapReason::TopicReset), gap(0, 5, 9, GapReason::Retention)]);
    }

    #[test]
    fn a_replaced_topic_is_read_from_its_start_even_if_the_offsets_would_fit() {
        let mut before = Position::new(vec![5, 0]);
        before.topic = 1;
        let (position, gaps) = continuation(&before, &logs(&[(0, 100), (0, 100)]), 2);
        assert_eq!((position.next(0), position.next(1)), (0, 0));
        assert_eq!(gaps, [gap(0, 5, 0, GapReason::TopicReset)]);
    }

    #[test]
    fn a_topic_with_fewer_partitions_is_another_one() {
        let mut before = Position::new(vec![5, 5]);
        before.topic = 1;
        let (_, gaps) = continuation(&before, &logs(&[(0, 100)]), 2);
        assert_eq!(gaps, [gap(0, 5, 0, GapReason::TopicReset), gap(1, 5, 0, GapReason::TopicReset)]);
    }
}
