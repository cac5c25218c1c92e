//! Notices threads that end although nobody asked: a panic must not leave a gateway that looks well and serves nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;

/// What the threads of a stream share with whoever ends the process when one of them dies. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Supervision {
    stopping: Arc<AtomicBool>,
    death: CancellationToken,
}

/// Lives as long as a thread should: dropping it before the stop is a death.
#[derive(Debug)]
#[must_use = "a guard that is dropped at once is a death"]
pub struct Alive {
    supervision: Supervision,
    name: String,
    has_ended: bool,
}

impl Supervision {
    /// For a thread to hold while it runs.
    pub fn alive(&self, name: impl Into<String>) -> Alive {
        Alive { supervision: self.clone(), name: name.into(), has_ended: false }
    }

    /// From now on threads may end.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Ends when a thread has died.
    pub async fn death(&self) {
        self.death.cancelled().await;
    }
}

impl Alive {
    /// What it stands for has nothing more to do, and has not died.
    pub fn end(mut self) {
        self.has_ended = true;
    }

    /// What the thread is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if !self.has_ended && !self.supervision.stopping.load(Ordering::Relaxed) {
            tracing::error!(thread = self.name, "a thread of the gateway has died; it restarts");
            self.supervision.death.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_panics_is_a_death_and_one_that_ends_after_the_stop_is_not() {
        let supervision = Supervision::default();
        let alive = supervision.alive("stopped in order");
        supervision.stopping();
        drop(alive);
        assert!(!supervision.death.is_cancelled());

        let supervision = Supervision::default();
        let alive = supervision.alive("panics");
        let thread = std::thread::spawn(move || {
            let _alive = alive;
            panic!("on purpose");
        });
        supervision.death().await;
        assert!(thread.join().is_err());
    }
}
