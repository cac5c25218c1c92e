//! Where a client's bytes go: a TCP socket of our own, or a bounded relay to a task that owns the connection.
//!
//! Plain connections are taken over from the HTTP server, so that one write costs one system call. TLS connections and
//! server-sent events stay with their tasks and get the same bytes through a relay. Never blocks.

use crate::fanout::budget::{Budget, Share};
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Largest piece handed to a relay at once, in bytes.
const RELAY_CHUNK_BYTES: usize = 64 * 1024;
/// The same while more than half of the pod's budget of relays is used, in bytes: then a relay holds one such piece.
const TIGHT_CHUNK_BYTES: usize = 4 * 1024;
/// Pieces that a relay holds before its client counts as blocked.
pub const RELAY_CHUNKS: usize = 4;

/// A future that ends when a socket can take bytes again, or never will.
pub type Writable = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a shard needs of a connection.
pub trait ClientSocket: fmt::Debug {
    /// Writes what fits, at once. `WouldBlock` if nothing does.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Waits until [`ClientSocket::try_write`] is worth another try.
    fn writable(&self) -> Writable;
    /// Ends the connection in both directions, whatever is still unsent.
    fn shutdown(&self);
}

/// The real connections.
#[derive(Debug, Clone)]
pub enum Socket {
    /// A socket of our own.
    Tcp(Arc<TcpStream>),
    /// A task that writes for us.
    Relay(Relay),
}

/// The way to a task that owns a connection.
#[derive(Debug, Clone)]
pub struct Relay {
    /// Takes pieces of what is to be written.
    pub chunks: mpsc::Sender<Bytes>,
    /// Tells the task that the client is forgotten.
    pub forgotten: CancellationToken,
    /// Where the pieces count until they are written.
    pub budget: Arc<Budget>,
}

/// A piece on its way to the task, and what it uses of the budget.
#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    _memory: Share,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Relay {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let is_empty = self.chunks.capacity() == self.chunks.max_capacity();
        let most = if self.budget.is_tight() { TIGHT_CHUNK_BYTES } else { RELAY_CHUNK_BYTES };
        if self.budget.is_tight() && !is_empty {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match self.chunks.try_reserve() {
            Ok(permit) => {
                let piece = &bytes[..bytes.len().min(most)];
                let mut share = self.budget.share();
                share.set(piece.len());
                permit.send(Bytes::from_owner(Chunk { bytes: piece.to_vec(), _memory: share }));
                Ok(piece.len())
            }
            Err(mpsc::error::TrySendError::Full(())) => Err(io::ErrorKind::WouldBlock.into()),
            Err(mpsc::error::TrySendError::Closed(())) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits for a place, or while the budget is tight, until the task has taken everything.
    async fn writable(self) {
        let places = if self.budget.is_tight() { self.chunks.max_capacity() } else { 1 };
        let _ = self.chunks.reserve_many(places).await;
    }
}

impl ClientSocket for Socket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            // Straight to the system; only after tokio's own try has failed, its `writable` waits.
            Self::Tcp(stream) => match socket2::SockRef::from(stream.as_ref()).send(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.try_write(bytes),
                done => done,
            },
            Self::Relay(relay) => relay.try_write(bytes),
        }
    }

    fn writable(&self) -> Writable {
        match self.clone() {
            Self::Tcp(stream) => Box::pin(async move {
                // An error shows again, with its kind, at the next write.
                let _ = stream.writable().await;
            }),
            Self::Relay(relay) => Box::pin(relay.writable()),
        }
    }

    fn shutdown(&self) {
        match self {
            Self::Tcp(stream) => {
                // Wakes the reader and any waiting writer; it fails only if the peer was faster.
                let _ = socket2::SockRef::from(stream.as_ref()).shutdown(std::net::Shutdown::Both);
            }
            // The task may be stuck in a write that never ends.
            Self::Relay(relay) => relay.forgotten.cancel(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_of_clients_that_take_nothing_stay_within_the_budget_and_give_it_back() {
        let budget = Budget::new(1024 * 1024);
        let bytes = vec![0; 8 * 1024 * 1024];
        let mut tasks = Vec::new();
        for _ in 0..100 {
            let (chunks, task) = mpsc::channel(RELAY_CHUNKS);
            let relay = Relay { chunks, forgotten: CancellationToken::new(), budget: budget.clone() };
            while relay.try_write(&bytes).is_ok() {}
            tasks.push(task);
        }
        // Nobody is left without a piece.
        assert!(tasks.iter().all(|task| !task.is_empty()));
        assert!(budget.used() <= budget.limit() / 2 + RELAY_CHUNK_BYTES + 100 * TIGHT_CHUNK_BYTES);
        drop(tasks);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_relay_that_must_wait_for_the_budget_is_not_writable_before_its_task_has_taken_everything() {
        let budget = Budget::new(1024);
        let mut others = budget.share();
        others.set(1000);
        let (chunks, mut task) = mpsc::channel(RELAY_CHUNKS);
        let relay = Relay { chunks, forgotten: CancellationToken::new(), budget };
        assert!(relay.try_write(b"one").is_ok());
        assert!(relay.try_write(b"two").is_err());
        let writable = relay.clone().writable();
        tokio::pin!(writable);
        assert!(futures_util::poll!(writable.as_mut()).is_pending());
        assert_eq!(task.recv().await.as_deref(), Some(&b"one"[..]));
        writable.await;
        assert!(relay.try_write(b"two").is_ok());
    }
}
