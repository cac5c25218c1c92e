//! A shard, its clients and its topic. Each step is drawn from the seed.

use super::bounds::Bounds;
use super::client::{ALL, FakeSocket, Habit, Reads, TestClient};
use super::random::Random;
use super::topic::{ChaoticReplays, PARTITIONS, Topic, WANTED};
use headgate_gateway::auth::Principal;
use headgate_gateway::auth::audit::Audit;
use headgate_gateway::auth::limits::Limiter;
use headgate_gateway::encode::format::{Encoding, Envelope};
use headgate_gateway::encode::frame::{Inbound, Parser};
use headgate_gateway::fanout::budget::Budgets;
use headgate_gateway::fanout::shard::{Join, Shard, ShardSettings};
use headgate_gateway::fanout::view::ViewSpec;
use headgate_gateway::metrics::{Metrics, StreamMetrics};
use headgate_gateway::session::{Dialect, Millis, SessionSettings};
use headgate_gateway::stream::entry::Gap;
use headgate_gateway::stream::feed::{Beginning, Feed};
use headgate_gateway::stream::position::Position;
use headgate_gateway::stream::record::StreamContext;
use headgate_wire::Filter;
use headgate_wire::config::{Format, Limits, SlowClient};
use headgate_wire::message::GapReason;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub type FakeShard = Shard<FakeSocket>;

const MOST_CLIENTS: usize = 40;
/// Milliseconds of a tick, as in a gateway.
const TICK_MS: u64 = 250;
const IDLE_TIMEOUT_MS: u64 = 60_000;
const PING_MS: u64 = 25_000;
/// Messages of a flood: more than a client may send in a second.
const FLOOD: usize = 60;

/// A pod has room for some segments, however small the bound of one log.
const LOG_BUDGET_BYTES: usize = 64 * 1024;
/// Each of the other budgets.
const BUDGET_BYTES: usize = 1024 * 1024;

pub struct World {
    topic: Topic,
    clients: Vec<TestClient>,
    shard: FakeShard,
    replays: ChaoticReplays,
    settings: ShardSettings,
    metrics: StreamMetrics,
    bounds: Bounds,
    /// Where the source stands, and where the shard stands that may have to hear of a beginning yet.
    live: Position,
    heard: Position,
    generation: u64,
    /// Counts topics; a cursor of an earlier one means nothing.
    epoch: u64,
    on_its_way: Option<Feed>,
    limiter: Limiter,
    now: u64,
    next_tick: u64,
}

impl World {
    pub fn new(random: &mut Random, slow_client: SlowClient, bounds: Bounds) -> Self {
        let log_bytes = 4_000 + random.below(200_000);
        let max_replays = 1 + random.below(4);
        let settings = ShardSettings {
            context: Arc::new(StreamContext::new("topic", "type")),
            recent_bytes: 2_000 + random.below(200_000),
            view_log_bytes: log_bytes,
            budgets: Budgets::of_bytes((log_bytes * 2).max(LOG_BUDGET_BYTES), BUDGET_BYTES, BUDGET_BYTES, BUDGET_BYTES),
            shards: 1,
            max_replays,
            max_delay: Duration::ZERO,
            slow_client,
            ping_interval: Duration::from_millis(PING_MS),
        };
        let (topic, metrics) = (Topic::new(), Metrics::default().of("app"));
        let replays = ChaoticReplays::new(max_replays, topic.clone());
        let shard = Shard::new(settings.clone(), metrics.clone(), Box::new(replays.clone()));
        let nowhere = Position::new(vec![0; PARTITIONS]);
        let limits = Limits {
            max_connections: 10_000,
            max_connections_per_address: 10_000,
            handshakes_per_second: 100_000,
            ..Limits::default()
        };
        let mut world = Self {
            topic,
            clients: Vec::new(),
            shard,
            replays,
            settings,
            metrics,
            bounds,
            live: nowhere.clone(),
            heard: nowhere.clone(),
            generation: 0,
            epoch: 0,
            on_its_way: None,
            limiter: Limiter::new(limits),
            now: 0,
            next_tick: 0,
        };
        world.restart_at(nowhere);
        world.hear_of_the_restart();
        world
    }

    /// One thing happens, and the shard has some turns.
    pub fn step(&mut self, random: &mut Random) {
        match random.below(1000) {
            0..200 => self.topic.produce(random),
            200..400 => self.read_live(1 + random.below(60)),
            400..440 => self.connect(random),
            440..800 => self.somebody_acts(random),
            800..930 => self.replay(random),
            930..935 => self.topic.shorten(random),
            935..937 => self.source_begins_again(random),
            937..960 => self.hear_of_the_restart(),
            _ => self.time_passes(1 + random.below(400) as u64),
        }
        self.time_passes(random.below(40) as u64);
        for _ in 0..random.below(3) {
            self.turn();
        }
        self.look_around();
    }

    fn turn(&mut self) {
        self.shard.turn();
        self.shard.take_blocked();
        drop(self.shard.take_renewals());
    }

