//! What a pod may spend on one purpose, most of it bytes, whatever the number of its shards.
//!
//! A [`Budget`] only counts; whoever fills it asks first and decides what happens when it is full. A [`Share`] is the part
//! that one holder uses, and is given back when the holder goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that several holders use together.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `limit` bytes, of which nothing is used.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    /// Bytes that may be used.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that are used now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether `bytes` more may be used. A budget of which nothing is used has room for anything, so that what is larger
    /// than the budget passes alone instead of never.
    pub fn has_room(&self, bytes: usize) -> bool {
        let used = self.used();
        used == 0 || used.saturating_add(bytes) <= self.limit
    }

    /// True if more than half is used: holders should ask for little.
    pub fn is_tight(&self) -> bool {
        self.used() > self.limit / 2
    }

    /// A share that uses nothing yet.
    pub fn share(self: &Arc<Self>) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }
}

/// What one holder uses of a budget, in bytes.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// Uses `bytes`, instead of what it used so far.
    pub fn set(&mut self, bytes: usize) {
        // Most calls change nothing; the counter is shared between threads.
        if bytes > self.bytes {
            self.budget.used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            self.budget.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// What it uses.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The budget that it is part of.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The budgets of a pod that its shards fill.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Logs of views, with their marks and positions.
    pub logs: Arc<Budget>,
    /// What clients are sent besides their log: answers, notices, what they catch up with.
    pub outboxes: Arc<Budget>,
    /// Batches of older records that were read for clients and not used yet.
    pub replays: Arc<Budget>,
    /// Bytes handed to the tasks of TLS connections and server-sent events, and not written yet.
    pub relays: Arc<Budget>,
    /// Comparisons that each record must be asked for, because no index finds the views of these filters. Not bytes, but
    /// shared in the same way.
    pub filters: Arc<Budget>,
}

/// Comparisons of [`Budgets::filters`]: each costs some tens of nanoseconds for every record of the stream.
const COMPARISONS: usize = 4096;

impl Budgets {
    /// Each budget of this many bytes.
    pub fn of_bytes(logs: usize, outboxes: usize, replays: usize, relays: usize) -> Self {
        let [logs, outboxes, replays, relays] = [logs, outboxes, replays, relays].map(Budget::new);
        Self { logs, outboxes, replays, relays, filters: Budget::new(COMPARISONS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_holder_used_is_free_again_when_it_is_gone() {
        let budget = Budget::new(100);
        let mut one = budget.share();
        let mut other = budget.share();
        one.set(60);
        other.set(30);
        one.set(50);
        assert_eq!(budget.used(), 80);
        assert!(budget.has_room(20) && !budget.has_room(21));
        drop(one);
        assert_eq!(budget.used(), 30);
        drop(other);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_larger_than_the_budget_passes_alone() {
        let budget = Budget::new(100);
        assert!(budget.has_room(1_000));
        let mut share = budget.share();
        share.set(1_000);
        assert!(!budget.has_room(1));
    }
}
