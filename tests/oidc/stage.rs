//! A gateway that takes the tokens of an issuer, before a mock Kafka with a topic.

use anyhow::{Context as _, Result};
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{Record, unique};
use headgate_tests::mock_kafka::MockKafka;
use headgate_tests::oidc::hostile::AUDIENCE;
use headgate_tests::raw::{Answer, Raw};
use headgate_wire::GatewayConfig;
use headgate_wire::config::{Auth, AuthMode};
use std::time::Duration;

/// Far above what anything here takes on a quiet machine.
pub const SOON: Duration = Duration::from_secs(30);
/// The header that asks for our own envelope.
pub const HEADGATE: (&str, &str) = ("sec-websocket-protocol", "headgate.v1");

pub struct Stage {
    pub kafka: &'static MockKafka,
    pub topic: String,
    pub gateway: Gateway,
}

/// A topic of its own and the configuration of a closed stream for tokens of this issuer.
pub fn config(issuer: &str) -> Result<(&'static MockKafka, GatewayConfig)> {
    let kafka = MockKafka::shared()?;
    let topic = unique("oidc");
    kafka.create_topic(&topic, 1)?;
    let mut config = gateway::config(kafka.bootstrap(), &topic);
    let oidc = serde_json::json!({ "issuerURL": issuer, "audiences": ["urn:another", AUDIENCE] });
    config.auth = Auth { oidc: Some(serde_json::from_value(oidc)?), ..Auth::keys(AuthMode::Oidc, None) };
    config.public_access.anonymous = false;
    Ok((kafka, config))
}

impl Stage {
    /// A ready gateway.
    pub async fn open(issuer: &str) -> Result<Self> {
        let stage = Self::unready(issuer).await?;
        stage.gateway.ready().await?;
        Ok(stage)
    }

    /// A gateway that may wait for its provider.
    pub async fn unready(issuer: &str) -> Result<Self> {
        let (kafka, config) = config(issuer)?;
        let topic = config.kafka.topic.clone();
        Ok(Self { kafka, topic, gateway: Gateway::start_unready(config, Vec::new()).await? })
    }

    /// What a token gets instead of, or with, the upgrade.
    pub async fn answer(&self, token: &str) -> Result<Answer> {
        let mut client = Raw::connect(self.gateway.stream).await?;
        client.upgrade("/orders", &[("authorization", &bearer(token))]).await
    }

    /// Its status alone.
    pub async fn status(&self, token: &str) -> Result<u16> {
        Ok(self.answer(token).await?.status)
    }

    /// A stream in our own envelope, after its `ready`.
    pub async fn connected(&self, token: &str) -> Result<Raw> {
        let client = Raw::connect(self.gateway.stream).await?;
        let mut client = client.open("/orders", &[HEADGATE, ("authorization", &bearer(token))]).await?;
        client.text().await?;
        Ok(client)
    }

    /// Large records, so that a client that does not read is soon behind.
    pub async fn produce_large(&self, count: usize) -> Result<()> {
        let records = (0..count).map(|_| Record::new(&self.topic, "x".repeat(20_000)));
        self.kafka.produce(records).await.map(drop)
    }

    /// Open connections.
    pub async fn connections(&self) -> Result<u64> {
        self.gateway.status().await?["streams"][0]["connections"].as_u64().context("no number of connections")
    }

    /// What the gateway says about its provider.
    pub async fn provider(&self) -> Result<serde_json::Value> {
        Ok(self.gateway.status().await?["streams"][0]["oidc"].clone())
    }
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
