//! The death of the client at one request.
//!
//! Owns the countdown. A process that dies gets no answer: the request stays without one, and so does every other that
//! is made until the client is replaced.

use std::future::pending;
use std::sync::Mutex;

use tokio::sync::Notify;

use super::lock;

/// When the client dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the server sees the request.
    BeforeItArrives,
    /// After the server has done it, before the answer arrives.
    BeforeTheAnswer,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// Nobody sees it.
    DiesBefore,
    /// It is done, and nobody hears of it.
    DiesAfter,
}

/// The countdown.
#[derive(Debug, Default)]
pub struct Crash {
    state: Mutex<State>,
    happened: Notify,
}

#[derive(Debug, Default)]
struct State {
    armed: Option<(usize, Moment)>,
    dead: bool,
}

impl Crash {
    /// The `request`-th request from now on is the last.
    pub fn arm(&self, request: usize, moment: Moment) {
        *lock(&self.state) = State { armed: Some((request, moment)), dead: false };
    }

    /// Ends the countdown or the death. Whether there was a death.
    pub fn disarm(&self) -> bool {
        std::mem::take(&mut *lock(&self.state)).dead
    }

    /// What becomes of the request that has just come in.
    pub fn fate_of_next(&self) -> Fate {
        let mut state = lock(&self.state);
        if state.dead {
            return Fate::DiesBefore;
        }
        match &mut state.armed {
            Some((1, moment)) => {
                let fate = match moment {
                    Moment::BeforeItArrives => Fate::DiesBefore,
                    Moment::BeforeTheAnswer => Fate::DiesAfter,
                };
                state.dead = true;
                fate
            }
            Some((left, _)) => {
                *left -= 1;
                Fate::Answered
            }
            None => Fate::Answered,
        }
    }

    /// Never returns.
    pub async fn die(&self) {
        self.happened.notify_one();
        pending::<()>().await;
    }

    /// Waits for the death.
    pub async fn happened(&self) {
        self.happened.notified().await;
    }
}
