//! One stream of a gateway: its source, its shards, and everything that decides who may join them.

use crate::auth::Authenticator;
use crate::auth::limits::Limiter;
use crate::config::Config;
use crate::fanout::budget::Budgets;
use crate::fanout::shard::ShardSettings;
use crate::fanout::shard::run::{Admitted, Arrival, Command, ShardHandle};
use crate::metrics::StreamMetrics;
use crate::source::{ReplayPool, Source, SourceError, SourceSettings, SourceStatus};
use crate::stream::feed::FeedSender;
use crate::stream::record::StreamContext;
use crate::supervision::Supervision;
use headgate_process::Latch;
use headgate_wire::GatewayConfig;
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Logs of all views of a stream hold at most this many times the bytes of its ring.
const LOG_RINGS: usize = 4;
/// Outboxes of all clients of a stream hold about as much as this many rings, beyond one frame that is larger.
const OUTBOX_RINGS: usize = 2;
/// Replays of a stream read at most this many rings ahead of their readers, beyond one batch that is larger.
const REPLAY_RINGS: usize = 1;
/// Connections that do not write to their sockets directly hold about as much as this many rings on their way.
const RELAY_RINGS: usize = 2;
/// More shards than this cost more than they give: each routes and encodes every record again.
const MAX_SHARDS: usize = 8;
/// A record may fill at most this part of the ring; a larger one becomes a gap.
const LARGEST_RECORD_PART: usize = 2;
/// No record is larger than this, whatever the ring, in bytes.
const LARGEST_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// A stream that is being served.
#[derive(Debug)]
pub struct Endpoint {
    /// The validated configuration.
    pub config: Config,
    /// The stream's constants.
    pub context: Arc<StreamContext>,
    /// Who may connect.
    pub authenticator: Arc<Authenticator>,
    /// How many may connect.
    pub limiter: Limiter,
    /// Kafka.
    pub source: Source,
    /// What is counted.
    pub metrics: StreamMetrics,
    /// What all clients together may use.
    pub budgets: Budgets,
    /// Whether all threads are alive.
    pub supervision: Supervision,
    shards: Vec<ShardHandle>,
    draining: AtomicBool,
    /// Makes session names of different processes different.
    instance: u32,
    sessions: AtomicU64,
    arrivals: AtomicU64,
}

impl Endpoint {
    /// Starts the source and `shards` shards. Nothing is served before `ready` is released.
    ///
    /// # Errors
    /// If the Kafka settings cannot work or the operating system refuses a thread.
    pub fn start(config: Config, shards: usize, metrics: StreamMetrics, ready: Latch) -> Result<Self, SourceError> {
        let wire = &config.wire;
        let shards = shards.clamp(1, MAX_SHARDS);
        let ring_bytes = ring_bytes(wire);
        let context = Arc::new(StreamContext::new(wire.kafka.topic.clone(), wire.stream.event_type.clone()));
        let settings = SourceSettings {
            kafka: wire.kafka.clone(),
            client_id: format!("headgate.{}", wire.app),
            max_record_bytes: (ring_bytes / LARGEST_RECORD_PART).min(LARGEST_RECORD_BYTES),
            warm_up_bytes: ring_bytes,
            max_replays: replays_of_shard(wire, shards) * shards,
        };
        let replays = ReplayPool::new(settings.clone());
        let shard_settings = shard_settings(wire, &context, shards);
        let authenticator = Arc::new(Authenticator::new(&config));
        let supervision = Supervision::default();
        let shards = (0..shards)
            .map(|number| {
                let alive = supervision.alive(format!("shard-{number}"));
                ShardHandle::spawn(alive, shard_settings.clone(), metrics.clone(), authenticator.clone(), |batches| {
                    replays.for_shard(batches)
                })
            })
            .collect::<Result<Vec<_>, _>>()
            .inspect_err(|_| supervision.stopping())?;
        let feeds = shards.iter().map(|shard| shard.feed.clone()).collect();
        let source = Source::start(&settings, replays, feeds, SourceStatus::new(metrics.clone(), ready), &supervision)
            .inspect_err(|_| supervision.stopping())?;
        Ok(Self {
            authenticator,
            limiter: Limiter::new(config.wire.limits),
            context,
            source,
            metrics,
            budgets: shard_settings.budgets,
            supervision,
            shards,
            draining: AtomicBool::new(false),
            instance: getrandom::u32().unwrap_or_default(),
            sessions: AtomicU64::new(1),
            arrivals: AtomicU64::new(0),
            config,
        })
    }

