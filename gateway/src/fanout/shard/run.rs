//! The loop around a shard: a thread with a runtime of its own, and the bounded channels that lead to it.

use super::client::{ClientId, Join, Renewal};
use super::reader::{self, Input, InputPort};
use super::socket::{Relay, Socket};
use super::tick::scatter;
use super::{Shard, ShardSettings};
use crate::auth::audit::Audit;
use crate::auth::limits::Permit;
use crate::auth::{Authenticator, Principal, RefreshError, User};
use crate::encode::frame::Parser;
use crate::fanout::budget::Budget;
use crate::fanout::view::ViewSpec;
use crate::metrics::StreamMetrics;
use crate::session::{Dialect, Millis, SessionSettings};
use crate::stream::entry::Entry;
use crate::stream::feed::{self, Beginning, Feed, FeedReceiver, FeedSender, Next};
use crate::stream::replay::{ReplayBatch, Replays};
use crate::supervision::Alive;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use headgate_wire::config::Limits;
use headgate_wire::{CloseReason, Filter};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Batches of the live source that may wait for a shard.
const FEED_CAPACITY: usize = 16;
/// Client messages that may wait for a shard; readers wait when it is full.
const INPUT_CAPACITY: usize = 1024;
/// Connections that may wait to be taken over.
const COMMAND_CAPACITY: usize = 1024;
/// Replay batches that may wait for a shard; more than its replays have credits for.
const REPLAY_CAPACITY: usize = 512;
/// Commands, most of them joins, taken in one turn.
const COMMANDS_PER_TURN: usize = 64;
/// Client messages taken in one turn.
const INPUTS_PER_TURN: usize = 256;
/// Replay batches taken in one turn.
const REPLAY_BATCHES_PER_TURN: usize = 64;
/// Steps of the live stream taken before the clock is looked at.
const STEPS_AT_ONCE: usize = 64;
/// How long steps of the live stream are taken before clients are served again.
const INTAKE_TIME: Duration = Duration::from_millis(5);
/// Tokens of connected clients that may be checked at once; the next ones are asked to try later.
const MAX_RENEWALS: usize = 64;
/// A connection's age limit varies by this much in both directions.
const AGE_JITTER_PERCENT: u64 = 10;
/// Time between two ticks.
const TICK: Duration = Duration::from_millis(250);
/// Time between two ticks while draining, so that clients leave evenly.
const DRAIN_TICK: Duration = Duration::from_millis(25);

/// Says whether a principal is still admitted.
pub type Check = Box<dyn Fn(&Principal) -> Result<(), CloseReason> + Send>;

/// A connection that arrives at a shard.
#[derive(Debug)]
pub enum Arrival {
    /// A socket taken over from the HTTP server, and what the client sent already.
    Tcp(std::net::TcpStream, Bytes),
    /// A task that keeps the connection; it learns that the client is forgotten, and where to deliver what it sends.
    Relay(mpsc::Sender<Bytes>, CancellationToken, oneshot::Sender<InputPort>),
}

/// A client that may join, before it has a place.
#[derive(Debug)]
pub struct Admitted {
    /// What it may use.
    pub limits: Limits,
    /// What it speaks.
    pub dialect: Dialect,
    /// When its credentials end, and the reason to close with.
    pub expires_at: Option<(Timestamp, CloseReason)>,
    /// What it sees.
    pub spec: ViewSpec,
    /// Filters that it cannot replace.
    pub enforced: Arc<[Filter]>,
    /// Where it begins.
    pub start: Beginning,
    /// Who it is.
    pub principal: Principal,
    /// Its share of the limits.
    pub permit: Permit,
    /// Audit data.
    pub audit: Audit,
}

/// What a shard is told.
pub enum Command {
    /// A client arrives.
    Join(Arrival, Box<Admitted>),
    /// A client's newer token was checked.
    Renewed(ClientId, Result<Arc<User>, RefreshError>),
    /// Keys changed: close who is no longer admitted.
    Revalidate(Check),
    /// Send everybody elsewhere within this time.
    Drain(Duration),
    /// End, and cut whoever is left.
    Stop,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Join(..) => "Join",
            Self::Renewed(..) => "Renewed",
            Self::Revalidate(_) => "Revalidate",
            Self::Drain(_) => "Drain",
            Self::Stop => "Stop",
        })
    }
}

