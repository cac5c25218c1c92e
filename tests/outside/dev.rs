//! `headgate dev` in front of a real Kafka, as two processes that know each other's addresses only.

use crate::PATIENCE;
use anyhow::{Context as _, Result};
use headgate_tests::kafka::{RealKafka, Record, unique};
use headgate_tests::process::Process;
use serde_json::Value;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn dev_mode_streams_a_topic_of_a_real_kafka_and_the_cli_reads_it() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("dev");
    let folder = tempfile::tempdir()?;
    let manifest = folder.path().join("stream.yaml");
    fs::write(
        &manifest,
        format!(
            "apiVersion: headgate.dev/v1alpha1\nkind: StreamEndpoint\nmetadata: {{name: own}}\n\
             spec: {{app: own, topic: {topic}, auth: {{mode: ApiKey}}}}\n"
        ),
    )?;
    let mut dev = Process::command("headgate")?;
    dev.args(["dev", "--no-demo", "-o", "json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    dev.args(["--kafka", &kafka.bootstrap(), "-f"]).arg(&manifest);
    let mut dev = Process::start("headgate dev", dev)?;
    let ready: Value = serde_json::from_str(&dev.line(PATIENCE, |line| line.starts_with('{')).await?)?;
    assert_eq!(ready["kafka"].as_str(), Some(kafka.bootstrap().as_str()));
    let stream = &ready["streams"][0];
    let (url, key) = (text(&stream["url"])?, text(&stream["key"])?);

    // The topic was missing; dev mode has created it.
    kafka.produce_many((0..3).map(|number| Record::new(&topic, format!("{{\"number\":{number}}}")))).await?;
    let mut reader = Process::command("headgate")?;
    reader.args(["stream", url, "--key", key, "--from", "earliest", "-n", "3", "-o", "json"]);
    let mut reader = Process::start("headgate stream", reader)?;
    assert!(reader.exit(PATIENCE).await?.success());
    assert_eq!(reader.stdout().len(), 3, "{:?}", reader.stdout());

    dev.terminate()?;
    assert!(dev.exit(PATIENCE).await?.success());
    Ok(())
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is not a text"))
}
