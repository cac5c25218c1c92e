//! A client that does not read harms nobody, costs bounded memory, and learns what became of it (W4).

use crate::raw::{Frame, Raw};
use crate::stage::{HEADGATE, PARTITIONS, SOON, Stage};
use anyhow::{Context as _, Result, bail, ensure};
use headgate_tests::client::Seen;
use headgate_tests::kafka::Record;
use headgate_tests::wait::eventually;
use headgate_wire::config::SlowClient;
use headgate_wire::message::GapReason;
use headgate_wire::{GatewayConfig, ServerMessage};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const RING_BYTES: u64 = 1024 * 1024;
/// What `Endpoint` allows all logs of all shards together: four rings.
const LOG_BOUND: usize = 4 * RING_BYTES as usize;
const HEALTHY: usize = 200;
const FROZEN: usize = 50;
/// Of the frozen ones, those that read again once they are to be closed.
const THAWING: usize = 10;
const RECORD_BYTES: usize = 16 * 1024;
const BATCH: usize = 16;
const BATCHES: usize = 10;
/// Larger than what the kernel takes of a frame for a client that stands still.
const BIG_RECORD_BYTES: usize = 100_000;
/// Far more of those than the ring and the kernel hold.
const MOST_RECORDS: usize = 200;

fn small_ring(config: &mut GatewayConfig) {
    config.stream.replay.ring_bytes = RING_BYTES;
}

