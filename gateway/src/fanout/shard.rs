//! A shard owns sockets: it sweeps the views that have something new, with one write per client and turn.
//!
//! [`Shard`] itself is synchronous and knows neither tokio nor Kafka: it is fed steps of the stream, messages of
//! clients and the time, and it writes to sockets that never block. [`run`] is the loop around it, on a thread of its
//! own, so nothing here is ever locked. Whatever happens to one client, the others do not notice.
//!
//! * [`run`]: the loop, its channels, the thread
//! * `intake`: steps of the stream into memory and into the logs of views
//! * `sweep`: bytes to sockets
//! * `catch_up`: clients with a position of their own, until they meet the live stream
//! * `slots`, `replays`: who may read older records from Kafka, and for how long
//! * `outbox`: what a client is sent besides its log
//! * `lag`: what happens when a client's position leaves the log
//! * `membership`: clients come, change their filter, and go
//! * `tick`: what time brings: pings, expiry, deadlines, drain

mod catch_up;
mod client;
mod intake;
mod lag;
mod membership;
mod outbox;
mod reader;
mod replays;
pub mod run;
mod slots;
mod socket;
mod sweep;
mod tick;

pub use client::{ClientId, Join, Renewal};
pub use reader::{Input, InputPort};
pub use socket::{ClientSocket, RELAY_CHUNKS, Socket};

use crate::encode::encoder::Encoder;
use crate::fanout::budget::Budgets;
use crate::fanout::recent::Recent;
use crate::fanout::router::Router;
use crate::fanout::view::{View, ViewSpec};
use crate::metrics::StreamMetrics;
use crate::session::Millis;
use crate::stream::feed::Generation;
use crate::stream::position::Position;
use crate::stream::record::StreamContext;
use crate::stream::replay::Replays;
use client::Client;
use headgate_wire::CloseReason;
use headgate_wire::config::SlowClient;
use slab::Slab;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Clients served before the loop looks at its channels again.
const CLIENTS_PER_TURN: usize = 128;
/// Time between two `cursor` messages of a view whose stream has moved on, in milliseconds.
const CURSOR_INTERVAL_MS: u64 = 5_000;

/// What is fixed for a shard's life.
#[derive(Debug, Clone)]
pub struct ShardSettings {
    /// The stream's constants.
    pub context: Arc<StreamContext>,
    /// Memory of the newest records, in bytes (records are shared between shards).
    pub recent_bytes: usize,
    /// Most bytes that one view's log holds.
    pub view_log_bytes: usize,
    /// What all shards of the pod may hold together.
    pub budgets: Budgets,
    /// Number of shards that share the budgets.
    pub shards: usize,
    /// Most replays of this shard at the same time.
    pub max_replays: usize,
    /// How long steps may wait to share a write.
    pub max_delay: Duration,
    /// What happens to a client whose position leaves the log.
    pub slow_client: SlowClient,
    /// Time between two pings.
    pub ping_interval: Duration,
}

/// What was written since the metrics were told: counting there costs every shard a cache line at each write.
#[derive(Debug, Default)]
struct Sent {
    writes: u64,
    bytes: u64,
    messages: u64,
}

/// The state of one shard.
#[derive(Debug)]
pub struct Shard<S> {
    settings: ShardSettings,
    metrics: StreamMetrics,
    sent: Sent,
    clients: Slab<Client<S>>,
    views: Slab<View>,
    by_spec: HashMap<ViewSpec, usize>,
    router: Router,
    recent: Recent,
    encoder: Encoder,
    /// How often the stream has begun; before the first time, this shard knows no position.
    generation: Generation,
    /// The stream's position after the step that is being encoded.
    after: Position,
    /// True while a step is being put into the logs: some have it, others do not.
    mid_step: bool,
    /// Views with frames that some member has not received, in turn.
    to_sweep: VecDeque<usize>,
    /// Clients with something of their own to do: catching up, closing, an answer to send.
    attention: VecDeque<usize>,
    /// Clients whose socket took no more bytes since the loop last asked.
    newly_blocked: Vec<ClientId>,
    /// Tokens that clients sent since the loop last asked.
    renewals: Vec<Renewal>,
    replays: replays::ReplayTable,
    /// Clients that have not met the live stream yet.
    catching_up: BTreeSet<usize>,
    /// Steps that were looked at for them in this turn.
    steps: usize,
    /// Those of them for which the budget of outboxes had no room, in turn.
    waiting_for_room: VecDeque<usize>,
    next_serial: u64,
    now: Millis,
    next_ping: Millis,
    candidates: Vec<usize>,
    draining: bool,
}

