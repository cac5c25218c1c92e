//! A client that must not miss anything: it comes back with its cursor whenever its connection ends.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use headgate_tests::client::{Client, Seen};
use headgate_tests::wait::eventually_ok;
use headgate_wire::ServerMessage;
use headgate_wire::endpoints::SUBPROTOCOL_HEADGATE;
use tokio::task::JoinHandle;

use super::stage::PATIENCE;

/// A stream that says nothing for so long, while records are produced, has died without a word.
const SILENCE: Duration = Duration::from_secs(5);
/// Between two attempts to connect.
const RETRY: Duration = Duration::from_millis(100);

/// A client in the background.
pub(crate) struct Follower {
    seen: Arc<Mutex<Seen>>,
    connections: Arc<AtomicU32>,
    task: JoinHandle<Result<()>>,
}

impl Follower {
    /// Starts one and waits until its stream is open.
    pub(crate) async fn start(url: &str, key: &str) -> Result<Self> {
        let (seen, connections) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicU32::new(0)));
        let task = tokio::spawn(follow(url.to_owned(), key.to_owned(), seen.clone(), connections.clone()));
        let follower = Self { seen, connections, task };
        eventually_ok("a follower's stream to open", PATIENCE, async || {
            ensure!(follower.seen().cursor.is_some(), "it has no cursor yet");
            Ok(())
        })
        .await?;
        Ok(follower)
    }

    /// Waits until it has seen this many records. Gives the number of its connections.
    pub(crate) async fn finish(self, records: usize) -> Result<u32> {
        let outcome = eventually_ok(format!("{records} records"), PATIENCE, async || {
            let seen = self.seen();
            ensure!(!self.task.is_finished() || seen.records() >= records, "the follower gave up");
            ensure!(seen.records() >= records, "it has seen {}", seen.records());
            Ok(())
        });
        let outcome = outcome.await;
        self.task.abort();
        if let Ok(Err(error)) = self.task.await {
            return Err(error);
        }
        outcome?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ensure!(seen.gaps.is_empty(), "gaps: {:?}", seen.gaps);
        ensure!(seen.records() == records, "{} records instead of {records}", seen.records());
        Ok(self.connections.load(Ordering::Relaxed))
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Ends with an error if a record is missing, comes twice or out of order.
async fn follow(url: String, key: String, seen: Arc<Mutex<Seen>>, connections: Arc<AtomicU32>) -> Result<()> {
    let authorization = format!("Bearer {key}");
    loop {
        let cursor = seen.lock().unwrap_or_else(PoisonError::into_inner).cursor.clone();
        let from = cursor.map_or_else(|| url.clone(), |cursor| format!("{url}?from={cursor}"));
        let headers = [("sec-websocket-protocol", SUBPROTOCOL_HEADGATE), ("authorization", authorization.as_str())];
        let opened = tokio::time::timeout(SILENCE, Client::try_connect(&from, &headers)).await;
        let Ok(Ok(Ok(mut client))) = opened else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        connections.fetch_add(1, Ordering::Relaxed);
        while let Some(message) = next(&mut client).await? {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            // A gap would hide the loss that this client is here to notice.
            ensure!(!matches!(message, ServerMessage::Gap { .. }), "a gap: {message:?}");
            seen.take(&message)
                .map_err(|error| anyhow!("connection {}: {error}", connections.load(Ordering::Relaxed)))?;
        }
    }
}

/// The next message; `None` when the connection has ended, or as good as.
async fn next(client: &mut Client) -> Result<Option<ServerMessage>> {
    match tokio::time::timeout(SILENCE, client.message()).await {
        Ok(Ok(Ok(message))) => Ok(Some(message)),
        Ok(Ok(Err(_))) | Err(_) => Ok(None),
        Ok(Err(error)) => Err(error).context("a follower's stream"),
    }
}
