//! A client that remembers what it saw, over all of its connections, and notices what is out of order.

use anyhow::{Context as _, Result, bail, ensure};
use headgate_tests::client::{Client, Closed};
use headgate_tests::wait::eventually_ok;
use headgate_wire::ServerMessage;
use headgate_wire::message::GapReason;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use tokio::time::timeout;

/// How long it may take until everything was seen. Pings keep a connection alive for ever.
const DEADLINE: Duration = Duration::from_mins(1);
/// Missing numbers that an error names.
const NAMED: usize = 20;

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Kafka partition.
    pub partition: i32,
    /// Kafka offset.
    pub offset: i64,
    /// In the format of the connection.
    pub content: Value,
}

/// Partition, first missing offset, first offset that is there again, reason.
pub type Gap = (i32, i64, i64, GapReason);

/// What one client saw.
#[derive(Debug, Default, Clone)]
pub struct History {
    /// Events in the order of arrival.
    pub events: Vec<Event>,
    /// Gaps in the order of arrival.
    pub gaps: Vec<Gap>,
    /// The last cursor.
    pub cursor: String,
    /// Next offset that may come, by partition.
    next: BTreeMap<i32, i64>,
}

impl History {
    /// The numbers in the data of the events, sorted: what came twice is there twice.
    pub fn numbers(&self) -> Vec<i64> {
        let mut numbers: Vec<i64> =
            self.events.iter().filter_map(|event| event.content["data"]["n"].as_i64()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Numbers below the highest one that were not seen.
    fn missing(&self) -> impl Iterator<Item = i64> {
        let seen: BTreeSet<i64> = self.numbers().into_iter().collect();
        let highest = seen.last().copied().unwrap_or(-1);
        (0..highest).filter(move |number| !seen.contains(number))
    }

    /// Takes a message in.
    ///
    /// # Errors
    /// If an event comes twice or before an earlier one of its partition.
    pub fn take(&mut self, message: ServerMessage) -> Result<()> {
        match message {
            ServerMessage::Event { cursor, partition, offset, event } => {
                let next = self.next.insert(partition, offset + 1).unwrap_or(0);
                ensure!(offset >= next, "partition {partition}: {offset} came where {next} or later was due");
                self.events.push(Event { partition, offset, content: event });
                self.cursor = cursor.unwrap_or_else(|| std::mem::take(&mut self.cursor));
            }
            ServerMessage::Gap { partition, from, to, reason } => {
                self.gaps.push((partition, from, to, reason));
                self.next.insert(partition, to);
            }
            ServerMessage::Ready { cursor, .. } | ServerMessage::Cursor { cursor } => self.cursor = cursor,
            other => bail!("unexpected {other:?}"),
        }
        Ok(())
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, gaps, cursor, next } = self;
        let missing: Vec<i64> = self.missing().take(NAMED).collect();
        write!(f, "{} events, the gaps {gaps:?}, the cursor {cursor}, the next offsets {next:?}", events.len())?;
        write!(f, ", and without the numbers {missing:?}")
    }
}

/// A connected client.
#[derive(Debug)]
pub struct Reader {
    /// What it saw, also on earlier connections.
    pub history: History,
    /// What its `ready` message said.
    pub resumed: bool,
    /// Where it is connected.
    url: String,
    client: Client,
}

impl Reader {
    /// Connects and waits for `ready`, which must be the first message.
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(url, History::default()).await
    }

    /// Connects with the cursor of an earlier connection.
    pub async fn resume(url: &str, history: History) -> Result<Self> {
        Self::open_with(&from(url, &history), history).await
    }

    /// Does so with each of these gateways in turn, until one of them lets it in.
    pub async fn resume_at_any(urls: &[String], history: History) -> Result<Self> {
        let mut urls = urls.iter().cycle();
        let what = format!("a gateway that lets a client go on that saw {history}");
        let mut reader = eventually_ok(what, DEADLINE, async || {
            let url = urls.next().context("no gateway is given")?;
            Self::open_with(&from(url, &history), History::default()).await
        })
        .await?;
        let cursor = std::mem::take(&mut reader.history.cursor);
        reader.history = History { cursor, ..history };
        Ok(reader)
    }

    async fn open_with(url: &str, mut history: History) -> Result<Self> {
        let mut client = Client::connect(url).await?;
        let (cursor, resumed) = client.ready().await?;
        history.cursor = cursor;
        Ok(Self { history, resumed, url: url.to_owned(), client })
    }

    /// Reads until `done` says that everything was seen.
    ///
    /// # Errors
    /// If the connection ends, that takes too long, or something comes out of order.
    pub async fn until(&mut self, done: impl Fn(&History) -> bool) -> Result<()> {
        match self.until_closed_or(done).await? {
            None => Ok(()),
            Some(Closed { code, reason }) => bail!("closed with {code} {reason}"),
        }
    }

    /// Reads until `done`, or until the connection ends, however it does.
    ///
    /// # Errors
    /// If that takes too long, or something comes out of order.
    pub async fn until_closed_or(&mut self, done: impl Fn(&History) -> bool) -> Result<Option<Closed>> {
        let reading = async {
            while !done(&self.history) {
                match self.client.message().await? {
                    Ok(message) => self.history.take(message)?,
                    Err(closed) => return Ok(Some(closed)),
                }
            }
            Ok(None)
        };
        let outcome = timeout(DEADLINE, reading).await.unwrap_or_else(|_| bail!("not seen in {DEADLINE:?}"));
        outcome.with_context(|| format!("a client of {} has seen {} so far", self.url, self.history))
    }

    /// Reads until `count` events were seen in all.
    pub async fn events(&mut self, count: usize) -> Result<()> {
        self.until(|history| history.events.len() >= count).await?;
        ensure!(self.history.events.len() == count, "{} events instead of {count}", self.history.events.len());
        Ok(())
    }

    /// Reads until `count` gaps were seen in all.
    pub async fn gaps(&mut self, count: usize) -> Result<()> {
        self.until(|history| history.gaps.len() >= count).await
    }

    /// Sends a message.
    pub async fn send(&mut self, text: &str) -> Result<()> {
        self.client.send(text).await
    }

    /// Ends the connection without a word.
    pub fn cut(self) -> History {
        self.history
    }
}

/// The address at which a client goes on.
fn from(url: &str, history: &History) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}from={}", history.cursor)
}
