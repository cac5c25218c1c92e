//! Python's `websockets` package.

use crate::{PATIENCE, config, events, script};
use anyhow::Result;
use headgate_tests::gateway::Gateway;
use headgate_tests::process::Process;
use headgate_tests::spawn::command;
use headgate_tests::tools;
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread")]
async fn pythons_websockets_reads_cloudevents_until_the_gateway_restarts() -> Result<()> {
    let (kafka, config) = config()?;
    let topic = config.kafka.topic.clone();
    let gateway = Gateway::start(config).await?;
    let mut python = command(tools::python()?);
    python.arg(script("read.py")).arg(gateway.url("/orders"));
    let mut python = Process::start("python", python)?;
    // The package offers compression by itself; it must get on without.
    assert_eq!(python.line(PATIENCE, |_| true).await?, "subprotocol cloudevents.json extensions []");
    kafka.produce(events(&topic, 0..20)).await?;
    let mut ids = BTreeSet::new();
    while ids.len() < 20 {
        let event: Value = serde_json::from_str(&python.line(PATIENCE, |_| true).await?)?;
        assert_eq!((&event["specversion"], &event["type"]), (&"1.0".into(), &"sale".into()));
        ids.insert(event["id"].to_string());
    }
    gateway.stop().await?;
    assert_eq!(python.line(PATIENCE, |_| true).await?, "closed 1012 restart; retry soon");
    assert!(python.exit(PATIENCE).await?.success());
    Ok(())
}
