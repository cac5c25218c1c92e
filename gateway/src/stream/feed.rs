//! What the live source tells the shards, and where a client begins in it.

use super::entry::{Entry, Gap};
use super::position::Position;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};

/// Counts how often the stream has begun ([`Feed::Restart`]), 0 before the first time. The source and each shard count
/// for themselves: a shard may still have to hear of the last beginning.
pub type Generation = u64;

/// What the live source tells every shard.
#[derive(Debug, Clone)]
pub enum Feed {
    /// The stream begins, or begins again, at this position. The gaps say what was left out.
    Restart(Position, Arc<[Gap]>),
    /// The next steps, in order.
    Entries(Arc<[Entry]>),
}

/// Where a client begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// First offsets that the client wants; records before them are not wanted.
    pub position: Position,
    /// True if the position is the client's own cursor.
    pub resumed: bool,
    /// What is already known to be missing.
    pub gaps: Vec<Gap>,
    /// The generation of the stream that the position belongs to.
    pub generation: Generation,
}

/// Where the live source puts what it tells one shard: a bounded queue whose reader may let it fill for a while.
#[derive(Debug, Clone)]
pub struct FeedSender {
    queue: mpsc::Sender<Feed>,
    full: Arc<Notify>,
}

/// The other end of a [`FeedSender`].
#[derive(Debug)]
pub struct FeedReceiver {
    queue: mpsc::Receiver<Feed>,
    full: Arc<Notify>,
}

/// What a reader waited for.
#[derive(Debug)]
pub enum Next {
    /// The next feed.
    Feed(Feed),
    /// The source waits, or would with its next feed.
    Full,
    /// The source is gone.
    End,
}

/// The reader is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// A queue for `capacity` feeds.
pub fn channel(capacity: usize) -> (FeedSender, FeedReceiver) {
    let (sender, receiver) = mpsc::channel(capacity);
    let full = Arc::new(Notify::new());
    (FeedSender { queue: sender, full: full.clone() }, FeedReceiver { queue: receiver, full })
}

impl FeedSender {
    /// Puts a feed into the queue; blocks while it is full.
    pub fn send_blocking(&self, feed: Feed) -> Result<(), Closed> {
        self.notify_if_full();
        self.queue.blocking_send(feed).map_err(|_| Closed)
    }

    /// The same for tasks.
    pub async fn send(&self, feed: Feed) -> Result<(), Closed> {
        self.notify_if_full();
        self.queue.send(feed).await.map_err(|_| Closed)
    }

    fn notify_if_full(&self) {
        if self.queue.capacity() == 0 {
            self.full.notify_one();
        }
    }
}

impl FeedReceiver {
    /// Waits for the next feed, or if it shall not be taken yet, until the source waits.
    pub async fn next(&mut self, take: bool) -> Next {
        if take {
            return self.queue.recv().await.map_or(Next::End, Next::Feed);
        }
        self.full.notified().await;
        Next::Full
    }

    /// The next feed, if there is one.
    pub fn try_recv(&mut self) -> Option<Feed> {
        self.queue.try_recv().ok()
    }

    /// True if the source waits, or would with its next feed.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= self.queue.max_capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_lets_its_queue_fill_hears_when_the_source_waits() {
        let (sender, mut receiver) = channel(2);
        let feed = || Feed::Entries(Arc::from([]));
        for _ in 0..2 {
            sender.send(feed()).await.unwrap();
        }
        let waiting = tokio::spawn(async move { sender.send(feed()).await });
        assert!(matches!(receiver.next(false).await, Next::Full));
        for _ in 0..3 {
            assert!(matches!(receiver.next(true).await, Next::Feed(_)));
        }
        waiting.await.unwrap().unwrap();
        assert!(matches!(receiver.next(true).await, Next::End));
    }
}
