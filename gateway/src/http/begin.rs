//! Where a client begins: from what it asks for to a position that every partition understands.
//!
//! The position is taken before the client is answered, so that nothing produced after the answer can be missed.

use crate::endpoint::Endpoint;
use crate::rejection::{Rejection, RejectionKind};
use crate::request::StartPosition;
use crate::source::LookupError;
use crate::stream::continuity;
use crate::stream::feed::Beginning;
use crate::stream::position::Position;
use headgate_wire::Cursor;
use headgate_wire::config;
use headgate_wire::cursor::Seen;

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

    /// A cursor that agrees with what this gateway has read lately is taken at its word. Any other is compared with what
    /// Kafka holds there: the topic may not be the one that the cursor was made for, or have lost its end.
    async fn resume(&self, cursor: Cursor) -> Result<Beginning, Rejection> {
        let mut position = Position::from(cursor);
        let status = &self.source.status;
        let (_, generation) = status.standing();
        if status.agrees_with(&position) {
            position.topic = status.topic();
            return Ok(Beginning { position, resumed: true, gaps: Vec::new(), generation });
        }
        let evidence = |position| self.source.lookup.evidence(position);
        let logs = evidence(position.clone()).await.map_err(unavailable)?;
        let (mut position, gaps) = continuity::continued(&position, &logs, status.topic());
        if !gaps.is_empty() {
            // From now on the client is known by what it goes on after.
            let mut parted = Position::default();
            for gap in &gaps {
                parted.set_after(gap.partition, gap.to, Seen { check: 1, time_ms: 0 });
            }
            let logs = evidence(parted).await.map_err(unavailable)?;
            for gap in &gaps {
                if let Some(before) = logs.get(gap.partition as usize).copied().flatten().and_then(|log| log.before) {
                    position.set_after(gap.partition, gap.to, before);
                }
            }
        }
        Ok(Beginning { position, resumed: true, gaps, generation })
    }
}

fn unavailable(error: LookupError) -> Rejection {
    Rejection::new(RejectionKind::Unavailable, format!("cannot find the start position: {error}; try again"))
}