    fn time_passes(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.shard.set_time(Millis(self.now));
        if self.now >= self.next_tick {
            self.next_tick = self.now + TICK_MS;
            self.shard.tick();
            for client in self.clients.iter_mut().filter(|client| client.is_open()) {
                self.bounds.check_client(client, &self.heard, self.now);
            }
        }
    }

    /// Everybody looks at what has come; those who read answer pings; those who are cut go.
    fn look_around(&mut self) {
        for client in &mut self.clients {
            client.collect(self.now);
            for _ in 0..std::mem::take(&mut client.pings) {
                self.shard.inbound(client.id, Ok(Inbound::Pong));
            }
        }
        self.bounds.check_memory(&self.shard, &self.settings, &self.metrics);
        self.clients.retain(|client| !client.is_cut());
    }

    fn read_live(&mut self, records: usize) {
        if self.on_its_way.is_some() {
            return;
        }
        let entries = self.topic.read(&mut self.live, records);
        self.heard.clone_from(&self.live);
        if !entries.is_empty() {
            self.shard.feed(Feed::Entries(entries.into()));
        }
    }

    /// The source reads on after an error, loses what retention took meanwhile, or finds a new topic.
    fn source_begins_again(&mut self, random: &mut Random) {
        if self.on_its_way.is_some() {
            return;
        }
        if random.percent(30) {
            self.topic = Topic::new();
            self.epoch += 1;
        }
        let position = if random.percent(50) { self.topic.end() } else { self.topic.low() };
        let end = self.topic.end();
        let reset = self.live.iter().any(|(partition, live)| live > end.next(partition));
        let next = self.live.iter().map(|(partition, live)| {
            let next = position.next(partition);
            if reset { next } else { next.max(live) }
        });
        self.restart_at(Position::new(next.collect()));
    }

    fn restart_at(&mut self, position: Position) {
        let before = std::mem::replace(&mut self.live, position);
        let gap = |(partition, to): (i32, i64)| {
            let from = before.next(partition);
            let reason = if from > to { GapReason::TopicReset } else { GapReason::Retention };
            (from != to).then_some(Gap { partition, from, to, reason })
        };
        let gaps = self.live.iter().filter_map(gap).collect();
        self.generation += 1;
        self.on_its_way = Some(Feed::Restart(self.live.clone(), gaps));
    }

    fn hear_of_the_restart(&mut self) {
        if let Some(restart) = self.on_its_way.take() {
            self.replays.topic_is_now(self.topic.clone());
            self.heard.clone_from(&self.live);
            self.shard.feed(restart);
        }
    }

    /// Somebody comes: from the end, from the beginning, or with the cursor of one who goes.
    fn connect(&mut self, random: &mut Random) {
        if self.clients.len() >= MOST_CLIENTS {
            return;
        }
        let (mut position, mut resumed) = (self.live.clone(), false);
        match random.below(4) {
            0 => position = self.topic.low(),
            1 | 2 if !self.clients.is_empty() => {
                let old = random.below(self.clients.len());
                let cursor = self.clients[old].cursor.take();
                if let Some(cursor) = cursor.filter(|_| self.clients[old].epoch == self.epoch) {
                    let old = self.clients.swap_remove(old);
                    self.shard.gone(old.id);
                    (position, resumed) = (cursor, true);
                }
            }
            _ => {}
        }
        let filtered = random.percent(30);
        let start = Beginning { position, resumed, gaps: Vec::new(), generation: self.generation };
        self.join(start, filtered, random);
    }

    fn join(&mut self, start: Beginning, filtered: bool, random: &mut Random) {
        let (socket, position) = (FakeSocket::default(), start.position.clone());
        let encoding = Encoding { format: Format::Raw, envelope: Envelope::HeadgateV1, kafka_metadata: false };
        let id = self.shard.join(Join {
            socket: socket.clone(),
            spec: ViewSpec::new(filters(filtered), None, encoding),
            enforced: Arc::from([]),
            start,
            session: SessionSettings {
                dialect: Dialect::HeadgateV1,
                idle_timeout_ms: IDLE_TIMEOUT_MS,
                max_age_ms: 0,
                expires_at: None,
            },
            principal: Principal::Anonymous,
            permit: self.limiter.admit(Ipv4Addr::LOCALHOST.into()).unwrap(),
            audit: Audit {
                session: "s".into(),
                app: "app".into(),
                principal: "anonymous".to_owned(),
                address: Ipv4Addr::LOCALHOST.into(),
                origin: None,
                protocol: "headgate.v1",
                opened: Instant::now(),
                bytes: 0,
                messages: 0,
            },
        });
        let mut client = TestClient::new(id, socket, position, random);
        (client.filtered, client.got_on_at, client.epoch) = (filtered, self.now, self.epoch);
        self.clients.push(client);
    }

