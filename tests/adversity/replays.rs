//! Readers of old records that take little: they hold up neither those who come after them nor those who read with them.

use crate::process::GatewayProcess;
use crate::stage::{HEADGATE, KIB, alone, long_topic};
use anyhow::{Context as _, Result, ensure};
use headgate_tests::raw::Raw;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

/// Replays that the gateway of these tests may run at once; the default is 32.
const MAX_CONCURRENT: u32 = 8;
const RECORDS: usize = 16_000;
/// How long whoever comes may wait for `ready` and its first records.
const FIRST_EVENT: Duration = Duration::from_secs(8);
/// What a shared replay of a slow reader may cost the fast ones beyond thrice the time: what a turn of the loop varies by.
const GRACE: Duration = Duration::from_secs(2);

/// Reads at so many bytes a second, for ever or until the connection ends, and counts them; whoever is sent away is not
/// starved, and counts as served.
async fn trickle(mut client: Raw, bytes_per_second: usize, total: Arc<AtomicUsize>) {
    let mut due = interval(Duration::from_millis(250));
    loop {
        due.tick().await;
        let mut left = bytes_per_second / 4;
        while left > 0 {
            match client.skim(left).await {
                0 => {
                    total.fetch_add(KIB, Ordering::Relaxed);
                    return;
                }
                read => {
                    left -= read;
                    total.fetch_add(read, Ordering::Relaxed);
                }
            }
        }
    }
}

async fn slow(gateway: SocketAddr) -> Result<Raw> {
    Raw::connect_small(gateway).await?.open("/orders?from=earliest", &[HEADGATE]).await
}

/// Reads until so many records have come.
async fn read_events(client: &mut Raw, records: usize) -> Result<()> {
    let mut seen = 0;
    while seen < records {
        if client.text().await?.starts_with(r#"{"type":"event""#) {
            seen += 1;
        }
    }
    Ok(())
}

async fn gateway() -> Result<GatewayProcess> {
    let mut config = long_topic(RECORDS).await?;
    config.stream.replay.max_concurrent = MAX_CONCURRENT;
    GatewayProcess::start(config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_is_served_within_seconds_while_slow_readers_hold_every_replay() -> Result<()> {
    let _alone = alone().await;
    let gateway = gateway().await?;
    let mut hogs = JoinSet::new();
    // Those who come together share a replay, so they come one by one.
    let mut next = interval(Duration::from_millis(300));
    for _ in 0..MAX_CONCURRENT + 4 {
        next.tick().await;
        hogs.spawn(trickle(slow(gateway.stream).await?, 6 * KIB, Arc::default()));
    }
    let begin = Instant::now();
    for newcomer in 1..=4 {
        let come = async {
            let mut client = Raw::connect(gateway.stream).await?.open("/orders?from=earliest", &[HEADGATE]).await?;
            read_events(&mut client, 100).await
        };
        let outcome = timeout(FIRST_EVENT, come).await;
        outcome.with_context(|| format!("newcomer {newcomer} got nothing in {FIRST_EVENT:?}"))??;
    }
    println!("four newcomers were served in {:.1?}", begin.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_more_slow_readers_than_there_are_replays_every_one_gets_on_and_fast_ones_reach_the_end() -> Result<()> {
    const SLOW: usize = 64;
    const FAST: usize = 8;
    const PATIENCE: Duration = Duration::from_secs(25);
    let _alone = alone().await;
    let gateway = gateway().await?;
    let mut hogs = JoinSet::new();
    let mut got = Vec::new();
    let mut next = interval(Duration::from_millis(50));
    for _ in 0..SLOW {
        next.tick().await;
        let total = Arc::default();
        got.push(Arc::clone(&total));
        hogs.spawn(trickle(slow(gateway.stream).await?, 6 * KIB, total));
    }
    let mut fast = JoinSet::new();
    for _ in 0..FAST {
        let client = Raw::connect(gateway.stream).await?.open("/orders?from=earliest", &[HEADGATE]).await?;
        fast.spawn(async move {
            let mut client = client;
            read_events(&mut client, RECORDS).await
        });
    }
    let finished = timeout(PATIENCE, async {
        while let Some(done) = fast.join_next().await {
            done??;
        }
        anyhow::Ok(())
    });
    finished.await.with_context(|| format!("after {PATIENCE:?}, {} of {FAST} fast readers wait", fast.len()))??;
    let starved = got.iter().filter(|total| total.load(Ordering::Relaxed) < KIB).count();
    ensure!(starved == 0, "{starved} of {SLOW} slow readers got nothing in all that time");
    Ok(())
}

/// How long five fast readers need for the whole topic, beside so many of 100 KB/s that begin with them.
async fn five_fast_beside(slow_readers: usize, gateway: &GatewayProcess, within: Duration) -> Result<Duration> {
    // On every shard a replay has just begun, so that those who come now wait for company.
    for _ in 0..2 * std::thread::available_parallelism()?.get() {
        drop(slow(gateway.stream).await?);
    }
    let mut slow_ones = JoinSet::new();
    for _ in 0..slow_readers {
        slow_ones.spawn(trickle(slow(gateway.stream).await?, 100 * 1000, Arc::default()));
    }
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(Raw::connect(gateway.stream).await?.open("/orders?from=earliest", &[HEADGATE]).await?);
    }
    let begin = Instant::now();
    let mut fast = JoinSet::new();
    for mut client in clients {
        fast.spawn(async move { read_events(&mut client, RECORDS).await });
    }
    let finished = timeout(within, async {
        while let Some(done) = fast.join_next().await {
            done??;
        }
        anyhow::Ok(())
    });
    finished.await.with_context(|| format!("{} of 5 fast readers are not done after {within:.1?}", fast.len()))??;
    Ok(begin.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_of_a_shared_replay_leaves_the_fast_ones_a_third_of_their_speed() -> Result<()> {
    let _alone = alone().await;
    let gateway = gateway().await?;
    let without = five_fast_beside(0, &gateway, Duration::from_secs(20)).await?;
    let with = five_fast_beside(1, &gateway, without * 3 + GRACE).await;
    println!("five fast readers: {without:.1?} alone, {with:.1?} beside a slow one");
    with.map(drop)
}
