//! What the live source tells the shards, and where a client begins in it.

use super::entry::{Entry, Gap};
use super::position::Position;
use std::sync::Arc;

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
