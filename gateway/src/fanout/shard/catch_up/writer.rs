//! Encodes steps for one client that catches up.

use crate::encode::encoder::{Encoder, Outcome};
use crate::fanout::shard::client::CatchUp;
use crate::fanout::shard::outbox::Outbox;
use crate::fanout::view::ViewSpec;
use crate::stream::entry::{Entry, Gap};
use crate::stream::position::Position;
use crate::stream::record::StreamContext;

/// Bytes encoded ahead for one client while the pod's budget has plenty.
const PLENTY_BYTES: usize = 64 * 1024;
/// The same while more than half of the budget is used.
const LITTLE_BYTES: usize = 8 * 1024;

/// Encodes steps into one client's outbox.
pub(super) struct OutboxWriter<'a> {
    pub outbox: &'a mut Outbox,
    pub encoder: &'a mut Encoder,
    pub context: &'a StreamContext,
    pub spec: &'a ViewSpec,
    pub session: &'a str,
    /// Counts the steps that are looked at.
    pub steps: &'a mut usize,
}

/// Why a step was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// The client has enough to read for now.
    Enough,
    /// The pod's budget is used up by others.
    Budget,
}

impl OutboxWriter<'_> {
    /// Says `ready` if that was not said yet.
    pub fn ready(&mut self, catch_up: &mut CatchUp) {
        if let Some(resumed) = catch_up.ready_pending.take() {
            let frame = self.encoder.ready(&catch_up.position, self.session, resumed, self.spec.encoding);
            self.outbox.push(frame);
        }
    }

    /// Adds a step that the client has not had, if its view shows it, and moves the client's position.
    pub fn entry(&mut self, entry: &Entry, position: &mut Position) -> Result<(), NoRoom> {
        *self.steps += 1;
        if !entry.is_new_at(position) {
            return Ok(());
        }
        let trimmed = trim(entry, position);
        let shown = self.spec.shown(trimmed.as_ref().unwrap_or(entry), self.context);
        if let Some(shown) = &shown {
            self.check_room(shown.memory_bytes())?;
        }
        entry.advance(position);
        let Some(shown) = shown else { return Ok(()) };
        self.encoder.position_changed();
        if let Outcome::Frame(frame) | Outcome::Skipped(frame, _) =
            self.encoder.entry(&shown, self.context, self.spec.encoding, position)
        {
            self.outbox.push(frame);
        }
        Ok(())
    }

    /// An empty outbox takes a step of any size, as soon as the budget does.
    fn check_room(&self, bytes: usize) -> Result<(), NoRoom> {
        let budget = self.outbox.budget();
        let enough = if budget.is_tight() { LITTLE_BYTES } else { PLENTY_BYTES };
        let unsent = self.outbox.unsent().len();
        if unsent > 0 && unsent + bytes > enough {
            return Err(NoRoom::Enough);
        }
        if budget.has_room(bytes) { Ok(()) } else { Err(NoRoom::Budget) }
    }
}

/// A gap that began before the client's position, without the part that the client has had.
fn trim(entry: &Entry, position: &Position) -> Option<Entry> {
    match entry {
        Entry::Gap(gap) if gap.from < position.next(gap.partition) => {
            Some(Entry::Gap(Gap { from: position.next(gap.partition), ..*gap }))
        }
        _ => None,
    }
}
