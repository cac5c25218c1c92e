//! The gateway itself in this process: its HTTP side, its admission, its shards; only the records come from here.
//!
//! It reads an empty topic, so that everything that belongs to a gateway runs; the records go where the consumer's
//! records go.

use crate::arguments::Shards;
use crate::order::Order;
use crate::payload;
use crate::server::{Announcement, config};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use headgate_gateway::Config;
use headgate_gateway::endpoint::Endpoint;
use headgate_gateway::http::{Streams, serve};
use headgate_gateway::metrics::Metrics;
use headgate_gateway::stream::entry::Entry;
use headgate_gateway::stream::feed::{Feed, FeedSender};
use headgate_gateway::stream::record::{Record, RecordParts};
use headgate_process::Readiness;
use headgate_wire::config::SlowClient;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A topic that stays empty.
pub const QUIET_TOPIC: &str = "quiet";
/// How often readiness is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Larger than any record here.
const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// Serves until nobody gives orders any more.
pub fn serve(settings: &Shards) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(run(settings))
}

async fn run(settings: &Shards) -> Result<()> {
    let mut wire = config(&settings.bootstrap, QUIET_TOPIC, settings.max_delay);
    if let Some(ring_bytes) = settings.ring_bytes {
        wire.stream.replay.ring_bytes = ring_bytes;
    }
    if settings.skip {
        wire.stream.slow_client = SlowClient::SkipWithGap;
    }
    // Nothing comes from there, so it need not be asked often.
    wire.kafka.properties.0.remove("fetch.wait.max.ms");
    let app = wire.app.clone();
    let config = Config::load(wire, Vec::new())?;
    let endpoint = Arc::new(Endpoint::start(config, 1, Metrics::default().of(&app), Readiness::new().latch("kafka"))?);
    while !endpoint.source.status.has_started() {
        tokio::time::sleep(LOOK).await;
    }
    let listener = serve::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let announcement = Announcement {
        stream: Some(listener.local_addr()?),
        control: Some(control.local_addr()?),
        ..Announcement::default()
    };
    announcement.make()?;
    let feeds = endpoint.feeds();
    let (size, rows) = (settings.size, u64::from(settings.rows));
    let end = CancellationToken::new();
    let ended = end.clone().drop_guard();
    let publisher = std::thread::Builder::new().name("publisher".to_owned()).spawn(move || {
        let _ended = ended;
        let (orders, _) = control.accept()?;
        publish(orders, (size, rows), &feeds)
    })?;
    serve::serve(listener, Streams(Arc::from([endpoint])), None, end).await;
    publisher.join().ok().context("the publisher ended by a panic")?
}

fn publish(mut orders: TcpStream, (size, rows): (usize, u64), feeds: &[FeedSender]) -> Result<()> {
    // A row's bytes are made once: to make them is no work of a gateway's.
    let of_rows = (0..rows).map(|row| Ok(payload::event_of(row, size, 0)?.into())).collect::<Result<Vec<Bytes>>>()?;
    let mut offset = 0;
    while let Some(order) = Order::read(&mut orders)? {
        let same = Bytes::from(payload::event(size, order.stamp)?);
        let entry = |number: usize| {
            let value = if of_rows.is_empty() { &same } else { &of_rows[number % of_rows.len()] };
            let offset = offset + number as i64;
            let parts = RecordParts { offset, value: Some(value.clone()), ..RecordParts::default() };
            Entry::Record(Arc::new(Record::decode(parts, MAX_RECORD_BYTES)))
        };
        let entries: Arc<[Entry]> = (0..order.records as usize).map(entry).collect();
        offset += i64::from(order.records);
        for feed in feeds {
            feed.send_blocking(Feed::Entries(entries.clone())).ok().context("a shard has ended")?;
        }
    }
    Ok(())
}
