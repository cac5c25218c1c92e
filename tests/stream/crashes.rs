//! Gateways that die without a word (W18).

use crate::broker::numbered;
use crate::reader::{History, Reader};
use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use headgate_tests::gateway;
use headgate_tests::kafka::{RealKafka, unique};
use headgate_tests::ports::free_port;
use headgate_tests::process::Process;
use headgate_tests::wait::{eventually, eventually_ok};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const KILLS: usize = 20;
const CLIENTS: usize = 8;
const PARTITIONS: i32 = 3;
/// Records that every client must have got between two kills, so that each hits a stream in full flow.
const BETWEEN_KILLS: usize = 200;
const DEADLINE: Duration = Duration::from_secs(30);

/// One gateway process, which keeps its ports over its lives.
struct Replica {
    stream: SocketAddr,
    admin: SocketAddr,
    file: PathBuf,
    process: Process,
}

impl Replica {
    fn start(kafka: &RealKafka, topic: &str, folder: &tempfile::TempDir) -> Result<Self> {
        let address = || anyhow::Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
        let (stream, admin) = (address()?, address()?);
        let mut config = gateway::config(&kafka.bootstrap(), topic);
        (config.listeners.stream, config.listeners.admin) = (stream, admin);
        // So small that some cursors are out of memory.
        config.stream.replay.ring_bytes = 1024 * 1024;
        let file = folder.path().join(format!("{}.yaml", stream.port()));
        // JSON is YAML.
        std::fs::write(&file, serde_json::to_vec(&config)?)?;
        let process = Self::process(&file)?;
        Ok(Self { stream, admin, file, process })
    }

    fn process(file: &PathBuf) -> Result<Process> {
        let mut command = Process::command("headgate-gateway")?;
        command.arg("--config").arg(file);
        Process::start("headgate-gateway", command)
    }

    async fn ready(&self) -> Result<()> {
        let outcome = eventually_ok("a gateway to be ready", DEADLINE, async || {
            let (status, body) = gateway::get(self.admin, "/readyz", &[]).await?;
            ensure!(status == 200, "{status} {body}");
            Ok(())
        });
        outcome.await.with_context(|| self.process.stderr().join("\n"))
    }

    fn kill_and_start_again(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = Self::process(&self.file)?;
        Ok(())
    }
}

/// A client that goes to the other gateway whenever its own is gone, until it has seen `total` records.
async fn follow(urls: [String; 2], start: usize, total: &AtomicUsize, seen: &AtomicUsize) -> Result<History> {
    let mut history = Reader::open(&urls[start % 2]).await?.cut();
    let mut connections = start;
    let is_done = |history: &History| {
        seen.store(history.events.len(), Ordering::Relaxed);
        history.events.len() >= total.load(Ordering::Relaxed)
    };
    loop {
        let url = &urls[connections % 2];
        connections += 1;
        // A gateway that is just starting refuses; the other one does not.
        let Ok(mut reader) = Reader::resume(url, history.clone()).await else {
            tokio::task::yield_now().await;
            continue;
        };
        ensure!(reader.resumed, "connection {connections} lost something");
        let closed = reader.until_closed_or(is_done).await?;
        history = reader.cut();
        if closed.is_none() {
            return Ok(history);
        }
    }
}

/// Produces until told to stop; returns how many records there are.
async fn produce(kafka: &RealKafka, topic: &str, stop: &AtomicBool) -> Result<i64> {
    let mut produced = 0;
    while !stop.load(Ordering::Relaxed) {
        kafka.produce_many(numbered(topic, PARTITIONS, produced..produced + 10)).await?;
        produced += 10;
    }
    Ok(produced)
}

/// W18.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_killed_gateways_cost_no_client_a_record_or_a_repeat() -> Result<()> {
    let kafka = RealKafka::shared().await?;
    let topic = unique("killed");
    kafka.create_topic(&topic, PARTITIONS, &[]).await?;
    let folder = tempfile::tempdir()?;
    let mut replicas = [Replica::start(kafka, &topic, &folder)?, Replica::start(kafka, &topic, &folder)?];
    for replica in &replicas {
        replica.ready().await?;
    }
    let urls = [0, 1].map(|index: usize| format!("ws://{}/orders", replicas[index].stream));
    let total = Arc::new(AtomicUsize::new(usize::MAX));
    let seen: Arc<[AtomicUsize]> = (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect();
    let following = (0..CLIENTS).map(|client| {
        let (urls, total, seen) = (urls.clone(), total.clone(), seen.clone());
        tokio::spawn(async move { follow(urls, client, &total, &seen[client]).await })
    });
    let following: Vec<_> = following.collect();
    let stop = AtomicBool::new(false);
    let killing = async {
        for round in 0..KILLS {
            let before: Vec<usize> = seen.iter().map(|seen| seen.load(Ordering::Relaxed)).collect();
            eventually(format!("every client to go on before kill {round}"), DEADLINE, async || {
                let mut clients = seen.iter().zip(&before);
                clients.all(|(now, before)| now.load(Ordering::Relaxed) >= before + BETWEEN_KILLS)
            })
            .await?;
            replicas[(round + 1) % 2].ready().await?;
            replicas[round % 2].kill_and_start_again()?;
        }
        stop.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let (produced, ()) = tokio::try_join!(produce(kafka, &topic, &stop), killing)?;
    // A client that has everything already notices with its next connection or message.
    total.store(produced as usize, Ordering::Relaxed);
    for replica in &mut replicas {
        replica.ready().await?;
    }
    replicas[0].kill_and_start_again()?;
    replicas[0].ready().await?;
    replicas[1].kill_and_start_again()?;
    for history in try_join_all(following).await? {
        let history = history?;
        assert_eq!(history.gaps, []);
        assert_eq!(history.numbers(), (0..produced).collect::<Vec<_>>());
    }
    Ok(())
}
