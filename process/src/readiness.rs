//! Whether a process is ready: it is when every latch is released. Each latch has a name, so that `/readyz` can say what
//! is missing. Owns no reasons beyond that, and nothing about liveness.

use std::sync::Arc;
use tokio::sync::watch;

/// All latches of a process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    latches: Arc<watch::Sender<Vec<Entry>>>,
}

/// One thing that must happen before the process is ready. A latch that is dropped unreleased stays missing for ever: a
/// part that died before it was ready is not ready.
#[derive(Debug)]
#[must_use = "a latch holds readiness back until it is released"]
pub struct Latch {
    readiness: Readiness,
    index: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    name: &'static str,
    released: bool,
}

impl Readiness {
    /// Without any latch, and therefore ready: take the latches before serving.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more thing to wait for. Its name appears in `/readyz` while it is missing.
    pub fn latch(&self, name: &'static str) -> Latch {
        let mut index = 0;
        self.latches.send_modify(|latches| {
            index = latches.len();
            latches.push(Entry { name, released: false });
        });
        Latch { readiness: self.clone(), index }
    }

    /// True when every latch is released.
    pub fn is_ready(&self) -> bool {
        is_ready(&self.latches.borrow())
    }

    /// Names of the latches that are not released, in the order in which they were taken.
    pub fn missing(&self) -> Vec<&'static str> {
        self.latches.borrow().iter().filter(|entry| !entry.released).map(|entry| entry.name).collect()
    }

    /// Waits until every latch is released.
    pub async fn ready(&self) {
        let mut receiver = self.latches.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = receiver.wait_for(|latches| is_ready(latches)).await;
    }
}

impl Latch {
    /// This part is ready. Releasing twice is harmless.
    pub fn release(&self) {
        self.set(true);
    }

    /// This part is no longer ready, for example because the process drains.
    pub fn arm(&self) {
        self.set(false);
    }

    fn set(&self, released: bool) {
        self.readiness.latches.send_if_modified(|latches| {
            latches
                .get_mut(self.index)
                .is_some_and(|entry| std::mem::replace(&mut entry.released, released) != released)
        });
    }
}

fn is_ready(latches: &[Entry]) -> bool {
    latches.iter().all(|entry| entry.released)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_every_latch_is_released_and_says_what_is_missing() {
        let readiness = Readiness::new();
        let (listener, kafka) = (readiness.latch("listener"), readiness.latch("kafka"));
        listener.release();
        assert_eq!((readiness.is_ready(), readiness.missing()), (false, vec!["kafka"]));
        kafka.release();
        kafka.release();
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_latch_armed_again_takes_readiness_back() {
        let readiness = Readiness::new();
        let draining = readiness.latch("not draining");
        draining.release();
        draining.arm();
        assert_eq!(readiness.missing(), ["not draining"]);
    }

    #[test]
    fn a_part_that_died_before_it_was_ready_stays_missing() {
        let readiness = Readiness::new();
        drop(readiness.latch("kafka"));
        assert_eq!(readiness.missing(), ["kafka"]);
    }

    #[tokio::test]
    async fn waiting_for_readiness_ends_with_the_last_release() {
        let readiness = Readiness::new();
        let latch = readiness.latch("kafka");
        let waiting = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.ready().await }
        });
        latch.release();
        waiting.await.unwrap();
    }
}
