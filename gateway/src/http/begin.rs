//! Where a client begins: from what it asks for to a position that every partition understands.
//!
//! The position is taken before the client is answered, so that nothing produced after the answer can be missed.

use crate::endpoint::Endpoint;
use crate::rejection::{Rejection, RejectionKind};
use crate::request::StartPosition;
use crate::source::{LookupError, Watermarks};
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
            StartPosition::Earliest => {
                let watermarks = lookup.watermarks().await.map_err(unavailable)?;
                // A partition for which nobody answers begins with the first record that it still has.
                begin(Position::new(watermarks.iter().map(|marks| marks.map_or(0, |marks| marks.low)).collect()))
            }
            StartPosition::Time(time) => begin(lookup.at_time(time.as_millisecond(), &now).await.map_err(unavailable)?),
            StartPosition::Last(records) => begin(lookup.last(records, &now).await.map_err(unavailable)?),
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
        for (partition, marks) in watermarks.iter().enumerate() {
            let partition = partition as i32;
            let next = position.next(partition);
            // Where nobody answers, the cursor is taken at its word.
            let Watermarks { low, high } = marks.unwrap_or(Watermarks { low: next, high: next });
            if next > high {
                gaps.push(Gap { partition, from: next, to: low, reason: GapReason::TopicReset });
                checked.set(partition, low);
            } else {
                checked.set(partition, next);
            }
        }
        Ok(Beginning { position: checked, resumed: true, gaps, generation })
    }
}

fn unavailable(error: LookupError) -> Rejection {
    Rejection::new(RejectionKind::Unavailable, format!("cannot find the start position: {error}; try again"))
}
