//! A shard, its clients and its topic, moved step by step.

use super::client::{FakeSocket, TestClient};
use super::topic::{ManualReplays, Topic, WANTED};
use headgate_gateway::auth::Principal;
use headgate_gateway::auth::audit::Audit;
use headgate_gateway::auth::limits::Limiter;
use headgate_gateway::encode::format::{Encoding, Envelope};
use headgate_gateway::encode::frame::Inbound;
use headgate_gateway::fanout::budget::Budgets;
use headgate_gateway::fanout::shard::{Join, Shard, ShardSettings};
use headgate_gateway::fanout::view::ViewSpec;
use headgate_gateway::metrics::Metrics;
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

/// A pod has room for some segments, however small the bound of one log.
const LOG_BUDGET_BYTES: usize = 64 * 1024;
/// Plenty for what the tests do.
const BUDGET_BYTES: usize = 4 << 20;

pub struct World {
    pub topic: Topic,
    pub clients: Vec<TestClient>,
    pub budgets: Budgets,
    shard: Shard<FakeSocket>,
    replays: ManualReplays,
    live: Position,
    generation: u64,
    /// A beginning of which the shard has yet to hear.
    on_its_way: Option<Feed>,
    limiter: Limiter,
    now: u64,
}

impl World {
    pub fn new(recent_bytes: usize, log_bytes: usize, slow_client: SlowClient, max_replays: usize) -> Self {
        Self::with_budgets(recent_bytes, log_bytes, slow_client, max_replays, BUDGET_BYTES)
    }

    /// A pod that lets catching up use this many bytes.
    pub fn with_budgets(
        recent_bytes: usize,
        log_bytes: usize,
        slow_client: SlowClient,
        max_replays: usize,
        budget_bytes: usize,
    ) -> Self {
        let budgets =
            Budgets::of_bytes((log_bytes * 2).max(LOG_BUDGET_BYTES), budget_bytes, budget_bytes, budget_bytes);
        let settings = ShardSettings {
            context: Arc::new(StreamContext::new("topic", "type")),
            recent_bytes,
            view_log_bytes: log_bytes,
            budgets: budgets.clone(),
            shards: 1,
            max_replays,
            max_delay: Duration::ZERO,
            slow_client,
            ping_interval: Duration::from_secs(1),
        };
        let replays = ManualReplays::new(max_replays);
        let shard = Shard::new(settings, Metrics::default().of("app"), Box::new(replays.clone()));
        let live = Position::new(vec![0; super::topic::PARTITIONS]);
        let limits = Limits {
            max_connections: 10_000,
            max_connections_per_address: 10_000,
            handshakes_per_second: 100_000,
            ..Limits::default()
        };
        let (topic, clients, limiter) = (Topic::new(), Vec::new(), Limiter::new(limits));
        let mut world =
            Self { topic, clients, budgets, shard, replays, live, generation: 0, limiter, now: 0, on_its_way: None };
        world.restart_at(world.live.clone());
        world.hear_of_the_restart();
        world
    }

    /// The source begins, or begins again, at a position; the shard has yet to hear of it.
    pub fn restart_at(&mut self, position: Position) {
        let before = std::mem::replace(&mut self.live, position);
        let reset = |(partition, to): (i32, i64)| {
            let from = before.next(partition);
            (from > to).then_some(Gap { partition, from, to, reason: GapReason::TopicReset })
        };
        let gaps = self.live.iter().filter_map(reset).collect();
        self.generation += 1;
        self.on_its_way = Some(Feed::Restart(self.live.clone(), gaps));
    }

    pub fn hear_of_the_restart(&mut self) {
        if let Some(restart) = self.on_its_way.take() {
            self.shard.feed(restart);
        }
    }

    pub fn read_live(&mut self, records: usize) {
        let entries = self.topic.read(&mut self.live, records);
        if !entries.is_empty() {
            self.shard.feed(Feed::Entries(entries.into()));
        }
    }

    pub fn connect_latest(&mut self, filtered: bool) {
        self.connect(self.live.clone(), false, filtered);
    }

    pub fn connect_earliest(&mut self, filtered: bool) {
        self.connect(self.topic.low(), false, filtered);
    }

    pub fn connect_at(&mut self, next: Vec<i64>) {
        self.connect(Position::new(next), true, false);
    }

    /// The client is gone; somebody comes back with its last cursor.
    pub fn resume(&mut self, client: usize) {
        let Some(old) = self.clients.get(client) else { return };
        let (Some(position), filtered) = (old.cursor.clone(), old.filtered) else { return };
        self.disconnect(client);
        self.connect(position, true, filtered);
    }

