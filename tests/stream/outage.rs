//! What clients notice of a broker that is gone for a while: nothing but the pause (W17).

use crate::broker::{OwnKafka, numbered};
use crate::reader::Reader;
use anyhow::{Context as _, Result, ensure};
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::RealKafka;
use headgate_tests::wait::{eventually, eventually_ok};
use serde_json::Value;
use std::time::{Duration, Instant};

/// An outage shorter than this proves nothing about clients that were given up.
const LONG: Duration = Duration::from_secs(30);
/// How soon `/status` must know.
const NOTICED: Duration = Duration::from_mins(1);

/// A gateway, a broker of its own, and clients that have seen the records 0 to 99.
struct Scene {
    own: OwnKafka,
    gateway: Gateway,
    readers: Vec<Reader>,
}

impl Scene {
    async fn start() -> Result<Self> {
        let own = OwnKafka::start().await?;
        own.broker.create_topic("orders", 3, &[]).await?;
        let gateway = Gateway::start(gateway::config(&own.broker.bootstrap(), "orders")).await?;
        let mut readers = Vec::new();
        for path in ["/orders", "/orders?key=*", "/orders?from=earliest"] {
            readers.push(Reader::open(&gateway.url(path)).await?);
        }
        let mut scene = Self { own, gateway, readers };
        scene.produce_and_read(0, 100).await?;
        Ok(scene)
    }

    fn kafka(&mut self) -> &mut RealKafka {
        &mut self.own.broker
    }

    /// Every client sees everything once, on the connection that it has had from the beginning.
    async fn produce_and_read(&mut self, first: i64, end: i64) -> Result<()> {
        self.own.broker.produce_many(numbered("orders", 3, first..end)).await?;
        for reader in &mut self.readers {
            reader.events(end as usize).await?;
            assert_eq!(reader.history.numbers(), (0..end).collect::<Vec<_>>());
            assert_eq!(reader.history.gaps, []);
        }
        Ok(())
    }

    async fn kafka_status(&self) -> Result<Value> {
        Ok(self.gateway.status().await?["streams"][0]["kafka"].clone())
    }

    /// Says why while it is down, and takes nobody out of service for it.
    async fn assert_noticed(&self) -> Result<()> {
        eventually_ok("/status to say that Kafka is unreachable", NOTICED, async || {
            let status = self.kafka_status().await?;
            ensure!(status["state"] == "Unreachable", "{status}");
            let reason = status["reason"].as_str().context("it must say why")?;
            ensure!(!reason.is_empty(), "{status}");
            Ok(())
        })
        .await?;
        assert_eq!(self.gateway.admin_get("/readyz").await?.0, 200);
        assert!(self.gateway.metric("headgate_gateway_kafka_up{").await? < 1.0);
        Ok(())
    }

    async fn assert_recovered(&self) -> Result<()> {
        eventually_ok("/status to say that Kafka is read", NOTICED, async || {
            let status = self.kafka_status().await?;
            ensure!(status["state"] == "Reading" && status["reason"].is_null(), "{status}");
            Ok(())
        })
        .await?;
        assert!(self.gateway.metric("headgate_gateway_kafka_up{").await? > 0.0);
        Ok(())
    }

    async fn stop(self) -> Result<()> {
        drop(self.readers);
        self.gateway.stop().await
    }
}

/// W17.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_for_half_a_minute_costs_no_connection_and_no_record() -> Result<()> {
    let mut scene = Scene::start().await?;
    scene.kafka().stop().await?;
    let down = Instant::now();
    scene.assert_noticed().await?;
    // Clients can still join, and stay, and come back to what is in memory.
    let mut late = Reader::open(&scene.gateway.url("/orders")).await?;
    let returned = Reader::resume(&scene.gateway.url("/orders"), scene.readers.remove(0).cut()).await?;
    assert!(returned.resumed);
    scene.readers.push(returned);
    eventually("a long outage", LONG * 2, async || down.elapsed() > LONG).await?;
    scene.assert_noticed().await?;
    scene.kafka().start_again().await?;
    scene.produce_and_read(100, 200).await?;
    late.events(100).await?;
    scene.assert_recovered().await?;
    scene.stop().await
}

/// W17.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_started_again_costs_no_connection_and_no_record() -> Result<()> {
    let mut scene = Scene::start().await?;
    for round in 1..=2 {
        scene.kafka().kill()?;
        scene.assert_noticed().await?;
        scene.kafka().start_again().await?;
        scene.produce_and_read(round * 100, round * 100 + 100).await?;
        scene.assert_recovered().await?;
    }
    scene.stop().await
}

/// W17: connections stay open and nothing answers, as behind a broken network.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_frozen_is_reported_and_costs_no_connection_and_no_record() -> Result<()> {
    let mut scene = Scene::start().await?;
    scene.kafka().pause()?;
    scene.assert_noticed().await?;
    scene.kafka().resume()?;
    scene.produce_and_read(100, 200).await?;
    scene.assert_recovered().await?;
    scene.stop().await
}

/// W17: a gateway that starts while the broker is down serves as soon as it is up.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_before_its_broker_becomes_ready_by_itself() -> Result<()> {
    let mut own = OwnKafka::start().await?;
    own.broker.create_topic("orders", 3, &[]).await?;
    own.broker.stop().await?;
    let gateway = Gateway::start_unready(gateway::config(&own.broker.bootstrap(), "orders"), Vec::new()).await?;
    eventually_ok("/status to say that Kafka is unreachable", NOTICED, async || {
        let status = gateway.status().await?["streams"][0]["kafka"].clone();
        ensure!(status["state"] == "Unreachable", "{status}");
        Ok(())
    })
    .await?;
    assert_eq!(gateway.admin_get("/readyz").await?.0, 503);
    assert_eq!(gateway.get("/orders", &[("accept", "text/event-stream")]).await?.0, 503);
    own.broker.start_again().await?;
    gateway.ready().await?;
    let mut reader = Reader::open(&gateway.url("/orders")).await?;
    own.broker.produce_many(numbered("orders", 3, 0..30)).await?;
    reader.events(30).await?;
    gateway.stop().await
}
