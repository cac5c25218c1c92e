//! Many different views of one stream: each client gets exactly what it asked for.

use crate::stage::{HEADGATE, Stage, event};
use anyhow::{Result, ensure};
use headgate_tests::kafka::Record;

const CLIENTS: usize = 200;
const EVENTS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_of_different_channels_each_get_exactly_their_events() -> Result<()> {
    let stage = Stage::open().await?;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = stage.raw().await?.open(&format!("/orders/channel-{number}"), &[HEADGATE]).await?;
        client.text().await?;
        clients.push(client);
    }
    let mut everything = stage.raw().await?.open("/orders", &[HEADGATE]).await?;
    everything.text().await?;
    // Every channel once in each round, so that each view sees the others' events between its own.
    let records = (0..EVENTS).flat_map(|round| {
        (0..CLIENTS).map(move |number| (number, event(&format!("channel-{number}"), &format!("{number}/{round}"))))
    });
    let topic = &stage.topic;
    stage.kafka.produce(records.map(|(number, text)| Record::new(topic, text).partition(number as i32 % 3))).await?;
    for (number, client) in clients.iter_mut().enumerate() {
        for round in 0..EVENTS {
            let text = client.text().await?;
            ensure!(text.contains(&format!(r#""id":"{number}/{round}""#)), "client {number}, event {round}: {text}");
        }
    }
    for _ in 0..CLIENTS * EVENTS {
        everything.text().await?;
    }
    // Nothing else is on its way to anybody: the next thing is the answer to a ping.
    for (number, client) in clients.iter_mut().enumerate() {
        client.send_frame(0x81, br#"{"type":"ping"}"#).await?;
        let text = client.text().await?;
        ensure!(text == r#"{"type":"pong"}"#, "client {number}: {text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_changes_its_filter_misses_nothing_and_gets_nothing_twice() -> Result<()> {
    let stage = Stage::open().await?;
    let mut client = stage.raw().await?.open("/orders", &[HEADGATE]).await?;
    client.text().await?;
    stage.produce_events("a", 0..3).await?;
    for id in 0..3 {
        assert!(client.text().await?.contains(&format!(r#""id":"{id}""#)));
    }
    client.send_frame(0x81, br#"{"type":"filter","filters":[{"exact":{"subject":"b"}}]}"#).await?;
    client.send_frame(0x81, br#"{"type":"ping"}"#).await?;
    assert!(client.text().await?.contains("pong"));
    stage.produce_events("a", 3..6).await?;
    stage.produce_events("b", 6..8).await?;
    for id in 6..8 {
        assert!(client.text().await?.contains(&format!(r#""id":"{id}""#)));
    }
    Ok(())
}
