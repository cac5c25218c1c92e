//! A gateway in a control group with the memory that the operator gives it, and as many connections as it admits, each of
//! them hostile in a way of its own: it is never killed, and a healthy client hardly notices.

use crate::probe::Probe;
use crate::process::GatewayProcess;
use crate::stage::{HEADGATE, KIB, MIB, alone, attack_time};
use anyhow::{Context as _, Result, ensure};
use headgate_tests::gateway;
use headgate_tests::kafka::{RealKafka, Record, unique};
use headgate_tests::raw::{Raw, masked};
use headgate_wire::config::Limits;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::interval;

/// What the operator gives a gateway with default limits (`resource_needs`).
const MEMORY: usize = 320 * MIB;
/// What a gateway with default limits admits, less one for the healthy client.
const CLIENTS: usize = 1999;
/// What each of these addresses may have by default.
const CLIENTS_PER_ADDRESS: usize = 200;
/// Without optimisation, gateway and attackers would fight for the processors only.
const MESSAGES_PER_SECOND: usize = if cfg!(debug_assertions) { 4 } else { 48 };
const OLD_RECORDS: usize = 20_000;
const WORSE: u32 = 2;
const CONSTANT: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 20 });

/// A control group with a limit of memory. Dropping it removes it, once the process in it is gone.
struct ControlGroup {
    folder: PathBuf,
    version: u8,
}

