//! Keeps a [`Candidate`] in touch with the Lease: reads it, writes it, renews it, gives it back.
//!
//! Owns every request for Leases and nothing that depends on leading. A request that takes too long counts as failed; it
//! may still be carried out, which the version in it makes harmless.

use super::candidate::{Candidate, Decision, Timing};
use super::record;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// A wait between attempts is lengthened by up to this share of it, so that candidates that began together do not stay so.
const RETRY_JITTER: f64 = 0.25;
/// Attempts to give the Lease back; each can be overtaken by a renewal that was still on its way.
const RELEASE_ATTEMPTS: u32 = 3;

/// Which Lease, and who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectorSettings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub lease: String,
    /// Name of this replica, for people; what makes it unique is added.
    pub identity: String,
    /// How long things take.
    pub timing: Timing,
}

/// Whether this replica leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// Somebody else leads, or nobody yet.
    Waiting {
        /// Who holds the Lease, as far as is known.
        holder: Option<String>,
    },
    /// This replica leads.
    Leading,
    /// This replica takes part no longer.
    Ended,
}

/// How an election ended for this replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to end; the Lease is given back if it was ours and the API server answered.
    Resigned,
    /// The Lease could not be renewed in time, or somebody else holds it: whatever needs the leadership must stop now.
    Lost,
}

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error("the API server did not answer in time")]
    Timeout,
    #[error("somebody else changed the Lease at the same time")]
    Conflict,
    #[error("the operator may not use the Lease: {0}; install the operator's Role in its own namespace")]
    Forbidden(kube::Error),
    #[error(transparent)]
    Api(kube::Error),
}

/// One replica's part in the election. See [`Elector::run`].
#[derive(Debug)]
pub struct Elector {
    api: Api<Lease>,
    settings: ElectorSettings,
    candidate: Candidate,
    /// Where the candidate's time begins.
    epoch: Instant,
    /// The Lease as a leader left it. Without it, an attempt begins with a read.
    lease: Option<Lease>,
    leadership: watch::Sender<Leadership>,
    failing: bool,
}

impl From<kube::Error> for AttemptError {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 409 => Self::Conflict,
            kube::Error::Api(status) if status.code == 403 => Self::Forbidden(error),
            _ => Self::Api(error),
        }
    }
}

impl Elector {
    /// Takes part in the election, once it [runs](Self::run). Its name in the Lease is unique to this process, because a
    /// container that restarts keeps the name of its pod. Fails if the system has no randomness.
    pub fn new(
        client: Client,
        settings: ElectorSettings,
    ) -> Result<(Self, watch::Receiver<Leadership>), getrandom::Error> {
        let me = format!("{}_{:08x}", settings.identity, getrandom::u32()?);
        let (leadership, receiver) = watch::channel(Leadership::Waiting { holder: None });
        let elector = Self {
            api: Api::namespaced(client, &settings.namespace),
            candidate: Candidate::new(me, settings.timing),
            settings,
            epoch: Instant::now(),
            lease: None,
            leadership,
            failing: false,
        };
        Ok((elector, receiver))
    }

    /// The name in the Lease.
    pub fn me(&self) -> &str {
        self.candidate.me()
    }

    /// Takes part until `resign` is cancelled, and then gives the Lease back; or until a Lease that was ours is lost.
    pub async fn run(mut self, resign: CancellationToken) -> Ended {
        loop {
            let led = self.deadline();
            tokio::select! {
                biased;
                () = resign.cancelled() => return self.resign().await,
                () = reached(led) => {}
                attempt = self.attempt() => self.report(attempt),
            }
            if led.is_some() && !self.leads() {
                return self.lost();
            }
            self.publish_standing();
            tokio::select! {
                biased;
                () = resign.cancelled() => return self.resign().await,
                () = reached(self.deadline()) => return self.lost(),
                () = sleep(jittered(self.settings.timing.retry)) => {}
            }
        }
    }

    fn leads(&self) -> bool {
        self.candidate.leads(self.epoch.elapsed())
    }

    /// When the leadership ends unless the Lease is renewed.
    fn deadline(&self) -> Option<Instant> {
        self.candidate.leads_until().map(|until| self.epoch + until)
    }