    /// Where the source stands: what a client without a cursor is admitted with.
    pub fn standing(&self) -> Beginning {
        Beginning { position: self.live.clone(), resumed: false, gaps: Vec::new(), generation: self.generation }
    }

    fn connect(&mut self, position: Position, resumed: bool, filtered: bool) {
        self.connect_with(Beginning { position, resumed, ..self.standing() }, filtered);
    }

    pub fn connect_with(&mut self, start: Beginning, filtered: bool) {
        let socket = FakeSocket::default();
        let position = start.position.clone();
        let encoding = Encoding { format: Format::Raw, envelope: Envelope::HeadgateV1, kafka_metadata: false };
        let id = self.shard.join(Join {
            socket: socket.clone(),
            spec: ViewSpec::new(filters(filtered), None, encoding),
            enforced: Arc::from([]),
            start,
            session: SessionSettings {
                dialect: Dialect::HeadgateV1,
                idle_timeout_ms: u64::MAX / 4,
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
        self.clients.push(TestClient::new(id, socket, filtered, position));
    }

    pub fn give_room(&mut self, client: usize, bytes: usize) {
        let Some(client) = self.clients.get(client) else { return };
        client.give_room(bytes);
        self.shard.unblocked(client.id);
    }

    /// Its socket takes nothing any more.
    pub fn take_room(&mut self, client: usize) {
        self.clients[client].take_room();
    }

    pub fn give_all_room(&mut self) {
        for client in 0..self.clients.len() {
            self.give_room(client, 1 << 20);
        }
    }

    pub fn disconnect(&mut self, client: usize) {
        let Some(client) = self.clients.get_mut(client) else { return };
        client.disconnected = true;
        self.shard.gone(client.id);
    }

    /// The client sends something that is answered.
    pub fn ask(&mut self, client: usize) {
        let id = self.clients[client].id;
        let text = format!(r#"{{"type":"nonsense","id":"{}"}}"#, "x".repeat(100));
        self.shard.inbound(id, Ok(Inbound::Text(text)));
    }

    /// The client asks for a filter of 64 comparisons that no index knows, different from any other client's.
    pub fn ask_for_a_costly_filter(&mut self, client: usize) {
        let leaf = |leaf: usize| serde_json::json!({ "suffix": { "subject": format!("{client}-{leaf}") } });
        let leaves: Vec<_> = (0..64).map(leaf).collect();
        let message = serde_json::json!({ "type": "filter", "filters": [{ "not": { "any": leaves } }] });
        self.shard.inbound(self.clients[client].id, Ok(Inbound::Text(message.to_string())));
    }

    /// A quarter of a second in which replays and the shard do what they can.
    pub fn quarter(&mut self) {
        self.tick(250);
        for _ in 0..8 {
            self.replay(1);
            while self.shard.turn() {}
            self.shard.take_blocked();
        }
        self.collect();
    }

    pub fn change_filter(&mut self, client: usize, filtered: bool) {
        let Some(client) = self.clients.get_mut(client).filter(|client| client.is_open()) else { return };
        client.filter_changed(filtered);
        let filters = serde_json::to_string(&filters(filtered)).unwrap();
        let message = format!(r#"{{"type":"filter","filters":{filters}}}"#);
        self.shard.inbound(client.id, Ok(Inbound::Text(message)));
    }

    pub fn turn(&mut self, times: usize) {
        for _ in 0..times {
            self.shard.turn();
        }
        self.shard.take_blocked();
    }

    pub fn replay(&mut self, batches: usize) {
        for _ in 0..batches {
            for batch in self.replays.pump(&self.topic) {
                self.shard.replayed(batch);
            }
        }
    }

    /// Replays wait for Kafka, and give back the credits that they took to see whether they are still wanted.
    pub fn replays_wait(&mut self) {
        for batch in self.replays.return_credits() {
            self.shard.replayed(batch);
        }
    }

    pub fn tick(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.shard.set_time(Millis(self.now));
        self.shard.tick();
    }

    pub fn collect(&mut self) {
        for client in &mut self.clients {
            client.collect();
        }
    }

    /// Lets everything that is under way come to its end.
    pub fn settle(&mut self) {
        for _ in 0..600 {
            self.read_live(usize::MAX);
            self.give_all_room();
            self.replay(2);
            while self.shard.turn() {}
            self.shard.take_blocked();
            self.tick(100);
        }
        self.collect();
    }

    pub fn assert_everybody_is_up_to_date(&mut self) {
        let end = self.topic.end();
        for client in self.clients.iter_mut().filter(|client| client.is_open()) {
            client.assert_up_to(&end);
        }
    }
}

fn filters(filtered: bool) -> Vec<Filter> {
    if filtered { vec![Filter::exact("subject", WANTED)] } else { Vec::new() }
}
