//! `curl -N`: server-sent events on a terminal.

use crate::{PATIENCE, config, events};
use anyhow::{Context as _, Result};
use headgate_tests::gateway::Gateway;
use headgate_tests::process::Process;
use headgate_tests::spawn::command;

fn curl(gateway: &Gateway, path: &str, last_event_id: Option<&str>) -> Result<Process> {
    let mut curl = command("curl");
    curl.args(["-N", "-s", "--fail", "-H", "accept: text/event-stream"]);
    if let Some(id) = last_event_id {
        curl.arg("-H").arg(format!("last-event-id: {id}"));
    }
    curl.arg(format!("http://{}{path}", gateway.stream));
    Process::start("curl", curl)
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_shows_each_event_at_once_and_resumes_with_the_last_id() -> Result<()> {
    let (kafka, config) = config()?;
    let topic = config.kafka.topic.clone();
    let gateway = Gateway::start(config).await?;
    let mut first = curl(&gateway, "/orders", None)?;
    first.line(PATIENCE, |line| line == "event: ready").await?;
    kafka.produce(events(&topic, 0..1)).await?;
    let id = loop {
        let id = first.line(PATIENCE, |line| line.starts_with("id: ")).await?;
        let data = first.line(PATIENCE, |line| line.starts_with("data: ")).await?;
        if data.contains(r#""id":"e0""#) {
            break id.strip_prefix("id: ").context("no id")?.to_owned();
        }
    };
    first.kill()?;
    kafka.produce(events(&topic, 1..4)).await?;
    let mut second = curl(&gateway, "/orders", Some(&id))?;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let data = second.line(PATIENCE, |line| line.starts_with("data: ") && line.contains("specversion")).await?;
        seen.extend((0..4).filter(|n| data.contains(&format!(r#""id":"e{n}""#))));
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3]);
    // The gateway's end of the stream is a whole HTTP answer, not a cut one.
    gateway.stop().await?;
    assert!(second.exit(PATIENCE).await?.success());
    Ok(())
}