    /// Reads the Lease unless it is known, and writes it if it is ours or free.
    async fn attempt(&mut self) -> Result<(), AttemptError> {
        let found = match self.lease.take() {
            Some(lease) => Some(lease),
            None => self.read().await?,
        };
        let decision = self.candidate.decide(self.epoch.elapsed());
        let found = found.unwrap_or_else(|| record::named(&self.settings.namespace, &self.settings.lease));
        let timing = self.settings.timing;
        let Some(next) = record::next(decision, Some(&found), self.candidate.me(), &timing, Timestamp::now()) else {
            return Ok(());
        };
        let sent = self.epoch.elapsed();
        let written = self.write(decision, &next).await?;
        self.candidate.written(record::of(&written, &timing), sent, self.epoch.elapsed());
        self.lease = self.candidate.leads_until().map(|_| written);
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<Lease>, AttemptError> {
        let found = self.within(self.api.get_opt(&self.settings.lease)).await?;
        let record = found.as_ref().map(|lease| record::of(lease, &self.settings.timing));
        self.candidate.read(record, self.epoch.elapsed());
        Ok(found)
    }

    async fn write(&self, decision: Decision, lease: &Lease) -> Result<Lease, AttemptError> {
        let parameters = PostParams::default();
        if decision == Decision::Create {
            self.within(self.api.create(&parameters, lease)).await
        } else {
            self.within(self.api.replace(&self.settings.lease, &parameters, lease)).await
        }
    }

    async fn within<T>(&self, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, AttemptError> {
        Ok(timeout(self.settings.timing.request, request).await.map_err(|_| AttemptError::Timeout)??)
    }

    /// Ends in order: nobody else waits for the Lease to expire.
    async fn resign(self) -> Ended {
        self.publish(Leadership::Ended);
        if timeout(self.settings.timing.request, self.release()).await.is_err() {
            tracing::warn!(lease = %self.settings.lease, "the Lease is not given back in time; it expires");
        }
        Ended::Resigned
    }

    /// Gives the Lease back if it is ours, which is looked up, because a request of ours may have been cut off.
    async fn release(&self) {
        for _ in 0..RELEASE_ATTEMPTS {
            match self.give_back().await {
                Ok(released) => {
                    if released {
                        tracing::info!(lease = %self.settings.lease, "gave the Lease back");
                    }
                    return;
                }
                Err(AttemptError::Conflict) => {}
                Err(error) => {
                    tracing::warn!(lease = %self.settings.lease, %error, "the Lease is not given back; it expires");
                    return;
                }
            }
        }
    }

    async fn give_back(&self) -> Result<bool, AttemptError> {
        let found = self.within(self.api.get_opt(&self.settings.lease)).await?;
        let free = found.and_then(|lease| record::released(&lease, self.candidate.me(), Timestamp::now()));
        let Some(free) = free else { return Ok(false) };
        self.within(self.api.replace(&self.settings.lease, &PostParams::default(), &free)).await?;
        Ok(true)
    }

    fn lost(&self) -> Ended {
        self.publish(Leadership::Ended);
        let holder = self.candidate.observation().holder();
        tracing::error!(lease = %self.settings.lease, ?holder, "lost the Lease: it was not renewed in time");
        Ended::Lost
    }

    /// Says what is new. An error that goes on is said once.
    fn report(&mut self, attempt: Result<(), AttemptError>) {
        let failing = match attempt {
            Ok(()) => false,
            // Somebody was faster; the next attempt sees who.
            Err(AttemptError::Conflict) => return,
            Err(error) if self.failing => {
                tracing::debug!(lease = %self.settings.lease, %error, "the Lease can still not be used");
                true
            }
            Err(error) => {
                tracing::warn!(lease = %self.settings.lease, %error, "the Lease cannot be used; trying again");
                true
            }
        };
        if self.failing && !failing {
            tracing::info!(lease = %self.settings.lease, "the Lease can be used again");
        }
        self.failing = failing;
    }

    fn publish_standing(&self) {
        self.publish(if self.leads() {
            Leadership::Leading
        } else {
            Leadership::Waiting { holder: self.candidate.observation().holder().map(str::to_owned) }
        });
    }

    fn publish(&self, leadership: Leadership) {
        self.leadership.send_if_modified(|current| {
            if *current == leadership {
                return false;
            }
            match &leadership {
                Leadership::Leading => tracing::info!(identity = self.candidate.me(), "leading"),
                Leadership::Waiting { holder } => tracing::info!(?holder, "waiting for the Lease"),
                Leadership::Ended => {}
            }
            *current = leadership;
            true
        });
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn jittered(wait: Duration) -> Duration {
    // Without randomness the wait is merely less spread.
    let share = getrandom::u32().map_or(0.0, |random| f64::from(random) / f64::from(u32::MAX));
    wait.mul_f64(1.0 + RETRY_JITTER * share)
}

#[cfg(test)]
mod tests;