    /// First path segment of the stream.
    pub fn app(&self) -> &str {
        &self.config.wire.app
    }

    /// True once the gateway has begun to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Open client connections.
    pub fn connections(&self) -> usize {
        self.shards.iter().map(|shard| *shard.clients.borrow()).sum()
    }

    /// Where steps of the stream go, one way to each shard.
    pub fn feeds(&self) -> Vec<FeedSender> {
        self.shards.iter().map(|shard| shard.feed.clone()).collect()
    }

    /// A name for the next connection.
    pub fn next_session(&self) -> Arc<str> {
        format!("{:08x}-{:x}", self.instance, self.sessions.fetch_add(1, Ordering::Relaxed)).into()
    }

    /// Gives a client to the next shard in turn.
    pub async fn join(&self, arrival: Arrival, admitted: Admitted) {
        let principal = admitted.principal.clone();
        let next = self.arrivals.fetch_add(1, Ordering::Relaxed) as usize % self.shards.len();
        let shard = &self.shards[next];
        if shard.commands.send(Command::Join(arrival, Box::new(admitted))).await.is_err() {
            tracing::warn!("a client arrived after the last shard had ended; its connection is cut");
        }
        // Its key may have been revoked while it was on its way, after the shard had looked through its clients.
        if self.authenticator.still_valid(&principal, Timestamp::now()).is_err() {
            self.revalidate().await;
        }
    }

    /// Closes every client that is no longer admitted.
    pub async fn revalidate(&self) {
        for shard in &self.shards {
            let authenticator = self.authenticator.clone();
            let check = Box::new(move |principal: &_| authenticator.still_valid(principal, Timestamp::now()));
            // A shard that has ended has no clients.
            let _ = shard.commands.send(Command::Revalidate(check)).await;
        }
    }

    /// Sends every client elsewhere, and waits until they are gone or the time is over.
    pub async fn drain(&self) {
        let window = Duration::from_secs(self.config.wire.drain_seconds.into());
        self.draining.store(true, Ordering::Relaxed);
        for shard in &self.shards {
            let _ = shard.commands.send(Command::Drain(window)).await;
        }
        let empty = async {
            for shard in &self.shards {
                let _ = shard.clients.clone().wait_for(|clients| *clients == 0).await;
            }
        };
        if tokio::time::timeout(window, empty).await.is_err() {
            tracing::warn!(left = self.connections(), "the drain window is over; cutting the clients that are left");
        }
    }

    /// Ends source and shards. Blocks until their threads are gone.
    pub fn stop(&self) {
        self.supervision.stopping();
        for shard in &self.shards {
            shard.stop();
        }
        self.source.stop();
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Its threads end with it.
        self.supervision.stopping();
    }
}

/// Replays of one shard: all shards together have at least as many as are configured.
fn replays_of_shard(wire: &GatewayConfig, shards: usize) -> usize {
    (wire.stream.replay.max_concurrent as usize).div_ceil(shards)
}

fn shard_settings(wire: &GatewayConfig, context: &Arc<StreamContext>, shards: usize) -> ShardSettings {
    let ring_bytes = ring_bytes(wire);
    ShardSettings {
        context: context.clone(),
        recent_bytes: ring_bytes,
        view_log_bytes: ring_bytes,
        budgets: budgets(ring_bytes),
        shards,
        max_replays: replays_of_shard(wire, shards),
        max_delay: Duration::from_millis(wire.stream.max_delay_milliseconds.into()),
        slow_client: wire.stream.slow_client,
        ping_interval: Duration::from_secs(wire.limits.ping_seconds.into()),
    }
}

fn ring_bytes(wire: &GatewayConfig) -> usize {
    usize::try_from(wire.stream.replay.ring_bytes).unwrap_or(usize::MAX)
}

/// What the shards of a stream may hold, from the bytes of its ring.
fn budgets(ring_bytes: usize) -> Budgets {
    let of = |rings: usize| ring_bytes.saturating_mul(rings);
    Budgets::of_bytes(of(LOG_RINGS), of(OUTBOX_RINGS), of(REPLAY_RINGS), of(RELAY_RINGS))
}
