//! What clients cost the broker.

use crate::broker::{OwnKafka, numbered};
use crate::reader::Reader;
use anyhow::Result;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{Listener, SUPER_USER};
use headgate_tests::wait::eventually;
use headgate_wire::config::{KafkaSasl, SaslMechanism};
use std::time::Duration;

const CLIENTS: usize = 1_000;
/// The live consumer and the one that answers questions, each with a connection to the address that it was given and
/// one to the broker that it found there.
const MOST_CONNECTIONS: usize = 4;

const SOON: Duration = Duration::from_mins(1);

/// W1. The gateway uses a listener that nobody else uses, so that its connections can be counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_are_one_consumer_and_no_group_for_the_broker() -> Result<()> {
    let own = OwnKafka::start().await?;
    let kafka = &own.broker;
    kafka.create_topic("orders", 3, &[]).await?;
    let folder = tempfile::tempdir()?;
    let mut config = gateway::config(&kafka.address(Listener::SaslPlaintext), "orders");
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    file("user", SUPER_USER.name)?;
    file("password", SUPER_USER.password)?;
    config.kafka.sasl = Some(KafkaSasl {
        mechanism: SaslMechanism::Plain,
        username_file: folder.path().join("user"),
        password_file: folder.path().join("password"),
    });
    let gateway = Gateway::start(config).await?;
    let mut readers = vec![Reader::open(&gateway.url("/orders")).await?];
    kafka.produce_many(numbered("orders", 3, 0..30)).await?;
    readers[0].events(30).await?;
    let connections = || kafka.connections(Listener::SaslPlaintext);
    let few = async || connections().is_ok_and(|count| (1..=MOST_CONNECTIONS).contains(&count));
    // A busy broker may take a while to notice that a connection was given up for another one.
    eventually("few connections for one client", SOON, few).await?;

    let url = gateway.url("/orders");
    let joining = stream::iter(1..CLIENTS).map(|_| Reader::open(&url)).buffer_unordered(50);
    readers.extend(joining.try_collect::<Vec<_>>().await?);
    kafka.produce_many(numbered("orders", 3, 30..60)).await?;
    for (reader, already) in readers.iter_mut().zip([30].into_iter().chain(std::iter::repeat(0))) {
        reader.events(already + 30).await?;
    }
    let opened = gateway.metric("headgate_gateway_connections{").await?;
    assert_eq!(opened as usize, CLIENTS);
    eventually(format!("few connections for {CLIENTS} clients"), SOON, few).await?;
    let replays = gateway.metric("headgate_gateway_replays_started_total").await?;
    assert!(replays < 1.0, "{replays} replays for clients that begin with the next record");
    assert_eq!(kafka.list_groups().await?, [], "nobody may join a group or commit");

    drop(readers);
    eventually("the clients to be forgotten", SOON, async || {
        gateway.metric("headgate_gateway_connections{").await.is_ok_and(|open| open == 0.0)
    })
    .await?;
    gateway.stop().await
}
