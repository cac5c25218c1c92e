//! Reading older records: what a shard asks for, and what it gets. [`Replays`] is implemented where Kafka is known.

use super::entry::Entry;
use super::position::Position;
use std::fmt;

/// Starts replays; the answers arrive as [`ReplayBatch`]es through the channel that they were given.
pub trait Replays: fmt::Debug + Send {
    /// Starts one, or gives the request back if as many as allowed are running.
    fn start(&self, request: ReplayRequest) -> Result<(), ReplayRequest>;
}

/// A range of older records.
#[derive(Debug)]
pub struct ReplayRequest {
    /// Comes back with every batch.
    pub id: u64,
    /// First offsets to read. There is no end: the shard drops its credits when it has enough.
    pub start: Position,
    /// One message allows one batch; when the other end is gone, the replay stops.
    pub credits: std::sync::mpsc::Receiver<()>,
}

/// What a replay read.
#[derive(Debug)]
pub struct ReplayBatch {
    /// Of which request.
    pub id: u64,
    /// In order.
    pub steps: Vec<ReplayStep>,
    /// True if nothing follows, although somebody may still read: the replay could not go on.
    pub ended: bool,
}

/// One step of a replay.
#[derive(Debug)]
pub enum ReplayStep {
    /// A record, or what retention has taken.
    Entry(Entry),
    /// Everything that this partition held when the replay was asked for has been read.
    CaughtUp(i32),
}