    fn somebody_acts(&mut self, random: &mut Random) {
        if self.clients.is_empty() {
            return;
        }
        let number = random.below(self.clients.len());
        let client = &mut self.clients[number];
        if client.reads == Reads::Trickle {
            client.give_room(1 + random.below(400));
            self.shard.unblocked(client.id);
        }
        if client.close_code.is_some() {
            // Some answer the close, some wait until they are cut.
            if random.percent(50) {
                self.shard.inbound(client.id, Ok(Inbound::Close(None)));
            }
            return;
        }
        match client.habit {
            Habit::Quiet => {}
            Habit::Floods => (0..=random.below(FLOOD)).for_each(|_| self.send_anything(number, random)),
            Habit::ChangesFilter => self.change_filter(number, random.percent(50)),
            Habit::SendsHalfFrames => self.send_a_part(number, random),
            Habit::Vanishes => {
                if random.percent(20) {
                    let client = self.clients.swap_remove(number);
                    self.shard.gone(client.id);
                }
            }
        }
    }

    fn send_anything(&mut self, number: usize, random: &mut Random) {
        let text = match random.below(5) {
            0 => return self.shard.inbound(self.clients[number].id, Ok(Inbound::Ping(vec![b'p'; random.below(126)]))),
            1 => return self.shard.inbound(self.clients[number].id, Ok(Inbound::Pong)),
            2 => return self.change_filter(number, random.percent(50)),
            3 => format!(r#"{{"id":"{}","type":"{}"}}"#, "i".repeat(random.below(128)), "t".repeat(random.below(300))),
            _ => r#"{"type":"refresh","token":"t"}"#.to_owned(),
        };
        self.shard.inbound(self.clients[number].id, Ok(Inbound::Text(text)));
    }

    fn change_filter(&mut self, number: usize, filtered: bool) {
        let client = &mut self.clients[number];
        client.filter_changed(filtered);
        let filters = serde_json::to_string(&filters(filtered)).unwrap();
        let message = format!(r#"{{"type":"filter","filters":{filters}}}"#);
        self.shard.inbound(client.id, Ok(Inbound::Text(message)));
    }

    /// Frames of any content, cut anywhere: the gateway takes them apart and gives the shard what they mean.
    fn send_a_part(&mut self, number: usize, random: &mut Random) {
        let client = &mut self.clients[number];
        let mut bytes =
            vec![random.pick(&[0x81, 0x01, 0x80, 0x89, 0x8a, 0x82, 0xff]), 0x84, 0, 0, 0, 0, b'{', b'}', b' ', b' '];
        bytes.truncate(1 + random.below(bytes.len()));
        let mut input = &bytes[..];
        while let Some(inbound) = next(&mut client.parser, &mut input) {
            self.shard.inbound(client.id, inbound);
        }
    }

    fn replay(&mut self, random: &mut Random) {
        for batch in self.replays.pump(random) {
            self.shard.replayed(batch);
        }
    }

    /// Lets everything that is under way come to its end, with everybody reading.
    pub fn settle(&mut self) {
        self.hear_of_the_restart();
        for client in &mut self.clients {
            client.reads = Reads::All;
            client.give_room(ALL);
        }
        for _ in 0..1000 {
            self.read_live(usize::MAX);
            for client in &self.clients {
                self.shard.unblocked(client.id);
            }
            for batch in self.replays.pump_all() {
                self.shard.replayed(batch);
            }
            while self.shard.turn() {}
            self.shard.take_blocked();
            self.time_passes(100);
            self.look_around();
        }
    }

    pub fn assert_everybody_is_up_to_date(&self) {
        let end = self.topic.end();
        for client in self.clients.iter().filter(|client| client.is_open()) {
            client.assert_up_to(&end);
        }
    }

    /// Everybody leaves: no place, no view, no replay and no share of a limit is kept.
    pub fn assert_nothing_is_left(&mut self) {
        for client in self.clients.drain(..) {
            self.shard.gone(client.id);
        }
        self.time_passes(TICK_MS);
        self.time_passes(TICK_MS);
        let left = (self.shard.len(), self.limiter.connections(), self.replays.len());
        assert_eq!(left, (0, 0, 0), "clients, permits and replays are left");
        let StreamMetrics { connections, views, log_bytes, .. } = &self.metrics;
        assert_eq!(connections.get(), 0, "the gauge of connections: {views:?} {log_bytes:?}");
        let Budgets { logs, outboxes, replays, relays, filters } = &self.settings.budgets;
        let used = [logs, outboxes, replays, relays, filters].map(|budget| budget.used());
        assert_eq!(used, [0; 5], "bytes of logs, outboxes, replays and relays, or comparisons, are left");
    }
}

fn next(parser: &mut Parser, input: &mut &[u8]) -> Option<Result<Inbound, headgate_wire::CloseReason>> {
    parser.next_message(input).transpose()
}

fn filters(filtered: bool) -> Vec<Filter> {
    if filtered { vec![Filter::exact("subject", WANTED)] } else { Vec::new() }
}
