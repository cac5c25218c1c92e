//! Positions that count records, on a topic whose offsets are not all records.

use crate::process::GatewayProcess;
use crate::producer::Producer;
use crate::stage::{HEADGATE, alone};
use anyhow::{Context as _, Result};
use headgate_tests::gateway;
use headgate_tests::kafka::{RealKafka, unique};
use headgate_tests::raw::Raw;
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// How long ten records may take.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
const ROUNDS: i64 = 30;

fn values(first: i64, count: i64) -> Vec<(i32, String)> {
    (first..first + count).map(|n| (0, format!(r#"{{"n":{n}}}"#))).collect()
}

/// Numbers of the next ten records.
async fn ten(gateway: &GatewayProcess) -> Result<Vec<i64>> {
    let client = Raw::connect(gateway.stream).await?;
    let mut client = client.open("/orders?from=-10&format=raw", &[HEADGATE]).await?;
    let mut numbers = Vec::new();
    let read = async {
        while numbers.len() < 10 {
            let message: Value = serde_json::from_str(&client.text().await?)?;
            numbers.extend(message["event"]["n"].as_i64());
        }
        anyhow::Ok(())
    };
    let outcome = timeout(SERVED_WITHIN, read).await;
    outcome.with_context(|| format!("{numbers:?} in {SERVED_WITHIN:?}"))??;
    Ok(numbers)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_ten_are_ten_records_whatever_was_aborted_between_and_after_them() -> Result<()> {
    let _alone = alone().await;
    let kafka = RealKafka::shared().await?;
    let topic = unique("last-ten");
    kafka.create_topic(&topic, 1, &[]).await?;
    let producer = Producer::new(kafka, &topic, &[("transactional.id", &topic)])?;
    producer.init_transactions().await?;
    for round in 0..ROUNDS {
        producer.begin()?;
        producer.send(values(round, 1)).await?;
        producer.commit().await?;
        producer.begin()?;
        producer.send(values(1000, 20)).await?;
        producer.abort().await?;
    }
    let gateway = GatewayProcess::start(gateway::config(&kafka.bootstrap(), &topic)).await?;
    assert_eq!(ten(&gateway).await?, (ROUNDS - 10..ROUNDS).collect::<Vec<_>>());
    Ok(())
}
