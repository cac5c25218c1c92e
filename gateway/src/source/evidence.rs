//! What the logs of a topic hold where positions stand: the facts for [`crate::stream::continuity`].
//!
//! Many clients come back at once, with positions that are near each other. So all that wait are served together: the ends
//! are asked for once, and each partition is read forward from one position to the next.

use super::watermarks::{self, TopicWatermarks};
use super::{SourceSettings, record};
use crate::stream::continuity::Evidence;
use crate::stream::entry::Entry;
use crate::stream::position::Position;
use headgate_wire::cursor::Seen;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the records before the positions may take to come.
const TIMEOUT: Duration = Duration::from_secs(4);
/// How long one poll waits.
const POLL: Duration = Duration::from_millis(50);
/// Offsets between two positions that are read over; beyond that, the consumer goes to the next one.
const READ_OVER: i64 = 5_000;

/// What is known of each partition at one position; `None` where nobody answers.
pub(super) type Logs = Vec<Option<Evidence>>;

/// Reads it for one position. It takes the consumer's assignment.
///
/// # Errors
/// If the brokers do not answer in time.
pub(super) fn read<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    settings: &SourceSettings,
    position: &Position,
) -> KafkaResult<Logs> {
    let found = read_all(consumer, settings, std::slice::from_ref(position))?;
    found.into_iter().next().ok_or(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut))
}

/// Reads it for several positions, in their order.
///
/// # Errors
/// If the brokers do not answer in time.
pub(super) fn read_all<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    settings: &SourceSettings,
    positions: &[Position],
) -> KafkaResult<Vec<Logs>> {
    let watermarks = watermarks::ask(consumer, &settings.kafka.topic)?;
    let mut wanted: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
    for position in positions {
        for (partition, offset) in comparable(position, &watermarks) {
            wanted.entry(partition).or_default().insert(offset);
        }
    }
    let records = read_records(consumer, settings, wanted)?;
    positions
        .iter()
        .map(|position| {
            let logs = logs_at(position, &watermarks, &records);
            if is_doubtful(position, &logs) { with_younger(consumer, settings, position, logs) } else { Ok(logs) }
        })
        .collect()
}

/// The records before a position that are known and can be read, as partition and offset.
fn comparable(position: &Position, watermarks: &TopicWatermarks) -> Vec<(i32, i64)> {
    let partitions = watermarks.iter().enumerate();
    partitions
        .filter_map(|(partition, marks)| {
            let (partition, marks) = (partition as i32, (*marks)?);
            let next = position.next(partition);
            let can_compare = position.seen(partition).check != 0 && next > marks.low && next <= marks.high;
            can_compare.then_some((partition, next - 1))
        })
        .collect()
}

fn logs_at(position: &Position, watermarks: &TopicWatermarks, records: &HashMap<(i32, i64), Seen>) -> Logs {
    let partitions = watermarks.iter().enumerate();
    partitions
        .map(|(partition, marks)| {
            let (partition, marks) = (partition as i32, (*marks)?);
            let before = records.get(&(partition, position.next(partition) - 1)).copied();
            Some(Evidence { low: marks.low, high: marks.high, before, younger: None })
        })
        .collect()
}

/// True if some log is not certainly the one that was seen.
fn is_doubtful(position: &Position, logs: &Logs) -> bool {
    logs.iter().enumerate().any(|(partition, log)| {
        let (next, seen) = (position.next(partition as i32), position.seen(partition as i32));
        let is_known = seen != Seen::default();
        log.is_some_and(|log| {
            is_known
                && next > log.low
                && (next > log.high || log.before.is_none_or(|before| before.check != seen.check))
        })
    })
}

/// Adds the first offsets that are younger than what was seen.
fn with_younger<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    settings: &SourceSettings,
    position: &Position,
    mut logs: Logs,
) -> KafkaResult<Logs> {
    // Time 0 is unknown, and the library passes negative times on as words of the protocol.
    let after = |partition| Some(position.seen(partition).time_ms).filter(|time| *time > 0).map(|time| time + 1);
    let younger = watermarks::at_times(consumer, &settings.kafka.topic, after)?;
    for (log, younger) in logs.iter_mut().zip(younger) {
        if let Some(log) = log {
            log.younger = younger;
        }
    }
    Ok(logs)
}

/// The records at these offsets, by partition and offset; those that are not there are left out.
fn read_records<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    settings: &SourceSettings,
    mut wanted: BTreeMap<i32, BTreeSet<i64>>,
) -> KafkaResult<HashMap<(i32, i64), Seen>> {
    let mut found = HashMap::new();
    let deadline = Instant::now() + TIMEOUT;
    while !wanted.is_empty() {
        let mut assignment = TopicPartitionList::with_capacity(wanted.len());
        for (partition, offsets) in &wanted {
            let first = offsets.first().copied().unwrap_or_default();
            assignment.add_partition_offset(&settings.kafka.topic, *partition, Offset::Offset(first))?;
        }
        consumer.assign(&assignment)?;
        let mut reading: BTreeSet<i32> = wanted.keys().copied().collect();
        while !reading.is_empty() {
            if Instant::now() >= deadline {
                consumer.unassign()?;
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
            match consumer.poll(POLL) {
                Some(Ok(message)) if reading.contains(&message.partition()) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    let Some(offsets) = wanted.get_mut(&partition) else { continue };
                    if offsets.contains(&offset) {
                        let record = record::record(&message, settings.max_record_bytes);
                        found.insert((partition, offset), Entry::Record(Arc::new(record)).seen());
                    }
                    // What is before it and has not come is gone.
                    *offsets = offsets.split_off(&(offset + 1));
                    if offsets.first().is_none_or(|next| *next > offset + READ_OVER) {
                        reading.remove(&partition);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    wanted.remove(&partition);
                    reading.remove(&partition);
                }
                // What cannot be read ends with the deadline.
                Some(_) | None => {}
            }
        }
        wanted.retain(|_, offsets| !offsets.is_empty());
    }
    consumer.unassign()?;
    Ok(found)
}
