//! Records, topics and groups in the shared broker.

use std::time::Duration;

use anyhow::Result;
use headgate_tests::kafka::{Listener, RealKafka, Record, unique};
use headgate_tests::wait::eventually;
use rdkafka::consumer::{BaseConsumer, Consumer};

#[tokio::test]
async fn a_record_comes_back_as_it_went_in() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("orders");
    kafka.create_topic(&topic, 3, &[("cleanup.policy", "compact")]).await?;
    let record = Record::new(&topic, "value").partition(2).key("key").header("a", "1").header("a", "2");
    assert_eq!(kafka.produce(record).await?, 0);
    kafka.produce(Record::tombstone(&topic, "key").partition(2)).await?;

    let received = kafka.read(&topic, 2, 0, 2).await?;
    assert_eq!(received[0].key.as_deref(), Some(&b"key"[..]));
    assert_eq!(received[0].value.as_deref(), Some(&b"value"[..]));
    assert_eq!(received[0].headers, [("a".to_owned(), b"1".to_vec()), ("a".to_owned(), b"2".to_vec())]);
    assert_eq!(received[1].value, None);
    kafka.delete_topic(&topic).await
}

#[tokio::test]
async fn many_records_keep_their_order_and_retention_can_pass_them() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("orders");
    kafka.create_topic(&topic, 1, &[]).await?;
    let offsets = kafka.produce_many((0..1000).map(|n| Record::new(&topic, format!("{n}")))).await?;
    assert_eq!(offsets, (0..1000).collect::<Vec<i64>>());

    kafka.delete_records_before(&topic, 0, 600).await?;
    assert_eq!(kafka.watermarks(&topic, 0).await?, (600, 1000));
    assert_eq!(kafka.read(&topic, 0, 600, 1).await?[0].value.as_deref(), Some(&b"600"[..]));
    Ok(())
}

#[tokio::test]
async fn a_group_is_listed_with_its_members() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let (topic, group) = (unique("orders"), unique("group"));
    kafka.create_topic(&topic, 1, &[]).await?;
    let mut config = kafka.client(Listener::Plaintext);
    let consumer: BaseConsumer = config.set("group.id", &group).set("client.id", "member").create()?;
    consumer.subscribe(&[&topic])?;
    eventually("a stable group of one", Duration::from_mins(1), async || {
        consumer.poll(Duration::from_millis(20));
        let groups = kafka.list_groups().await.unwrap_or_default();
        groups.iter().any(|found| found.name == group && found.state == "Stable" && found.members == ["member"])
    })
    .await
}
