//! A mock Kafka with a topic and a gateway before it: where most of these tests play.

use crate::raw::Raw;
use anyhow::Result;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{Record, unique};
use headgate_tests::mock_kafka::MockKafka;
use headgate_tests::oidc::hostile::{AUDIENCE, Issuer};
use headgate_wire::GatewayConfig;
use headgate_wire::config::{Auth, AuthMode, Oidc, SigningAlgorithm};
use headgate_wire::key::{Verifier, mint};
use std::path::Path;
use std::time::Duration;

pub const PARTITIONS: i32 = 3;
/// Far above what anything here takes on a quiet machine.
pub const SOON: Duration = Duration::from_mins(1);
/// The header that asks for our own envelope.
pub const HEADGATE: (&str, &str) = ("sec-websocket-protocol", "headgate.v1");

pub struct Stage {
    pub kafka: &'static MockKafka,
    pub topic: String,
    pub gateway: Gateway,
}

impl Stage {
    /// An open stream with the defaults of the harness.
    pub async fn open() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// The same with a changed configuration.
    pub async fn with(change: impl FnOnce(&mut GatewayConfig)) -> Result<Self> {
        let (kafka, mut config) = config()?;
        change(&mut config);
        let topic = config.kafka.topic.clone();
        Ok(Self { kafka, topic, gateway: Gateway::start(config).await? })
    }

    pub async fn raw(&self) -> Result<Raw> {
        Raw::connect(self.gateway.stream).await
    }

    /// Values into partition 0.
    pub async fn produce(&self, values: impl IntoIterator<Item = String>) -> Result<()> {
        self.kafka.produce(values.into_iter().map(|value| Record::new(&self.topic, value))).await.map(drop)
    }

    /// Plain CloudEvents of a channel (subject), in partition 0.
    pub async fn produce_events(&self, channel: &str, ids: impl IntoIterator<Item = usize>) -> Result<()> {
        self.produce(ids.into_iter().map(|id| event(channel, &id.to_string()))).await
    }

    /// Sum over the lines of one metric of the gateway, such as `connections` or `gaps_total`.
    pub async fn metric(&self, name: &str) -> Result<usize> {
        Ok(self.gateway.metric(&format!("headgate_gateway_{name}")).await? as usize)
    }
}

/// A topic of its own and the configuration of an open stream of it.
pub fn config() -> Result<(&'static MockKafka, GatewayConfig)> {
    let kafka = MockKafka::shared()?;
    let topic = unique("contract");
    kafka.create_topic(&topic, PARTITIONS)?;
    Ok((kafka, gateway::config(kafka.bootstrap(), &topic)))
}

/// A structured CloudEvent.
pub fn event(subject: &str, id: &str) -> String {
    let event = serde_json::json!({
        "specversion": "1.0", "id": id, "source": "/till", "type": "sale", "subject": subject, "data": { "id": id },
    });
    event.to_string()
}

/// Closes a stream: only these keys may read, from this file.
pub fn with_keys(config: &mut GatewayConfig, file: &Path, keys: &[Verifier]) -> Result<()> {
    gateway::write_keys(file, keys)?;
    config.auth.mode = AuthMode::ApiKey;
    config.auth.keys_file = Some(file.to_owned());
    config.public_access.anonymous = false;
    Ok(())
}

/// Closes a stream: only tokens of this issuer are accepted.
pub fn with_tokens(config: &mut GatewayConfig, issuer: &Issuer) {
    config.auth = Auth { oidc: Some(rules(issuer)), ..Auth::keys(AuthMode::Oidc, None) };
    config.public_access.anonymous = false;
}

/// The smallest rules for tokens of this issuer.
pub fn rules(issuer: &Issuer) -> Oidc {
    Oidc {
        issuer_url: issuer.url().to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        jwks_file: None,
        ca_file: None,
        algorithms: SigningAlgorithm::usual(),
        username_claim: "preferred_username".to_owned(),
        roles_claim: None,
        organization_claim: None,
        required: Vec::new(),
        publish: Vec::new(),
        filters: Vec::new(),
    }
}

/// A fresh key as Headgate issues them, and what its digest file knows of it. The number makes it different from others.
pub fn issued(name: &str, number: u8) -> (String, Verifier) {
    let (_, key) = mint(u64::from(number) + 1, &[number; 32]);
    let verifier = gateway::verifier(name, &key);
    (key, verifier)
}

pub fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}
