//! Gateways that die without a word (W18).

use crate::broker::numbered;
use crate::reader::{History, Reader};
use anyhow::{Context as _, Result, anyhow, ensure};
use futures_util::future::try_join_all;
use headgate_tests::gateway;
use headgate_tests::kafka::{RealKafka, unique};
use headgate_tests::ports::free_port;
use headgate_tests::process::Process;
use headgate_tests::wait::{eventually, eventually_ok};
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

const KILLS: usize = 20;
const CLIENTS: usize = 8;
const PARTITIONS: i32 = 3;
/// Records that every client must have got between two kills, so that each hits a stream in full flow.
const BETWEEN_KILLS: usize = 200;
const DEADLINE: Duration = Duration::from_mins(1);
/// Lines of each gateway's log that an error quotes.
const QUOTED_LINES: usize = 20;

/// One gateway process, which keeps its ports over its lives.
struct Replica {
    stream: SocketAddr,
    admin: SocketAddr,
    file: PathBuf,
    process: Process,
    /// What its earlier lives have logged.
    before: Vec<String>,
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
        Ok(Self { stream, admin, file, process, before: Vec::new() })
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
        outcome.await.with_context(|| self.log())
    }

    /// The end of what all of its lives have logged.
    fn log(&self) -> String {
        let lines = [self.before.as_slice(), &self.process.stderr()].concat();
        let end = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
        format!("the log of the gateway at {} ends with:\n{}", self.stream, end.join("\n"))
    }

    fn kill_and_start_again(&mut self) -> Result<()> {
        self.process.kill()?;
        self.before.append(&mut self.process.stderr());
        self.process = Self::process(&self.file)?;
        Ok(())
    }
}

/// A client that goes to the other gateway whenever its own is gone.
struct Follower<'t> {
    number: usize,
    urls: &'t [String; 2],
    /// When it has seen as many records as this, it is done.
    total: &'t Cell<usize>,
    /// How many it has seen.
    seen: &'t Cell<usize>,
}

impl Follower<'_> {
    async fn follow(self, reader: Reader) -> Result<History> {
        let mut reader = reader;
        let mut other = self.number + 1;
        loop {
            let closed = reader.until_closed_or(|history| self.is_done(history)).await;
            let closed = closed.with_context(|| format!("client {}", self.number))?;
            let history = reader.cut();
            if closed.is_none() {
                return Ok(history);
            }
            // A gateway that is just starting refuses; the other one does not.
            let urls = [0, 1].map(|further| self.urls[(other + further) % 2].clone());
            other += 1;
            reader = Reader::resume_at_any(&urls, history).await?;
            ensure!(reader.resumed, "client {} was told of a loss after {}", self.number, reader.history);
        }
    }

    fn is_done(&self, history: &History) -> bool {
        self.seen.set(history.events.len());
        history.events.len() >= self.total.get()
    }
}

/// Produces until told to stop; returns how many records there are.
async fn produce(kafka: &RealKafka, topic: &str, stop: &Cell<bool>) -> Result<i64> {
    let mut produced = 0;
    while !stop.get() {
        kafka.produce_many(numbered(topic, PARTITIONS, produced..produced + 10)).await?;
        produced += 10;
    }
    Ok(produced)
}

/// Kills one gateway after the other, each in full flow.
async fn kill(replicas: &mut [Replica; 2], seen: &[Cell<usize>], stop: &Cell<bool>) -> Result<()> {
    for round in 0..KILLS {
        let before: Vec<usize> = seen.iter().map(Cell::get).collect();
        eventually(format!("every client to go on before kill {round}"), DEADLINE, async || {
            let mut clients = seen.iter().zip(&before);
            clients.all(|(now, before)| now.get() >= before + BETWEEN_KILLS)
        })
        .await?;
        replicas[(round + 1) % 2].ready().await?;
        replicas[round % 2].kill_and_start_again()?;
    }
    stop.set(true);
    Ok(())
}

/// Kills both once more: a client that has everything already notices with its next connection.
async fn kill_both(replicas: &mut [Replica; 2]) -> Result<()> {
    for number in [0, 1] {
        for replica in &*replicas {
            replica.ready().await?;
        }
        replicas[number].kill_and_start_again()?;
    }
    Ok(())
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
    let (total, stop) = (Cell::new(usize::MAX), Cell::new(false));
    let seen: Vec<Cell<usize>> = (0..CLIENTS).map(|_| Cell::new(0)).collect();
    let mut following = Vec::new();
    for (number, seen) in seen.iter().enumerate() {
        // Before the first record is produced: a client without a cursor gets what comes after it.
        let reader = Reader::open(&urls[number % 2]).await?;
        following.push(Follower { number, urls: &urls, total: &total, seen }.follow(reader));
    }
    let killing = async {
        let (produced, ()) = tokio::try_join!(produce(kafka, &topic, &stop), kill(&mut replicas, &seen, &stop))?;
        total.set(produced as usize);
        kill_both(&mut replicas).await?;
        anyhow::Ok(produced)
    };
    let outcome = tokio::try_join!(killing, try_join_all(following));
    // The cause stands at both ends: what keeps a record of a run cuts off the one or the other.
    let logs = || replicas.iter().map(Replica::log).collect::<Vec<_>>().join("\n");
    let (produced, histories) = outcome.map_err(|error| anyhow!("{error:#}\n{}\n{error:#}", logs()))?;
    for history in histories {
        assert_eq!(history.gaps, []);
        assert_eq!(history.numbers(), (0..produced).collect::<Vec<_>>());
    }
    Ok(())
}
