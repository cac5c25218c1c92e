//! Where a client begins: from what it asks for to a position that every partition understands.
//!
//! The position is taken before the client is answered, so that nothing produced after the answer can be missed.

use crate::endpoint::Endpoint;
use crate::rejection::{Rejection, RejectionKind};
use crate::request::StartPosition;
use crate::source::{Lookup, LookupError};
use crate::stream::entry::Gap;
use crate::stream::feed::Beginning;
use crate::stream::position::Position;
use headgate_wire::Cursor;
use headgate_wire::config;
use headgate_wire::message::GapReason;

impl Endpoint {
    /// Resolves what a client asks for; asks the brokers only if it must.
    ///
    /// # Errors
    /// 503 if only the brokers know, and they do not answer.
    pub async fn resolve(&self, from: Option<StartPosition>) -> Result<Beginning, Rejection> {
        let lookup = &self.source.lookup;
        let (now, generation) = self.source.status.standing();
        let begin = |position| Beginning { position, resumed: false, gaps: Vec::new(), generation };
        let from = from.unwrap_or(match self.config.wire.stream.start {
            config::Start::Latest => StartPosition::Latest,
            config::Start::Earliest => StartPosition::Earliest,
        });
        Ok(match from {
            StartPosition::Latest => begin(now),
            StartPosition::Earliest => begin(lookup.watermarks().await.map_err(unavailable)?.low),
            StartPosition::Time(time) => begin(lookup.at_time(time.as_millisecond()).await.map_err(unavailable)?),
            StartPosition::Last(records) => begin(last(lookup, records).await?),
            StartPosition::Cursor(cursor) => self.resume(cursor).await?,
        })
    }

    /// A cursor is taken at its word, unless it is ahead of what this gateway has read: then the brokers say whether
    /// this gateway is behind, or the topic is not the one that the cursor was made for.
    async fn resume(&self, cursor: Cursor) -> Result<Beginning, Rejection> {
        let position = Position::from(cursor);
        let (now, generation) = self.source.status.standing();
        if now.reaches(&position) {
            return Ok(Beginning { position, resumed: true, gaps: Vec::new(), generation });
        }
        let watermarks = self.source.lookup.watermarks().await.map_err(unavailable)?;
        let mut checked = Position::default();
        let mut gaps = Vec::new();
        for (partition, high) in watermarks.high.iter() {
            let next = position.next(partition);
            if next > high {
                let low = watermarks.low.next(partition);
                gaps.push(Gap { partition, from: next, to: low, reason: GapReason::TopicReset });
                checked.set(partition, low);
            } else {
                checked.set(partition, next);
            }
        }
        Ok(Beginning { position: checked, resumed: true, gaps, generation })
    }
}

/// `records` before the end of every partition, or as many as it has.
async fn last(lookup: &Lookup, records: u64) -> Result<Position, Rejection> {
    let watermarks = lookup.watermarks().await.map_err(unavailable)?;
    let back = i64::try_from(records).unwrap_or(i64::MAX);
    let begin = |(partition, high): (i32, i64)| high.saturating_sub(back).max(watermarks.low.next(partition));
    Ok(Position::new(watermarks.high.iter().map(begin).collect()))
}

fn unavailable(error: LookupError) -> Rejection {
    Rejection::new(RejectionKind::Unavailable, format!("cannot find the start position: {error}; try again"))
}
