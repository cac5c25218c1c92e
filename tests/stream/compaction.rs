//! Topics from whose middle compaction has taken records (W16).

use crate::reader::Reader;
use anyhow::{Result, ensure};
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, Record, unique};
use headgate_tests::wait::eventually_ok;
use std::time::Duration;

/// Cleaners look every fifteen seconds.
const COMPACTED: Duration = Duration::from_mins(2);

fn keyed(topic: &str, numbers: std::ops::Range<i64>) -> impl Iterator<Item = Record> {
    numbers.map(move |n| Record::new(topic, format!(r#"{{"n":{n}}}"#)).key(format!("{}", n % 7)))
}

/// W16: holes are not gaps: what compaction took was replaced by something newer.
#[tokio::test(flavor = "multi_thread")]
async fn holes_of_compaction_are_passed_over_without_a_gap() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("compacted");
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    kafka.create_topic(&topic, 1, &settings).await?;
    kafka.produce_many(keyed(&topic, 0..2000)).await?;
    let early = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::open(&early.url("/orders?from=earliest")).await?;
    reader.events(500).await?;
    // A record closes the segment before it, which then can be compacted.
    eventually_ok("compaction", COMPACTED, async || {
        kafka.produce(Record::new(&topic, r#"{"n":-1}"#).key("end")).await?;
        let first = &kafka.read(&topic, 0, 0, 1).await?[0];
        ensure!(first.offset > 500, "offset {} is still there", first.offset);
        Ok(())
    })
    .await?;
    let fresh = Gateway::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    let mut reader = Reader::resume(&fresh.url("/orders"), reader.cut()).await?;
    assert!(reader.resumed);
    kafka.produce_many(keyed(&topic, 2000..2010)).await?;
    reader.until(|history| history.numbers().last() == Some(&2009)).await?;
    assert_eq!(reader.history.gaps, []);
    let numbers = reader.history.numbers();
    assert!(numbers.len() < 2000, "nothing was compacted");
    for newest in 1993..2010 {
        assert!(numbers.contains(&newest), "{newest}");
    }
    Ok(())
}
