//! Where the partitions of a topic begin and end: one question to each broker for all of its partitions.
//!
//! The client library asks for one partition at a time, which at 40 ms a question takes a minute for a topic of 800
//! partitions. Its look-up by time takes a list, and passes the logical offsets on as the special times of the protocol
//! (ListOffsets: -1 is the end, -2 the beginning). With `read_committed` the end is the last stable offset. A partition
//! for which nobody answers is unknown, and no reason to know less about the others.

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the brokers may take to say who leads which partition.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one broker may take for its partitions. A dead one answers never; the live consumer waits for it too.
const BROKER_TIMEOUT: Duration = Duration::from_secs(2);
/// Brokers asked at the same time.
const PARALLEL: usize = 8;

/// The offsets that a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// Its oldest offset.
    pub low: i64,
    /// The offset that its next record will get.
    pub high: i64,
}

/// What is known of every partition, by its number. `None`: it has no leader, or its leader does not answer.
pub type TopicWatermarks = Vec<Option<Watermarks>>;

/// Asks for all partitions of a topic.
///
/// # Errors
/// If nobody knows the topic, or nobody answers for any of its partitions.
pub(super) fn ask<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str) -> KafkaResult<TopicWatermarks> {
    let leaders = leaders(consumer, topic)?;
    let known = offsets(consumer, topic, &leaders, &|_| Some(Offset::Beginning));
    let ends = offsets(consumer, topic, &leaders, &|_| Some(Offset::End));
    let mut watermarks = vec![None; leaders.len()];
    let mut error = None;
    for (partition, low) in known {
        match (low, ends.get(&partition)) {
            (Ok(Some(low)), Some(Ok(Some(high)))) => {
                watermarks[partition as usize] = Some(Watermarks { low, high: *high });
            }
            (Err(code), _) => error = Some(code),
            (_, Some(Err(code))) => error = Some(*code),
            _ => {}
        }
    }
    if watermarks.iter().all(Option::is_none) {
        return Err(KafkaError::MetadataFetch(error.unwrap_or(RDKafkaErrorCode::LeaderNotAvailable)));
    }
    Ok(watermarks)
}

/// The first offset of each partition whose record is of its time (milliseconds since 1970) or later; `None` where there is
/// none, nobody answers, or no time was given.
pub(super) fn at_times<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    time_ms: impl Fn(i32) -> Option<i64> + Sync,
) -> KafkaResult<Vec<Option<i64>>> {
    let leaders = leaders(consumer, topic)?;
    let mut found = vec![None; leaders.len()];
    let wanted = |partition| time_ms(partition).map(|time| Offset::Offset(time.max(0)));
    for (partition, offset) in offsets(consumer, topic, &leaders, &wanted) {
        found[partition as usize] = offset.ok().flatten();
    }
    Ok(found)
}

/// The broker that leads each partition, by partition number; the topic's own error if there is none.
pub(super) fn leaders<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str) -> KafkaResult<Vec<Option<i32>>> {
    let metadata = consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
    let unknown = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
    let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or_else(|| unknown.clone())?;
    if let Some(error) = found.error() {
        return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::from(error)));
    }
    let count = found.partitions().iter().map(|partition| partition.id() + 1).max().ok_or(unknown)?;
    let mut leaders = vec![None; usize::try_from(count).unwrap_or(0)];
    for partition in found.partitions() {
        let leader = partition.leader();
        leaders[partition.id() as usize] = (leader >= 0).then_some(leader);
    }
    Ok(leaders)
}

/// What is asked for each partition.
type Wanted<'w> = &'w (dyn Fn(i32) -> Option<Offset> + Sync);

/// What became of the question for one partition.
type Answer = Result<Option<i64>, RDKafkaErrorCode>;

fn offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    leaders: &[Option<i32>],
    wanted: Wanted<'_>,
) -> BTreeMap<i32, Answer> {
    let mut groups: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (partition, leader) in leaders.iter().enumerate() {
        let partition = partition as i32;
        if let Some(leader) = leader.filter(|_| wanted(partition).is_some()) {
            groups.entry(leader).or_default().push(partition);
        }
    }
    let groups: Vec<Vec<i32>> = groups.into_values().collect();
    let mut answers = BTreeMap::new();
    for together in groups.chunks(PARALLEL) {
        std::thread::scope(|threads| {
            let asked: Vec<_> =
                together.iter().map(|group| threads.spawn(|| ask_broker(consumer, topic, group, wanted))).collect();
            for thread in asked {
                answers.extend(thread.join().unwrap_or_default());
            }
        });
    }
    answers
}

/// One question to one broker. The library gives nothing if the broker refuses one of the partitions, so the others are
/// asked for again without it.
fn ask_broker<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    wanted: Wanted<'_>,
) -> Vec<(i32, Answer)> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        let wanted = wanted(*partition).unwrap_or(Offset::End);
        if list.add_partition_offset(topic, *partition, wanted).is_err() {
            return Vec::new();
        }
    }
    let code = match consumer.offsets_for_times(list, BROKER_TIMEOUT) {
        Ok(found) => {
            return found.elements().iter().map(|found| (found.partition(), Ok(offset(found.offset())))).collect();
        }
        Err(error) => error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
    };
    let is_silent = matches!(
        code,
        RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::RequestTimedOut
    );
    if is_silent || partitions.len() == 1 {
        return partitions.iter().map(|partition| (*partition, Err(code))).collect();
    }
    let (one, other) = partitions.split_at(partitions.len() / 2);
    let mut answers = ask_broker(consumer, topic, one, wanted);
    answers.extend(ask_broker(consumer, topic, other, wanted));
    answers
}

/// None if no record is of that time or later.
fn offset(found: Offset) -> Option<i64> {
    match found {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}
