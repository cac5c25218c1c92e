//! What one candidate knows and may do. Pure: time is an argument, nothing is sent.
//!
//! Time here is a `Duration` on the candidate's own monotonic clock, from a moment of its choosing. The clock of another
//! candidate, which is what a Lease's `renewTime` shows, is never compared with anything.

use super::record::Record;
use std::time::Duration;

/// How long things take. The defaults are those of Kubernetes' own components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For how long after its last change others leave the Lease to its holder.
    pub lease: Duration,
    /// For how long after sending its last successful renewal a holder leads. Shorter than `lease` by more than clocks
    /// may differ in rate.
    pub deadline: Duration,
    /// Time between attempts.
    pub retry: Duration,
    /// Time for one request.
    pub request: Duration,
}

/// What to do about the Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// There is none: create it.
    Create,
    /// Nobody holds it, or whoever does has not renewed it in time: take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// It is somebody else's.
    Wait {
        /// Until it expires, unless its holder renews it.
        remaining: Duration,
    },
}

/// The Lease as it was last found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The newest record that was seen. It stays when the Lease is deleted, because its holder may not know yet.
    record: Option<Record>,
    /// When this version of it was first seen.
    since: Duration,
    /// The Lease is not there.
    absent: bool,
}

/// One candidate.
#[derive(Debug, Clone)]
pub struct Candidate {
    me: String,
    timing: Timing,
    seen: Observation,
    until: Option<Duration>,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            request: Duration::from_secs(5),
        }
    }
}

impl Default for Observation {
    /// Before the first look.
    fn default() -> Self {
        Self { record: None, since: Duration::ZERO, absent: true }
    }
}

impl Observation {
    /// Notes what is there now. A version that was seen before keeps the time at which it was seen first.
    pub fn see(&mut self, found: Option<Record>, now: Duration) {
        self.absent = found.is_none();
        if let Some(found) = found
            && self.record.as_ref().is_none_or(|record| record.version != found.version)
        {
            self.record = Some(found);
            self.since = now;
        }
    }

    /// Who holds the Lease, whether or not it has expired.
    pub fn holder(&self) -> Option<&str> {
        self.record.as_ref().filter(|_| !self.absent).and_then(|record| record.holder.as_deref())
    }
}

/// What a candidate called `me` does about a Lease that it has observed, at the time `now` of its own clock.
pub fn decide(lease: &Observation, me: &str, now: Duration) -> Decision {
    let free = if lease.absent { Decision::Create } else { Decision::Acquire };
    let Some(record) = &lease.record else { return free };
    match record.holder.as_deref() {
        None => free,
        Some(holder) if holder == me => {
            if lease.absent {
                Decision::Create
            } else {
                Decision::Renew
            }
        }
        Some(_) => match (lease.since + record.duration).checked_sub(now) {
            Some(remaining) if !remaining.is_zero() => Decision::Wait { remaining },
            _ => free,
        },
    }
}

impl Candidate {
    /// A candidate that has seen nothing yet. `me` must be unique to the process, or a process that was thought dead
    /// could renew the Lease of its successor.
    pub fn new(me: String, timing: Timing) -> Self {
        Self { me, timing, seen: Observation::default(), until: None }
    }

    /// Its name in the Lease.
    pub fn me(&self) -> &str {
        &self.me
    }

    /// The Lease as this candidate last found it.
    pub fn observation(&self) -> &Observation {
        &self.seen
    }

    /// Notes what a read has found. A leader that finds another holder leads no longer.
    pub fn read(&mut self, found: Option<Record>, now: Duration) {
        self.seen.see(found, now);
        if self.seen.holder().is_some_and(|holder| holder != self.me) {
            self.until = None;
        }
    }

    /// What to do now.
    pub fn decide(&self, now: Duration) -> Decision {
        decide(&self.seen, &self.me, now)
    }

    /// Notes that a write of ours was accepted, which was sent at `sent`.
    pub fn written(&mut self, record: Record, sent: Duration, now: Duration) {
        let ours = record.holder.as_deref() == Some(self.me.as_str());
        self.seen.see(Some(record), now);
        self.until = ours.then(|| sent + self.timing.deadline);
    }

    /// Until when it leads, if it leads at all; the time may have passed.
    pub fn leads_until(&self) -> Option<Duration> {
        self.until
    }

    /// Whether it leads now.
    pub fn leads(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests;
