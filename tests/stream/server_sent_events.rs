//! The same stream over server-sent events, resumed as browsers do it (W16).

use crate::broker::{numbered, padded, wait_until_read};
use anyhow::{Context as _, Result, bail, ensure};
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::kafka::{RealKafka, unique};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_mins(1);

/// What a browser's `EventSource` makes of a stream (HTML Living Standard, section 9.2).
struct EventSource {
    connection: BufReader<TcpStream>,
    text: String,
    last_event_id: String,
    numbers: Vec<i64>,
    /// The messages that are not records, by name.
    notices: Vec<(String, Value)>,
}

impl EventSource {
    async fn open(address: SocketAddr, path: &str, last_event_id: Option<&str>) -> Result<Self> {
        let mut connection = BufReader::new(TcpStream::connect(address).await?);
        let resume = last_event_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n{resume}\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(connection.read_line(&mut head).await? > 0, "no head: {head}");
        }
        let head = head.to_lowercase();
        ensure!(head.starts_with("http/1.1 200") && head.contains("content-type: text/event-stream"), "{head}");
        ensure!(head.contains("transfer-encoding: chunked"), "{head}");
        let last_event_id = last_event_id.unwrap_or_default().to_owned();
        Ok(Self { connection, text: String::new(), last_event_id, numbers: Vec::new(), notices: Vec::new() })
    }

    /// Reads until `count` records were seen, and no further.
    async fn records(&mut self, count: usize) -> Result<()> {
        let reading = async {
            while self.numbers.len() < count {
                if let Some(end) = self.text.find("\n\n") {
                    let block: String = self.text.drain(..end + 2).collect();
                    self.dispatch(&block)?;
                } else {
                    self.chunk().await?;
                }
            }
            Ok(())
        };
        let outcome = timeout(DEADLINE, reading).await.unwrap_or_else(|_| bail!("not seen in {DEADLINE:?}"));
        outcome.with_context(|| format!("{} of {count} records so far", self.numbers.len()))
    }

    async fn chunk(&mut self) -> Result<()> {
        let mut size = String::new();
        self.connection.read_line(&mut size).await?;
        let size = usize::from_str_radix(size.trim(), 16).with_context(|| format!("no chunk: {size:?}"))?;
        let mut chunk = vec![0; size + 2];
        self.connection.read_exact(&mut chunk).await?;
        ensure!(size > 0, "the stream ended");
        self.text += std::str::from_utf8(&chunk[..size])?;
        Ok(())
    }

    fn dispatch(&mut self, block: &str) -> Result<()> {
        let (mut name, mut data) = (None, String::new());
        for line in block.lines() {
            match line.split_once(": ") {
                None if line.is_empty() => {}
                Some(("event", value)) => name = Some(value.to_owned()),
                Some(("id", value)) => value.clone_into(&mut self.last_event_id),
                Some(("data", value)) => data += value,
                Some(("" | "retry", _)) => {}
                _ => bail!("unexpected line {line:?}"),
            }
        }
        match name {
            _ if data.is_empty() => {}
            Some(name) => self.notices.push((name, serde_json::from_str(&data)?)),
            None => {
                let event: Value = serde_json::from_str(&data)?;
                self.numbers.push(event["data"]["n"].as_i64().with_context(|| data)?);
            }
        }
        Ok(())
    }
}

async fn gateway(kafka: &RealKafka, topic: &str) -> Result<Gateway> {
    kafka.create_topic(topic, 3, &[]).await?;
    let mut config = gateway::config(&kafka.bootstrap(), topic);
    config.stream.replay.ring_bytes = 1024 * 1024;
    Gateway::start(config).await
}

/// W16: from memory and by a replay. The browser repeats its URL, so the header must win over `from=`.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_source_resumes_by_its_last_event_id() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("sse");
    let gateway = gateway(kafka, &topic).await?;
    let path = "/orders?from=earliest";
    kafka.produce_many(numbered(&topic, 3, 0..10)).await?;
    let mut source = EventSource::open(gateway.stream, path, None).await?;
    source.records(10).await?;
    assert_eq!(source.notices[0].1["resumed"], false);
    let mut numbers = std::mem::take(&mut source.numbers);
    let mut produced: i64 = 10;
    for (more, padding) in [(200, 0), (3000, 600), (200, 0)] {
        kafka.produce_many(padded(&topic, 3, produced..produced + more, padding)).await?;
        produced += more;
        // Else the client meets a stream in full flow, and may rightly be called too slow for so small a memory.
        wait_until_read(&gateway, produced as usize).await?;
        let id = source.last_event_id.clone();
        assert!(!id.is_empty());
        source = EventSource::open(gateway.stream, path, Some(&id)).await?;
        // Leaves in the middle, so that the rest comes on the next connection, and stays to the end on the last.
        let read = if padding == 0 && produced > 3000 { produced as usize - numbers.len() } else { more as usize / 2 };
        source.records(read).await?;
        let (name, ready) = source.notices.first().context("no notice")?;
        assert_eq!((name.as_str(), &ready["resumed"]), ("ready", &Value::Bool(true)));
        assert!(source.notices.iter().all(|(name, _)| name != "gap"), "{:?}", source.notices);
        numbers.append(&mut source.numbers);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..produced).collect::<Vec<_>>());
    gateway.stop().await
}

/// W16.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_source_is_told_what_retention_took() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("sse-gap");
    let gateway = gateway(kafka, &topic).await?;
    kafka.produce_many(numbered(&topic, 1, 0..10)).await?;
    let mut source = EventSource::open(gateway.stream, "/orders?from=earliest", None).await?;
    source.records(10).await?;
    kafka.produce_many(padded(&topic, 1, 10..3000, 1000)).await?;
    wait_until_read(&gateway, 3000).await?;
    kafka.delete_records_before(&topic, 0, 2000).await?;
    let mut source = EventSource::open(gateway.stream, "/orders", Some(&source.last_event_id)).await?;
    source.records(1000).await?;
    assert_eq!(source.numbers, (2000..3000).collect::<Vec<_>>());
    let names = source.notices.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "cursor");
    assert_eq!(names.collect::<Vec<_>>(), ["ready", "gap"]);
    assert_eq!(source.notices[0].1["resumed"], false);
    let gap = &source.notices[1].1;
    assert_eq!((gap["from"].as_i64(), gap["to"].as_i64()), (Some(10), Some(2000)));
    assert_eq!(gap["reason"], "retention");
    gateway.stop().await
}