/// The way to a running shard.
#[derive(Debug)]
pub struct ShardHandle {
    /// Commands.
    pub commands: mpsc::Sender<Command>,
    /// Steps of the live stream.
    pub feed: FeedSender,
    /// Number of clients.
    pub clients: watch::Receiver<usize>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl ShardHandle {
    /// Starts a shard on a thread of its own. `replays` gets the channel on which the shard takes batches.
    ///
    /// # Errors
    /// If the operating system gives no thread or no event queue.
    pub fn spawn(
        alive: Alive,
        settings: ShardSettings,
        metrics: StreamMetrics,
        authenticator: Arc<Authenticator>,
        replays: impl FnOnce(mpsc::Sender<ReplayBatch>) -> Box<dyn Replays>,
    ) -> io::Result<Self> {
        let (command_sender, commands) = mpsc::channel(COMMAND_CAPACITY);
        let (feed_sender, feed) = feed::channel(FEED_CAPACITY);
        let (replay_sender, replay_batches) = mpsc::channel(REPLAY_CAPACITY);
        let (input_sender, inputs) = mpsc::channel(INPUT_CAPACITY);
        let (count, clients) = watch::channel(0);
        let (max_delay, relays) = (settings.max_delay, settings.budgets.relays.clone());
        let shard = Shard::new(settings, metrics, replays(replay_sender));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let running = Running {
            shard,
            commands,
            renewals: Renewals {
                authenticator,
                runtime: tokio::runtime::Handle::current(),
                answers: command_sender.downgrade(),
                places: Arc::new(Semaphore::new(MAX_RENEWALS)),
            },
            feed,
            pending: None,
            replay_batches,
            inputs,
            input_sender,
            count,
            blocked: FuturesUnordered::new(),
            epoch: Instant::now(),
            max_delay,
            relays,
            last_intake: None,
            next_tick: Instant::now(),
            draining: false,
            stopped: false,
        };
        let thread = std::thread::Builder::new().name(alive.name().to_owned()).spawn(move || {
            let _alive = alive;
            runtime.block_on(running.run());
        })?;
        Ok(Self { commands: command_sender, feed: feed_sender, clients, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the shard and waits for its thread.
    pub fn stop(&self) {
        let _ = self.commands.blocking_send(Command::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a shard ended by a panic; its clients were cut");
        }
    }
}

/// Where newer tokens are checked.
struct Renewals {
    authenticator: Arc<Authenticator>,
    runtime: tokio::runtime::Handle,
    answers: mpsc::WeakSender<Command>,
    places: Arc<Semaphore>,
}

struct Running {
    shard: Shard<Socket>,
    commands: mpsc::Receiver<Command>,
    renewals: Renewals,
    feed: FeedReceiver,
    /// Steps of the last feed, and which of them comes next.
    pending: Option<(Arc<[Entry]>, usize)>,
    replay_batches: mpsc::Receiver<ReplayBatch>,
    inputs: mpsc::Receiver<Input>,
    input_sender: mpsc::Sender<Input>,
    count: watch::Sender<usize>,
    blocked: FuturesUnordered<BoxFuture<'static, ClientId>>,
    epoch: Instant,
    max_delay: Duration,
    /// What relays may hold.
    relays: Arc<Budget>,
    last_intake: Option<Instant>,
    next_tick: Instant,
    draining: bool,
    stopped: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shard.tell_of_death();
        }
        self.shard.cut_all();
        self.report_count();
    }
}

impl Running {
    async fn run(mut self) {
        while !self.stopped {
            self.take_time();
            self.take_what_is_there();
            let busy = self.shard.turn() || self.pending.is_some();
            self.watch_blocked();
            self.check_renewals();
            self.report_count();
            if busy {
                tokio::task::yield_now().await;
            } else if !self.stopped {
                self.wait().await;
            }
        }
    }

    fn take_time(&mut self) {
        let now = Instant::now();
        self.shard.set_time(Millis(now.duration_since(self.epoch).as_millis() as u64));
        if now >= self.next_tick {
            self.next_tick = now + if self.draining { DRAIN_TICK } else { TICK };
            self.shard.tick();
        }
    }

    /// Takes a bounded part of what every channel holds, so that none of them, however full, holds up the others or the
    /// clients.
    fn take_what_is_there(&mut self) {
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(command) = self.commands.try_recv() else { break };
            self.command(command);
        }
        for _ in 0..INPUTS_PER_TURN {
            let Ok(input) = self.inputs.try_recv() else { break };
            self.input(input);
        }
        for _ in 0..REPLAY_BATCHES_PER_TURN {
            let Ok(batch) = self.replay_batches.try_recv() else { break };
            self.shard.replayed(batch);
        }
        if self.window_is_open() {
            self.take_feeds();
        }
        while let Some(Some(id)) = futures_util::FutureExt::now_or_never(self.blocked.next()) {
            self.shard.unblocked(id);
        }
    }

    /// Takes what the live source has yielded, as far as there is time for it in this turn.
    fn take_feeds(&mut self) {
        let begin = Instant::now();
        while self.pending.is_some() || self.next_feed() {
            self.take_some();
            if begin.elapsed() >= INTAKE_TIME {
                // The rest has waited long enough to share writes.
                self.last_intake = None;
                return;
            }
            self.last_intake = Some(begin);
        }
    }

    /// Begins the next feed; false if there is none.
    fn next_feed(&mut self) -> bool {
        let Some(feed) = self.feed.try_recv() else { return false };
        self.begin_feed(feed);
        true
    }

    /// A feed may take long, if its steps are large or its views are many: it is taken in parts.
    fn begin_feed(&mut self, feed: Feed) {
        match feed {
            Feed::Entries(entries) => self.pending = Some((entries, 0)),
            Feed::Restart(..) => self.shard.feed(feed),
        }
    }

    fn take_some(&mut self) {
        let Some((entries, at)) = self.pending.take() else { return };
        let end = (at + STEPS_AT_ONCE).min(entries.len());
        self.shard.take_entries(&entries[at..end]);
        if end < entries.len() {
            self.pending = Some((entries, end));
        }
    }

    /// Steps are taken at most once per coalescing window, so that few of them share writes; what fills the queue shares
    /// them anyway.
    fn window_is_open(&self) -> bool {
        let is_over = self.last_intake.is_none_or(|at| at.elapsed() >= self.max_delay);
        is_over || self.pending.is_some() || self.feed.is_full()
    }

    /// Waits for the next thing to do.
    async fn wait(&mut self) {
        let window_open = self.window_is_open();
        let window_opens = self.last_intake.map_or_else(Instant::now, |at| at + self.max_delay);
        let wake = if window_open { self.next_tick } else { self.next_tick.min(window_opens) };
        tokio::select! {
            biased;
            Some(id) = self.blocked.next(), if !self.blocked.is_empty() => self.shard.unblocked(id),
            next = self.feed.next(window_open) => match next {
                Next::Feed(feed) => self.begin_feed(feed),
                Next::Full => {}
                Next::End => self.stopped = true,
            },
            Some(batch) = self.replay_batches.recv() => self.shard.replayed(batch),
            Some(input) = self.inputs.recv() => self.input(input),
            command = self.commands.recv() => match command {
                Some(command) => self.command(command),
                None => self.stopped = true,
            },
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Join(arrival, admitted) => self.join(arrival, *admitted),
            Command::Renewed(id, outcome) => self.renewed(id, outcome),
            Command::Revalidate(check) => self.shard.revalidate(&check),
            Command::Drain(window) => {
                self.draining = true;
                self.next_tick = Instant::now();
                self.shard.drain(window.as_millis() as u64);
            }
            Command::Stop => self.stopped = true,
        }
    }

    fn join(&mut self, arrival: Arrival, admitted: Admitted) {
        let (socket, early, reply) = match arrival {
            Arrival::Tcp(stream, early) => match TcpStream::from_std(stream) {
                Ok(stream) => (Socket::Tcp(Arc::new(stream)), Some(early), None),
                Err(error) => {
                    tracing::warn!(%error, "cannot take over a connection: the event queue refused its socket");
                    return;
                }
            },
            Arrival::Relay(chunks, forgotten, reply) => {
                let budget = self.relays.clone();
                (Socket::Relay(Relay { chunks, forgotten, budget }), None, Some(reply))
            }
        };
        let stream = if let Socket::Tcp(stream) = &socket { Some(stream.clone()) } else { None };
        let max_inbound_bytes = admitted.limits.max_inbound_bytes;
        let session = self.session_settings(&admitted);
        let Admitted { spec, enforced, start, principal, permit, audit, .. } = admitted;
        let id = self.shard.join(Join { socket, spec, enforced, start, session, principal, permit, audit });
        let port = InputPort { id, inputs: self.input_sender.clone() };
        if let (Some(stream), Some(early)) = (stream, early) {
            let mut parser = Parser::new(max_inbound_bytes);
            tokio::spawn(async move {
                if early.is_empty() || port.deliver(&mut parser, &early).await {
                    // hyper's read buffer must not live as long as the connection.
                    drop(early);
                    reader::read(stream, port, parser).await;
                }
            });
        } else if let Some(reply) = reply {
            // If the task is gone already, its relay is closed too, and the next write notices.
            let _ = reply.send(port);
        }
    }

    /// Has newer tokens checked, away from this thread: it takes a signature, and perhaps a question to the provider.
    fn check_renewals(&mut self) {
        for Renewal { client, principal, token } in self.shard.take_renewals() {
            let Ok(place) = self.renewals.places.clone().try_acquire_owned() else {
                self.renewed(client, Err(RefreshError::Busy));
                continue;
            };
            let (authenticator, answers) = (self.renewals.authenticator.clone(), self.renewals.answers.clone());
            self.renewals.runtime.spawn(async move {
                let outcome = authenticator.refresh(&principal, token.expose_secret(), Timestamp::now()).await;
                drop(place);
                if let Some(answers) = answers.upgrade() {
                    // A shard that has ended has no clients.
                    let _ = answers.send(Command::Renewed(client, outcome)).await;
                }
            });
        }
    }

    fn renewed(&mut self, id: ClientId, outcome: Result<Arc<User>, RefreshError>) {
        let outcome = outcome.map_err(|error| (error.code(), error.to_string()));
        let outcome = outcome.map(|user| {
            let end = self.millis_of(user.expires_at);
            (user, end)
        });
        self.shard.renewed(id, outcome);
    }

    /// A time of the calendar as this shard counts time.
    fn millis_of(&self, time: Timestamp) -> Millis {
        let left = u64::try_from(time.duration_since(Timestamp::now()).as_millis()).unwrap_or(0);
        Millis((self.epoch.elapsed().as_millis() as u64).saturating_add(left))
    }

    fn session_settings(&self, admitted: &Admitted) -> SessionSettings {
        let now = self.epoch.elapsed().as_millis() as u64;
        let limits = &admitted.limits;
        let max_age_ms = u64::from(limits.max_connection_age_seconds) * 1000;
        let jitter = max_age_ms / 100 * AGE_JITTER_PERCENT;
        SessionSettings {
            dialect: admitted.dialect,
            idle_timeout_ms: u64::from(limits.idle_timeout_seconds) * 1000,
            // Connections that came together do not come back together.
            max_age_ms: max_age_ms - jitter + scatter(now) % (2 * jitter + 1),
            expires_at: admitted.expires_at.map(|(at, reason)| (self.millis_of(at), reason)),
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Message(id, message) => self.shard.inbound(id, message),
            Input::Gone(id) => self.shard.gone(id),
        }
    }

    fn watch_blocked(&mut self) {
        for id in self.shard.take_blocked() {
            if let Some(writable) = self.shard.writable(id) {
                self.blocked.push(Box::pin(async move {
                    writable.await;
                    id
                }));
            }
        }
    }

    fn report_count(&self) {
        self.count.send_if_modified(|count| std::mem::replace(count, self.shard.len()) != self.shard.len());
    }
}