impl ControlGroup {
    fn with_memory(bytes: usize) -> Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let version = if root.join("cgroup.controllers").exists() { 2 } else { 1 };
        let parent = if version == 2 { root.to_owned() } else { root.join("memory") };
        let folder = parent.join(format!("headgate-adversity-{}", std::process::id()));
        let make = || -> std::io::Result<()> {
            if version == 2 {
                fs::write(root.join("cgroup.subtree_control"), "+memory")?;
            }
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(if version == 2 { "memory.max" } else { "memory.limit_in_bytes" }), bytes.to_string())
        };
        make().with_context(|| {
            let path = folder.display();
            format!("cannot limit memory in {path}: run as root on Linux, or leave the feature `pods` out")
        })?;
        Ok(Self { folder, version })
    }

    fn take(&self, pid: u32) -> Result<()> {
        Ok(fs::write(self.folder.join("cgroup.procs"), pid.to_string())?)
    }

    /// Processes in it that the kernel has killed for their memory.
    fn kills(&self) -> Result<usize> {
        let file = if self.version == 2 { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.folder.join(file))?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        Ok(count.context("this kernel does not count kills")?.trim().parse()?)
    }

    /// Most bytes that it ever held.
    fn peak(&self) -> Result<usize> {
        let file = if self.version == 2 { "memory.peak" } else { "memory.max_usage_in_bytes" };
        Ok(fs::read_to_string(self.folder.join(file))?.trim().parse()?)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // The gateway was dropped before; a group that the kernel still holds goes with the machine.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// One way to be hostile.
#[derive(Debug, Clone, Copy)]
enum Kind {
    NeverReads,
    NeverReadsAnswers,
    NeverReadsPongs,
    TricklesOldRecords,
    NeverReadsOldRecords,
    CostlyFilter,
    ChangesFilters,
    HalfMessage,
    SilentServerSentEvents,
    ComesAndGoes,
}

const KINDS: [Kind; 10] = [
    Kind::NeverReads,
    Kind::NeverReadsAnswers,
    Kind::NeverReadsPongs,
    Kind::TricklesOldRecords,
    Kind::NeverReadsOldRecords,
    Kind::CostlyFilter,
    Kind::ChangesFilters,
    Kind::HalfMessage,
    Kind::SilentServerSentEvents,
    Kind::ComesAndGoes,
];

impl Kind {
    fn target(self) -> &'static str {
        match self {
            Self::TricklesOldRecords | Self::NeverReadsOldRecords | Self::ComesAndGoes => "/orders?from=earliest",
            Self::NeverReadsAnswers | Self::NeverReadsPongs => "/orders?filter.subject=nobody",
            _ => "/orders",
        }
    }

    /// What it sends in a second.
    fn messages(self, number: usize) -> Vec<u8> {
        let text = |value: serde_json::Value| masked(0x81, value.to_string().as_bytes());
        let filter = |leaves: usize| {
            let leaf = |leaf| serde_json::json!({ "suffix": { "subject": format!("{number}-{leaf}") } });
            let any: Vec<_> = (0..leaves).map(leaf).collect();
            text(serde_json::json!({ "type": "filter", "filters": [{ "not": { "any": any } }] }))
        };
        let mistake = || text(serde_json::json!({ "id": "\u{1}".repeat(128), "type": "\u{1}".repeat(200) }));
        match self {
            Self::NeverReadsAnswers => mistake().repeat(MESSAGES_PER_SECOND),
            Self::NeverReadsPongs => masked(0x89, &[b'p'; 125]).repeat(MESSAGES_PER_SECOND),
            Self::ChangesFilters => filter(1).repeat(MESSAGES_PER_SECOND),
            Self::CostlyFilter => filter(64),
            Self::HalfMessage => vec![b' '; 100],
            Self::SilentServerSentEvents => Vec::new(),
            // Nobody is idle, and whoever was cut notices.
            _ => masked(0x8a, b""),
        }
    }

    async fn open(self, source: IpAddr, gateway: SocketAddr) -> Result<Raw> {
        let mut client = Raw::connect_small_from(source, gateway).await?;
        if matches!(self, Self::SilentServerSentEvents) {
            client.get("/orders", &[("accept", "text/event-stream")]).await?;
            return Ok(client);
        }
        let answer = client.upgrade(self.target(), &[HEADGATE]).await?;
        ensure!(answer.status == 101, "refused with {}", answer.status);
        if matches!(self, Self::HalfMessage) {
            // The header of a text of 65,535 bytes that never comes to its end.
            client.send(&[0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0]).await?;
        }
        Ok(client)
    }

    /// One connection, until the gateway ends it.
    async fn attack(self, number: usize, mut client: Raw) -> Result<()> {
        let mut seconds = interval(Duration::from_millis(1050));
        loop {
            seconds.tick().await;
            client.send(&self.messages(number)).await?;
            match self {
                Self::TricklesOldRecords if client.skim(5 * KIB).await == 0 => return Ok(()),
                Self::SilentServerSentEvents if client.skim(1).await == 0 => return Ok(()),
                Self::ComesAndGoes => return Ok(()),
                _ => {}
            }
        }
    }

    /// Comes again whenever its connection ends.
    async fn again_and_again(self, number: usize, gateway: SocketAddr) {
        let source = Ipv4Addr::new(127, 0, 1, (number / CLIENTS_PER_ADDRESS) as u8 + 1).into();
        let mut next = interval(Duration::from_millis(500));
        loop {
            next.tick().await;
            if let Ok(client) = self.open(source, gateway).await {
                // Closed is what it deserves.
                let _ = self.attack(number, client).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_hostile_connections_as_are_admitted_neither_kill_a_pod_nor_delay_a_healthy_client() -> Result<()> {
    let _alone = alone().await;
    let kafka = RealKafka::shared().await?;
    let topic = unique("pod");
    kafka.create_topic(&topic, 2, &[]).await?;
    let old = (0..OLD_RECORDS).map(|_| Record::new(&topic, vec![b'x'; 1000]).partition(1));
    kafka.produce_many(old).await?;
    let mut config = gateway::config(&kafka.bootstrap(), &topic);
    config.limits = Limits::default();
    let group = ControlGroup::with_memory(MEMORY)?;
    let gateway = GatewayProcess::start_unready(config)?;
    group.take(gateway.pid())?;
    gateway.ready(Duration::from_secs(20)).await?;
    let mut probe = Probe::start(gateway.stream, &kafka.bootstrap(), &topic).await?;
    let calm = probe.measure().await?;
    let mut attackers = JoinSet::new();
    for number in 0..CLIENTS {
        attackers.spawn(KINDS[number % KINDS.len()].again_and_again(number, gateway.stream));
    }
    let begin = Instant::now();
    let mut worst = calm;
    while begin.elapsed() < attack_time(20) {
        let outcome = probe.measure().await.with_context(|| format!("after {:.0?}", begin.elapsed()));
        ensure!(group.kills()? == 0, "killed for its memory after {:.0?}", begin.elapsed());
        let attacked = outcome?;
        println!("{} connections, {} MiB: {attacked}", gateway.metric("connections{").await?, group.peak()? / MIB);
        if attacked.p99 > worst.p99 {
            worst = attacked;
        }
    }
    drop(attackers);
    ensure!(worst.p99 <= calm.p99 * WORSE + CONSTANT, "calm: {calm}; attacked: {worst}");
    Ok(())
}
