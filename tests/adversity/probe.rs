//! A healthy client, and how late each record comes to it that is produced every 20 ms.

use anyhow::{Context as _, Result, bail};
use headgate_tests::kafka::{Record, produce_many, producer};
use headgate_tests::raw::Raw;
use headgate_tests::wait::eventually_ok;
use rdkafka::ClientConfig;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Time between two records of a probe.
const EVERY: Duration = Duration::from_millis(20);
/// Records that a measurement takes: three seconds.
const SAMPLES: usize = 150;
/// How long a measurement may take; it takes longer than its records if they come late or not at all.
const MEASUREMENT: Duration = Duration::from_secs(15);
/// What precedes the time at which a record was produced.
const MARK: &str = r#""probe":"#;
/// What times are counted from, in nanoseconds.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Lateness of the records of a measurement.
#[derive(Debug, Clone, Copy)]
pub struct Lateness {
    pub median: Duration,
    pub p99: Duration,
    pub worst: Duration,
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.1?}, p99 {:.1?}, worst {:.1?}", self.median, self.p99, self.worst)
    }
}

/// A client that reads, and a producer whose records it waits for. Dropping it ends both.
pub struct Probe {
    late: Arc<Mutex<Vec<Duration>>>,
    tasks: JoinSet<Result<()>>,
}

impl Probe {
    /// Opens a raw stream of a topic and begins to produce into its partition 0.
    pub async fn start(gateway: SocketAddr, bootstrap: &str, topic: &str) -> Result<Self> {
        let client = Raw::connect(gateway).await?.open("/orders?format=raw", &[]).await?;
        Self::with(client, bootstrap, topic).await
    }

    /// The same with a client that is connected in another way.
    pub async fn with(client: Raw, bootstrap: &str, topic: &str) -> Result<Self> {
        let late = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(read(client, Arc::clone(&late)));
        tasks.spawn(produce(bootstrap.to_owned(), topic.to_owned()));
        let mut probe = Self { late, tasks };
        probe.measure().await.context("a calm gateway")?;
        Ok(probe)
    }

    /// Lateness of the next [`SAMPLES`] records.
    pub async fn measure(&mut self) -> Result<Lateness> {
        let begin = self.count();
        eventually_ok("the records of a healthy client", MEASUREMENT, async || {
            if let Some(ended) = self.tasks.try_join_next() {
                return Ok(Err(ended.map_or_else(anyhow::Error::from, |ended| {
                    ended.err().unwrap_or_else(|| anyhow::anyhow!("the healthy client was closed"))
                })));
            }
            match self.count() - begin {
                got if got >= SAMPLES => Ok(Ok(())),
                got => bail!("{got} of {SAMPLES} came"),
            }
        })
        .await??;
        let mut late = self.samples(begin);
        late.sort_unstable();
        let at = |percent: usize| late[(late.len() * percent / 100).min(late.len() - 1)];
        Ok(Lateness { median: at(50), p99: at(99), worst: at(100) })
    }

    fn count(&self) -> usize {
        held(&self.late).len()
    }

    fn samples(&self, begin: usize) -> Vec<Duration> {
        held(&self.late)[begin..].to_vec()
    }
}

fn held(late: &Mutex<Vec<Duration>>) -> MutexGuard<'_, Vec<Duration>> {
    late.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(mut client: Raw, late: Arc<Mutex<Vec<Duration>>>) -> Result<()> {
    loop {
        let text = client.text().await?;
        let Some(at) = text.find(MARK) else { continue };
        let digits = text[at + MARK.len()..].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let produced = Duration::from_nanos(digits.parse()?);
        held(&late).push(EPOCH.elapsed().saturating_sub(produced));
    }
}

async fn produce(bootstrap: String, topic: String) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    let producer = producer(config)?;
    let mut due = interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let now = EPOCH.elapsed().as_nanos();
        let (producer, record) = (producer.clone(), Record::new(&topic, format!("{{{MARK}{now}}}")));
        // The next one must not wait until Kafka has this one.
        tokio::spawn(async move { produce_many(&producer, [record]).await });
    }
}
