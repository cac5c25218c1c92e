//! What one client is sent besides its log: answers, notices, and the records that it catches up with.
//!
//! Whole frames, sent in order between two frames of the log. Its memory counts in the pod's budget of outboxes, and its
//! answers are bounded by themselves: a client decides how many it causes.

use crate::fanout::budget::{Budget, Share};
use std::sync::Arc;

/// Most bytes of answers (pongs, errors, `refreshed`) that wait for one client to read. A client that asks for more
/// without reading is closed as too slow.
pub(super) const MAX_ANSWER_BYTES: usize = 32 * 1024;
/// An outbox that was emptied keeps its buffer for the next filling up to this size, in bytes.
const KEPT_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// Bytes of answers that were added since it was last empty.
    answers: usize,
    share: Share,
}

impl Outbox {
    pub fn new(budget: &Arc<Budget>) -> Self {
        Self { bytes: Vec::new(), sent: 0, answers: 0, share: budget.share() }
    }

    /// Adds whole frames.
    pub fn push(&mut self, frames: &[u8]) {
        self.bytes.extend_from_slice(frames);
        self.share.set(self.bytes.capacity());
    }

    /// Adds an answer to something that the client sent; false if too many wait already, or any and the budget is full.
    pub fn push_answer(&mut self, frame: &[u8]) -> bool {
        let has_no_room = !self.is_empty() && !self.budget().has_room(frame.len());
        if has_no_room || self.answers + frame.len() > MAX_ANSWER_BYTES {
            return false;
        }
        self.answers += frame.len();
        self.push(frame);
        true
    }

    /// Puts the rest of a half-sent frame before everything else.
    pub fn push_front(&mut self, rest_of_frame: &[u8]) {
        self.bytes.splice(..self.sent, rest_of_frame.iter().copied());
        self.sent = 0;
        self.share.set(self.bytes.capacity());
    }

    /// What is sent next.
    pub fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The pod's budget that its memory counts in.
    pub fn budget(&self) -> &Budget {
        self.share.budget()
    }

    pub fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// The socket took the next `count` bytes. `fills_again` says that the buffer will soon be needed for as much.
    pub fn sent(&mut self, count: usize, fills_again: bool) {
        self.sent += count;
        if self.is_empty() {
            self.sent = 0;
            self.answers = 0;
            // A buffer that is kept is memory that others may wait for.
            if fills_again && self.bytes.capacity() <= KEPT_BYTES && !self.budget().is_tight() {
                self.bytes.clear();
            } else {
                // Idle clients hold no buffer.
                self.bytes = Vec::new();
            }
            self.share.set(self.bytes.capacity());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_frame_goes_before_what_waits() {
        let budget = Budget::new(1 << 20);
        let mut outbox = Outbox::new(&budget);
        outbox.push(b"abcd");
        outbox.sent(2, false);
        outbox.push_front(b"rest");
        assert_eq!(outbox.unsent(), b"restcd");
    }

    #[test]
    fn answers_are_bounded_until_the_client_reads() {
        let budget = Budget::new(1 << 20);
        let mut outbox = Outbox::new(&budget);
        let answer = [0; 1024];
        let accepted = (0..100).filter(|_| outbox.push_answer(&answer)).count();
        assert_eq!(accepted, MAX_ANSWER_BYTES / answer.len());
        outbox.sent(outbox.unsent().len(), false);
        assert!(outbox.push_answer(&answer));
    }

    #[test]
    fn an_outbox_that_was_sent_and_dropped_uses_nothing_of_the_budget() {
        let budget = Budget::new(1 << 20);
        let mut outbox = Outbox::new(&budget);
        outbox.push(&vec![0; 200 * 1024]);
        assert!(budget.used() >= 200 * 1024);
        outbox.sent(200 * 1024, true);
        assert_eq!(budget.used(), 0);
        outbox.push(b"x");
        drop(outbox);
        assert_eq!(budget.used(), 0);
    }
}
