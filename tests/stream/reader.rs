//! A client that remembers what it saw, over all of its connections, and notices what is out of order.

use anyhow::{Result, bail, ensure};
use headgate_tests::client::{Client, Closed};
use headgate_wire::ServerMessage;
use headgate_wire::message::GapReason;
use serde_json::Value;
use std::collections::BTreeMap;

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Kafka partition.
    pub partition: i32,
    /// Kafka offset.
    pub offset: i64,
    /// In the format of the connection.
    pub event: Value,
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
        let mut numbers: Vec<i64> = self.events.iter().filter_map(|event| event.event["data"]["n"].as_i64()).collect();
        numbers.sort_unstable();
        numbers
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
                self.events.push(Event { partition, offset, event });
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

/// A connected client.
#[derive(Debug)]
pub struct Reader {
    /// What it saw, also on earlier connections.
    pub history: History,
    /// What its `ready` message said.
    pub resumed: bool,
    client: Client,
}

impl Reader {
    /// Connects and waits for `ready`, which must be the first message.
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(url, History::default()).await
    }

    /// Connects with the cursor of an earlier connection.
    pub async fn resume(url: &str, history: History) -> Result<Self> {
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}from={}", history.cursor);
        Self::open_with(&url, history).await
    }

    async fn open_with(url: &str, mut history: History) -> Result<Self> {
        let mut client = Client::connect(url).await?;
        let (cursor, resumed) = client.ready().await?;
        history.cursor = cursor;
        Ok(Self { history, resumed, client })
    }

    /// Reads one message.
    ///
    /// # Errors
    /// If the connection ends, nothing comes in time, or what comes is out of order.
    pub async fn read(&mut self) -> Result<()> {
        match self.client.message().await? {
            Ok(message) => self.history.take(message),
            Err(Closed { code, reason }) => bail!("closed with {code} {reason}"),
        }
    }

    /// Reads until `count` events were seen in all.
    pub async fn events(&mut self, count: usize) -> Result<()> {
        while self.history.events.len() < count {
            self.read().await?;
        }
        ensure!(self.history.events.len() == count, "{} events instead of {count}", self.history.events.len());
        Ok(())
    }

    /// Reads until `count` gaps were seen in all.
    pub async fn gaps(&mut self, count: usize) -> Result<()> {
        while self.history.gaps.len() < count {
            self.read().await?;
        }
        Ok(())
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
