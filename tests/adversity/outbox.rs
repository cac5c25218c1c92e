//! Clients that never read and send what they may: every answer that nobody takes costs memory.

use crate::probe::Probe;
use crate::process::GatewayProcess;
use crate::stage::{HEADGATE, KIB, MIB, alone, attack_time, growth, mock};
use anyhow::{Result, ensure};
use headgate_tests::raw::{Raw, masked};
use headgate_tests::wait::eventually;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::interval;

const CLIENTS: usize = 60;
/// A little less than a client may send in a second.
const MESSAGES_PER_SECOND: usize = 48;
/// What one client may make a gateway hold, in bytes.
const BYTES_PER_CLIENT: usize = 64 * KIB;
/// What the memory of a process varies by, whatever it serves.
const SLACK_BYTES: usize = 16 * MIB;
/// How long a client may take nothing before it is closed; its kernel and the gateway's are full after two seconds.
const CLOSED_WITHIN: Duration = Duration::from_secs(20);
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

/// A message whose answer is as long as answers get: it repeats the id and the type, six bytes for each character.
fn malformed() -> Vec<u8> {
    let repeated = serde_json::json!({ "id": "\u{1}".repeat(128), "type": "\u{1}".repeat(200) });
    masked(TEXT, repeated.to_string().as_bytes())
}

fn filter(round: usize) -> Vec<u8> {
    let message = serde_json::json!({
        "type": "filter", "id": "f".repeat(128), "filters": [{ "exact": { "subject": format!("nobody-{round}") } }],
    });
    masked(TEXT, message.to_string().as_bytes())
}

fn refresh() -> Vec<u8> {
    let message = serde_json::json!({ "type": "refresh", "id": "r".repeat(128), "token": "x".repeat(500) });
    masked(TEXT, message.to_string().as_bytes())
}

/// Sends such a message as often as it may, and never reads, until its connection ends.
async fn never_reads(gateway: SocketAddr, message: impl Fn(usize) -> Vec<u8> + Send) -> Result<()> {
    let client = Raw::connect_small(gateway).await?;
    let mut client = client.open("/orders?filter.subject=nobody", &[HEADGATE]).await?;
    let mut second = interval(Duration::from_millis(1050));
    for round in 0.. {
        second.tick().await;
        let burst: Vec<u8> = (0..MESSAGES_PER_SECOND).flat_map(|n| message(round * MESSAGES_PER_SECOND + n)).collect();
        if client.send(&burst).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Attacks with one kind of message; `closed` says whether its answers are so many that every client must be closed.
#[expect(clippy::print_stdout, reason = "figures for whoever reads the log of the tests")]
async fn attack(message: impl Fn(usize) -> Vec<u8> + Send + Copy + 'static, closed: bool) -> Result<()> {
    let _alone = alone().await;
    let config = mock(1)?;
    let (bootstrap, topic) = (config.kafka.bootstrap_servers.clone(), config.kafka.topic.clone());
    let gateway = GatewayProcess::start(config).await?;
    let mut probe = Probe::start(gateway.stream, &bootstrap, &topic).await?;
    let before = gateway.resident_bytes()?;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(never_reads(gateway.stream, message));
    }
    let allowed = CLIENTS * BYTES_PER_CLIENT + SLACK_BYTES;
    let mut rounds = interval(Duration::from_millis(250));
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < attack_time(if closed { 8 } else { 5 }) {
        rounds.tick().await;
        let grown = growth(&gateway, before)?;
        ensure!(
            grown <= allowed,
            "after {:.0?}, {CLIENTS} clients hold {} MiB; {} MiB are allowed",
            begin.elapsed(),
            grown / MIB,
            allowed / MIB
        );
    }
    if closed {
        eventually("every client to be closed that takes nothing", CLOSED_WITHIN, async || {
            gateway.metric("connections{").await.is_ok_and(|open| open == 1)
        })
        .await?;
    }
    println!("healthy client: {}", probe.measure().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_the_answers_to_their_mistakes_are_closed_in_bounded_memory() -> Result<()> {
    attack(|_| malformed(), true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_pongs_cost_bounded_memory() -> Result<()> {
    attack(|_| masked(PING, &[b'p'; 125]), false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_and_change_their_filter_all_the_time_cost_bounded_memory() -> Result<()> {
    attack(filter, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_and_send_tokens_all_the_time_cost_bounded_memory() -> Result<()> {
    attack(|_| refresh(), false).await
}
