//! The stream as programs read it that know nothing of Headgate: Python's `websockets`, `curl`, a real browser. And dev
//! mode as somebody starts it who has a Kafka already.

#[cfg(feature = "browser")]
mod browser;
mod curl;
mod dev;
mod python;

use anyhow::Result;
use headgate_tests::gateway;
use headgate_tests::kafka::{Record, unique};
use headgate_tests::mock_kafka::MockKafka;
use headgate_wire::GatewayConfig;
use std::path::PathBuf;
use std::time::Duration;

/// How long a foreign program may take to start on a busy machine, and to say something.
const PATIENCE: Duration = Duration::from_mins(1);

/// A topic of its own and the configuration of an open stream of it.
fn config() -> Result<(&'static MockKafka, GatewayConfig)> {
    let kafka = MockKafka::shared()?;
    let topic = unique("outside");
    kafka.create_topic(&topic, 3)?;
    Ok((kafka, gateway::config(kafka.bootstrap(), &topic)))
}

/// CloudEvents with these ids.
fn events(topic: &str, ids: std::ops::Range<i32>) -> Vec<Record> {
    let event = |id| {
        let event = serde_json::json!({
            "specversion": "1.0", "id": format!("e{id}"), "source": "/till", "type": "sale", "subject": "till 1",
            "data": { "amount": id },
        });
        Record::new(topic, event.to_string()).partition(id % 3)
    };
    ids.map(event).collect()
}

/// A script beside these tests.
fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("outside").join(name)
}