/// Reads for ever; every record must follow the one before it.
async fn read_in_order(mut client: Raw, received: Arc<AtomicUsize>) -> Result<()> {
    let mut next = [0; PARTITIONS as usize];
    loop {
        let text = client.text().await?;
        let Some(head) = text.get(..text.len().min(200)).filter(|head| head.starts_with(r#"{"type":"event""#)) else {
            ensure!(!text.starts_with(r#"{"type":"gap""#), "{text}");
            continue;
        };
        let number = |name: &str| -> Option<usize> {
            let rest = &head[head.find(name)? + name.len()..];
            rest[..rest.find(',')?].parse().ok()
        };
        let partition = number(r#""partition":"#).context("no partition")?;
        let offset = number(r#""offset":"#).context("no offset")?;
        ensure!(offset == next[partition], "offset {offset} where {} was due", next[partition]);
        next[partition] += 1;
        received.fetch_add(1, Ordering::Relaxed);
    }
}

/// W4
#[tokio::test(flavor = "multi_thread")]
async fn fifty_frozen_clients_change_nothing_for_the_rest_and_are_closed_with_1013_in_bounded_memory() -> Result<()> {
    let stage = Stage::with(small_ring).await?;
    let received = Arc::new(AtomicUsize::new(0));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..HEALTHY {
        let client = stage.raw().await?.open("/orders", &[HEADGATE]).await?;
        readers.spawn(read_in_order(client, received.clone()));
    }
    let mut frozen = Vec::new();
    for _ in 0..FROZEN {
        frozen.push(Raw::connect_small(stage.gateway.stream).await?.open("/orders", &[HEADGATE]).await?);
    }
    for batch in 1..=BATCHES {
        let records =
            (0..BATCH).map(|n| Record::new(&stage.topic, vec![b'x'; RECORD_BYTES]).partition(n as i32 % PARTITIONS));
        stage.kafka.produce(records).await?;
        eventually(format!("batch {batch} at every healthy client"), SOON, async || {
            received.load(Ordering::Relaxed) >= batch * BATCH * HEALTHY || readers.try_join_next().is_some()
        })
        .await?;
        assert_eq!(readers.len(), HEALTHY, "a healthy client was harmed");
        let log_bytes = stage.metric("log_bytes").await?;
        assert!(log_bytes <= LOG_BOUND, "{log_bytes} bytes of logs");
    }
    eventually("all frozen clients to be judged", SOON, async || {
        stage.metric("slow_clients_total").await.is_ok_and(|slow| slow == FROZEN)
    })
    .await?;
    for client in frozen.iter_mut().take(THAWING) {
        assert_eq!(client.closed().await?, (1013, "too slow; resume with your cursor".to_owned()));
    }
    eventually("all frozen clients to be gone, read or not", SOON, async || {
        stage.metric("connections{").await.is_ok_and(|open| open == HEALTHY)
    })
    .await?;
    let line = r#"connections_closed_total{app="orders",code="1013",reason="too slow; resume with your cursor"}"#;
    assert_eq!(stage.metric(line).await?, FROZEN);
    assert_eq!(received.load(Ordering::Relaxed), BATCHES * BATCH * HEALTHY);
    Ok(())
}

/// Fills the stream until the gateway has judged a client so often; gives how many records there are then.
///
/// A client that stands at the end of what is evicted is judged and loses nothing, so a gap is certain the second time.
/// Never more than one record is on its way, so that the judgement is seen as soon as it falls: a witness on each shard
/// gets a record after its shard has judged by it.
async fn fill_until_judged(stage: &Stage, times: usize) -> Result<usize> {
    let mut witnesses = Vec::new();
    for _ in 0..std::thread::available_parallelism()?.get() {
        witnesses.push(stage.raw().await?.open("/orders?format=raw", &[]).await?);
    }
    for records in 1..=MOST_RECORDS {
        stage.kafka.produce([Record::new(&stage.topic, vec![b'x'; BIG_RECORD_BYTES])]).await?;
        for witness in &mut witnesses {
            witness.text().await?;
        }
        if stage.metric("slow_clients_total").await? >= times {
            return Ok(records);
        }
    }
    bail!("no client was judged {times} times by {MOST_RECORDS} records")
}

/// A client that stops in the middle of a big frame, is judged, and reads on to the last record. What it saw.
async fn skipped(policy: SlowClient, seen: &mut Seen) -> Result<(usize, Vec<ServerMessage>)> {
    let stage = Stage::with(|config| {
        small_ring(config);
        config.stream.slow_client = policy;
    })
    .await?;
    let mut client = Raw::connect_small(stage.gateway.stream).await?.open("/orders", &[HEADGATE]).await?;
    client.text().await?;
    let times = if policy == SlowClient::LatestOnly { 1 } else { 2 };
    let mut records = fill_until_judged(&stage, times).await?;
    stage.kafka.produce([Record::new(&stage.topic, "last")]).await?;
    records += 1;
    let mut messages = Vec::new();
    loop {
        let message: ServerMessage = serde_json::from_str(&client.text().await?)?;
        seen.take(&message)?;
        let is_last = matches!(&message, ServerMessage::Event { event, .. } if event["data"] == "last");
        messages.push(message);
        if is_last {
            return Ok((records, messages));
        }
    }
}

fn missing(seen: &Seen) -> i64 {
    seen.gaps.iter().map(|(_, from, to)| to - from).sum()
}

/// W4
#[tokio::test(flavor = "multi_thread")]
async fn with_skip_with_gap_a_slow_client_is_told_what_it_missed_and_goes_on_without_a_torn_frame() -> Result<()> {
    let mut seen = Seen::default();
    let (records, messages) = skipped(SlowClient::SkipWithGap, &mut seen).await?;
    assert!(missing(&seen) > 0);
    assert_eq!(seen.records() as i64 + missing(&seen), records as i64);
    let because = |message: &ServerMessage| matches!(message, ServerMessage::Gap { reason: GapReason::SlowClient, .. });
    assert!(messages.iter().any(because), "no gap says that the client was slow");
    Ok(())
}

/// W4
#[tokio::test(flavor = "multi_thread")]
async fn with_latest_only_a_slow_client_is_told_what_it_missed_and_goes_on_with_the_newest() -> Result<()> {
    let mut seen = Seen::default();
    let (records, messages) = skipped(SlowClient::LatestOnly, &mut seen).await?;
    assert!(missing(&seen) > 0);
    assert_eq!(seen.records() as i64 + missing(&seen), records as i64);
    let last_gap =
        messages.iter().rposition(|message| matches!(message, ServerMessage::Gap { .. })).context("no gap")?;
    let after = messages[last_gap..].iter().filter(|message| matches!(message, ServerMessage::Event { .. })).count();
    assert!(after <= 4, "{after} records after the last gap are not the newest only");
    Ok(())
}

/// W4
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_without_an_envelope_is_told_in_its_own_format() -> Result<()> {
    for (target, told) in [
        ("/orders?format=cloudevents", r#""type":"dev.headgate.gap.v1""#),
        ("/orders?format=raw", r#"{"gap":{"partition":"#),
        ("/orders?format=topic-payload", r#""gap":{"partition":"#),
    ] {
        let stage = Stage::with(|config| {
            small_ring(config);
            config.stream.slow_client = SlowClient::SkipWithGap;
        })
        .await?;
        let mut client = Raw::connect_small(stage.gateway.stream).await?.open(target, &[]).await?;
        fill_until_judged(&stage, 2).await?;
        while !client.text().await?.contains(told) {}
        stage.kafka.produce([Record::new(&stage.topic, "last")]).await?;
        while !client.text().await?.contains("last") {}
    }
    Ok(())
}

/// W4
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_too_slow_resumes_with_its_cursor_and_misses_nothing() -> Result<()> {
    let stage = Stage::with(small_ring).await?;
    let mut client = Raw::connect_small(stage.gateway.stream).await?.open("/orders", &[HEADGATE]).await?;
    let mut seen = Seen::default();
    seen.take(&serde_json::from_str(&client.text().await?)?)?;
    let records = fill_until_judged(&stage, 1).await?;
    let close = loop {
        match client.message().await? {
            Frame::Text(text) => seen.take(&serde_json::from_str(&text)?)?,
            other => break other,
        }
    };
    assert!(matches!(close, Frame::Close(1013, _)), "{close:?}");
    let from = seen.cursor.clone().context("no cursor")?;
    let mut again = stage.raw().await?.open(&format!("/orders?from={from}"), &[HEADGATE]).await?;
    while seen.records() < records {
        seen.take(&serde_json::from_str(&again.text().await?)?)?;
    }
    assert_eq!(seen.gaps, []);
    Ok(())
}
