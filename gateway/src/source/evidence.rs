//! What the logs of a topic hold where a position stands: the facts for [`crate::stream::continuity`].

use super::watermarks;
use super::{SourceSettings, record};
use crate::stream::continuity::Evidence;
use crate::stream::entry::Entry;
use crate::stream::position::Position;
use headgate_wire::cursor::Seen;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the records before a position may take to come.
const TIMEOUT: Duration = Duration::from_secs(4);
/// How long one poll waits.
const POLL: Duration = Duration::from_millis(50);

/// Reads it, by partition; `None` for a partition for which nobody answers. It takes the consumer's assignment.
///
/// # Errors
/// If the brokers do not answer in time.
pub(super) fn read<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    settings: &SourceSettings,
    position: &Position,
) -> KafkaResult<Vec<Option<Evidence>>> {
    let topic = &settings.kafka.topic;
    let watermarks = watermarks::ask(consumer, topic)?;
    // Time 0 is unknown, and the library passes negative times on as words of the protocol.
    let after = |partition| Some(position.seen(partition).time_ms).filter(|time| *time > 0).map(|time| time + 1);
    let younger = watermarks::at_times(consumer, topic, after)?;
    let mut logs: Vec<Option<Evidence>> = watermarks
        .iter()
        .zip(younger)
        .map(|(marks, younger)| marks.map(|marks| Evidence { low: marks.low, high: marks.high, before: None, younger }))
        .collect();
    let mut wanted = HashMap::new();
    for (partition, log) in logs.iter().enumerate() {
        let partition = partition as i32;
        let next = position.next(partition);
        let can_compare = |log: &Evidence| next > log.low && next <= log.high;
        if position.seen(partition).check != 0 && log.as_ref().is_some_and(can_compare) {
            wanted.insert(partition, next - 1);
        }
    }
    for (partition, before) in read_records(consumer, settings, wanted)? {
        if let Some(Some(log)) = logs.get_mut(partition as usize) {
            log.before = Some(before);
        }
    }
    Ok(logs)
}

/// The records at these offsets, one in each partition; those that are not there are left out.
fn read_records<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    settings: &SourceSettings,
    mut wanted: HashMap<i32, i64>,
) -> KafkaResult<Vec<(i32, Seen)>> {
    let mut found = Vec::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut assignment = TopicPartitionList::with_capacity(wanted.len());
    for (partition, offset) in &wanted {
        assignment.add_partition_offset(&settings.kafka.topic, *partition, Offset::Offset(*offset))?;
    }
    consumer.assign(&assignment)?;
    let deadline = Instant::now() + TIMEOUT;
    while !wanted.is_empty() {
        if Instant::now() >= deadline {
            consumer.unassign()?;
            return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
        }
        match consumer.poll(POLL) {
            // What comes first is the record, or a later one if it is gone.
            Some(Ok(message)) => {
                if wanted.remove(&message.partition()) == Some(message.offset()) {
                    let record = record::record(&message, settings.max_record_bytes);
                    found.push((message.partition(), Entry::Record(Arc::new(record)).seen()));
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(wanted.remove(&partition)),
            // What cannot be read ends with the deadline.
            Some(Err(_)) | None => {}
        }
    }
    consumer.unassign()?;
    Ok(found)
}