impl<S: ClientSocket> Shard<S> {
    /// A shard without clients. `replays` reads older records on demand.
    pub fn new(settings: ShardSettings, metrics: StreamMetrics, replays: Box<dyn Replays>) -> Self {
        let replays = replays::ReplayTable::new(replays, settings.max_replays, settings.budgets.replays.clone());
        let recent = Recent::new(Position::default(), settings.recent_bytes);
        let next_ping = Millis(settings.ping_interval.as_millis() as u64);
        Self {
            settings,
            metrics,
            sent: Sent::default(),
            clients: Slab::new(),
            views: Slab::new(),
            by_spec: HashMap::new(),
            router: Router::default(),
            recent,
            encoder: Encoder::default(),
            generation: 0,
            after: Position::default(),
            mid_step: false,
            to_sweep: VecDeque::new(),
            attention: VecDeque::new(),
            newly_blocked: Vec::new(),
            renewals: Vec::new(),
            replays,
            catching_up: BTreeSet::new(),
            steps: 0,
            waiting_for_room: VecDeque::new(),
            next_serial: 1,
            now: Millis(0),
            next_ping,
            candidates: Vec::new(),
            draining: false,
        }
    }

    /// Number of clients.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// True if nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Says what time it is; everything that follows happens at this time.
    pub fn set_time(&mut self, now: Millis) {
        self.now = now;
    }

    /// Serves a bounded number of clients; false if nobody had anything to get.
    pub fn turn(&mut self) -> bool {
        self.give_room();
        let served = self.serve_attention(CLIENTS_PER_TURN);
        let swept = self.sweep(CLIENTS_PER_TURN);
        self.count_sent();
        served || swept
    }

    fn count_sent(&mut self) {
        let Sent { writes, bytes, messages } = std::mem::take(&mut self.sent);
        if writes > 0 {
            self.metrics.writes.inc_by(writes);
            self.metrics.bytes_sent.inc_by(bytes);
            self.metrics.messages_sent.inc_by(messages);
        }
    }

    /// Clients whose socket is full since the last call; report them back with [`Shard::unblocked`].
    pub fn take_blocked(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.newly_blocked)
    }

    /// A future that ends when a blocked client's socket takes bytes again.
    pub fn writable(&self, id: ClientId) -> Option<socket::Writable> {
        self.clients.get(id.index).filter(|client| client.id == id).map(|client| client.socket.writable())
    }

    /// Says to every client that can be told at once that something failed: whatever state a panic has left, a client that
    /// is between two frames can be sent another one.
    fn tell_of_death(&mut self) {
        for (_, client) in &mut self.clients {
            if client.is_between_frames() && client.outbox.is_empty() {
                let encoding = self.views.get(client.view).map(|view| view.spec.encoding);
                let frame = encoding.map(|encoding| self.encoder.close(CloseReason::Internal, encoding));
                // Who takes nothing now is cut, and comes back with its cursor all the same.
                let _ = client.socket.try_write(frame.unwrap_or_default());
                client.close_reason = Some(CloseReason::Internal);
            }
        }
    }

    /// Ends every connection, whatever is still unsent.
    pub fn cut_all(&mut self) {
        for index in self.clients.iter().map(|(index, _)| index).collect::<Vec<_>>() {
            self.remove(index);
        }
    }

    /// The client with this id, unless it has left meanwhile.
    fn client(&mut self, id: ClientId) -> Option<&mut Client<S>> {
        self.clients.get_mut(id.index).filter(|client| client.id == id)
    }

    /// Puts a client in line for individual service.
    fn attend(&mut self, index: usize) {
        if let Some(client) = self.clients.get_mut(index)
            && !client.attended
        {
            client.attended = true;
            self.attention.push_back(index);
        }
    }
}
