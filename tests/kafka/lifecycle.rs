//! Stopping, killing, freezing and starting again.

use std::time::Duration;

use anyhow::{Context, Result};
use headgate_tests::kafka::{Listener, RealKafka, Record, unique};
use headgate_tests::wait::eventually;
use tokio::time::timeout;

/// Far above what a broker needs on a quiet machine.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn records_survive_a_stop_and_a_kill() -> Result<()> {
    let mut kafka = RealKafka::start().await?;
    kafka.create_topic("orders", 2, &[]).await?;
    kafka.produce(Record::new("orders", "first").partition(1)).await?;

    kafka.stop().await?;
    kafka.start_again().await?;
    assert_eq!(kafka.produce(Record::new("orders", "second").partition(1)).await?, 1);

    kafka.kill()?;
    kafka.start_again().await?;
    let values: Vec<_> = kafka.read("orders", 1, 0, 2).await?.into_iter().filter_map(|record| record.value).collect();
    assert_eq!(values, [b"first".to_vec(), b"second".to_vec()]);
    Ok(())
}

#[tokio::test]
async fn a_frozen_broker_answers_nothing_until_it_is_let_go() -> Result<()> {
    let kafka = RealKafka::start().await?;
    kafka.create_topic("orders", 1, &[]).await?;
    kafka.pause()?;
    let produced = kafka.produce(Record::new("orders", "late"));
    tokio::pin!(produced);
    assert!(timeout(Duration::from_millis(300), &mut produced).await.is_err());
    kafka.resume()?;
    let offset = timeout(SOON, produced).await.context("nothing came after it was let go")??;
    assert_eq!(offset, 0);
    Ok(())
}

#[tokio::test]
async fn connections_are_counted_per_listener() -> Result<()> {
    let kafka = RealKafka::start().await?;
    kafka.create_topic(&unique("orders"), 1, &[]).await?;
    assert_eq!(kafka.connections(Listener::Ssl)?, 0);
    eventually("a connection of the admin client", SOON, async || {
        kafka.connections(Listener::Plaintext).is_ok_and(|count| count > 0)
    })
    .await
}
