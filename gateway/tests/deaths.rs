//! A shard that panics: it is noticed, and its clients are told.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use headgate_gateway::Config;
use headgate_gateway::auth::audit::Audit;
use headgate_gateway::auth::limits::Limiter;
use headgate_gateway::auth::{Authenticator, Principal};
use headgate_gateway::encode::format::{Encoding, Envelope};
use headgate_gateway::fanout::budget::Budgets;
use headgate_gateway::fanout::shard::ShardSettings;
use headgate_gateway::fanout::shard::run::{Admitted, Arrival, Command, ShardHandle};
use headgate_gateway::fanout::view::ViewSpec;
use headgate_gateway::metrics::Metrics;
use headgate_gateway::session::Dialect;
use headgate_gateway::stream::feed::{Beginning, Feed};
use headgate_gateway::stream::position::Position;
use headgate_gateway::stream::record::StreamContext;
use headgate_gateway::stream::replay::{ReplayRequest, Replays};
use headgate_gateway::supervision::Supervision;
use headgate_wire::config::{Format, Limits, SlowClient};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

/// The fault.
#[derive(Debug)]
struct Faulty;

impl Replays for Faulty {
    fn start(&self, _: ReplayRequest) -> Result<(), ReplayRequest> {
        panic!("on purpose")
    }
}

fn settings() -> ShardSettings {
    ShardSettings {
        context: Arc::new(StreamContext::new("topic", "type")),
        recent_bytes: 1 << 20,
        view_log_bytes: 1 << 20,
        budgets: Budgets::of_bytes(1 << 20, 1 << 20, 1 << 20, 1 << 20),
        shards: 1,
        max_replays: 1,
        max_delay: Duration::ZERO,
        slow_client: SlowClient::Disconnect,
        ping_interval: Duration::from_secs(25),
    }
}

fn admitted(limiter: &Limiter, from: i64) -> Admitted {
    let encoding = Encoding { format: Format::Raw, envelope: Envelope::HeadgateV1, kafka_metadata: false };
    Admitted {
        limits: Limits::default(),
        dialect: Dialect::HeadgateV1,
        expires_at: None,
        spec: ViewSpec::new(Vec::new(), None, encoding),
        enforced: Arc::from([]),
        start: Beginning { position: Position::new(vec![from]), resumed: false, gaps: Vec::new(), generation: 1 },
        principal: Principal::Anonymous,
        permit: limiter.admit(Ipv4Addr::LOCALHOST.into()).unwrap(),
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
    }
}

async fn join(shard: &ShardHandle, limiter: &Limiter, from: i64) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let served = listener.accept().await.unwrap().0.into_std().unwrap();
    let arrival = Arrival::Tcp(served, Bytes::new());
    shard.commands.send(Command::Join(arrival, Box::new(admitted(limiter, from)))).await.unwrap();
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_panics_is_noticed_and_its_clients_are_closed_with_1011() {
    let yaml = "app: app\nkafka: {bootstrapServers: 'kafka:9092', topic: topic}\nauth: {mode: None}\n\
        publicAccess: {anonymous: true}";
    let config = Config::load(Config::parse_yaml(yaml).unwrap(), Vec::new()).unwrap();
    let supervision = Supervision::default();
    let shard = ShardHandle::spawn(
        supervision.alive("shard"),
        settings(),
        Metrics::default().of("app"),
        Arc::new(Authenticator::new(&config)),
        |_| Box::new(Faulty),
    )
    .unwrap();
    let limiter = Limiter::new(Limits::default());
    // What the shard has in memory begins at 10.
    shard.feed.send(Feed::Restart(Position::new(vec![10]), Arc::from([]))).await.unwrap();
    let mut streaming = join(&shard, &limiter, 10).await;
    let mut ready = vec![0; 2];
    timeout(SOON, streaming.read_exact(&mut ready)).await.unwrap().unwrap();
    let mut rest = vec![0; usize::from(ready[1])];
    timeout(SOON, streaming.read_exact(&mut rest)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("ready"));

    let _fatal = join(&shard, &limiter, 0).await;
    timeout(SOON, supervision.death()).await.unwrap();
    let mut last = Vec::new();
    timeout(SOON, streaming.read_to_end(&mut last)).await.unwrap().unwrap();
    assert_eq!((last[0], u16::from_be_bytes([last[2], last[3]])), (0x88, 1011), "{last:?}");
    assert_eq!(limiter.connections(), 0, "their places are free");
}
