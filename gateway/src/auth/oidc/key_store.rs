//! The provider's keys as they are known now, and when to ask again.
//!
//! A provider that is down changes nothing for as long as its last keys may be trusted; a token with an unknown key makes
//! us ask at once, but not more often than [`MIN_PAUSE`], whatever strangers send.

use super::discovery::{self, DiscoveryError};
use super::fetch::FetchError;
use super::key_set::KeySet;
use super::rules::Rules;
use crate::auth::reload;
use crate::config::followed::{FollowedFile, FollowedFiles};
use arc_swap::ArcSwapOption;
use headgate_wire::config::Oidc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Time between two looks at a provider that answers.
pub const REFRESH: Duration = Duration::from_mins(10);
/// Shortest time between two requests to a provider, whoever wants them.
pub const MIN_PAUSE: Duration = Duration::from_secs(10);
/// Pause after the first failure; it doubles up to [`MAX_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_mins(1);
/// How long the last good keys are trusted while the provider cannot be asked.
pub const MAX_STALE: Duration = Duration::from_hours(24);
/// How long a handshake waits for newer keys.
const PATIENCE: Duration = Duration::from_secs(6);

/// Keys of one provider, shared by all connections.
#[derive(Debug)]
pub struct KeyStore {
    known: ArcSwapOption<Known>,
    demand: Notify,
    /// What the attempts came to.
    attempts: watch::Sender<Attempts>,
}

/// Keys, by which rules they were got, and when.
#[derive(Debug)]
struct Known {
    keys: Arc<KeySet>,
    rules: Arc<Rules>,
    at: Instant,
}

#[derive(Debug, Default, Clone)]
struct Attempts {
    finished: u64,
    begun: Option<Instant>,
    /// Why the last one failed.
    error: Option<DiscoveryError>,
}

impl Default for KeyStore {
    fn default() -> Self {
        Self { known: ArcSwapOption::empty(), demand: Notify::new(), attempts: watch::Sender::default() }
    }
}

impl KeyStore {
    /// The keys of the rules' provider, unless there are none that may still be trusted.
    pub(super) fn current(&self, rules: &Rules) -> Option<Arc<KeySet>> {
        let known = self.known.load();
        let known = known.as_ref().filter(|known| known.at.elapsed() < MAX_STALE);
        known.filter(|known| known.rules.have_the_provider_of(rules)).map(|known| Arc::clone(&known.keys))
    }

    /// Other keys than these, after asking the provider if that is due. `None` if there are no newer ones for now.
    pub(super) async fn newer_than(&self, keys: &Arc<KeySet>, rules: &Rules) -> Option<Arc<KeySet>> {
        let mut attempts = self.attempts.subscribe();
        let newer = || self.current(rules).filter(|current| !Arc::ptr_eq(current, keys));
        if let Some(newer) = newer() {
            return Some(newer);
        }
        let before = attempts.borrow_and_update().clone();
        if before.begun.is_some_and(|begun| begun.elapsed() < MIN_PAUSE) {
            return None;
        }
        self.demand.notify_one();
        let finished = attempts.wait_for(|attempts| attempts.finished > before.finished);
        // Without an answer in time the client is refused; its next attempt may find the keys.
        let _ = tokio::time::timeout(PATIENCE, finished).await;
        newer()
    }

    /// Why there are no keys, or why they are no longer refreshed. `None` while all is well, and until the provider has
    /// been asked.
    pub fn problem(&self) -> Option<String> {
        self.attempts.borrow().error.as_ref().map(ToString::to_string)
    }

    /// True if tokens can be checked now.
    pub fn is_usable(&self, rules: &Rules) -> bool {
        self.current(rules).is_some()
    }

    /// Keeps the keys fresh until the shutdown, or until there are no rules any more. `ready` is called whenever there are
    /// keys; `files` is told how the files of the rules stand.
    pub async fn follow(
        &self,
        rules: impl Fn() -> Option<Arc<Rules>>,
        ready: impl Fn(),
        files: &FollowedFiles,
        shutdown: CancellationToken,
    ) {
        let mut retry = FIRST_RETRY;
        while let Some(current) = rules() {
            // Before the file is read, so that no change goes unseen.
            let file = current.oidc.jwks_file.as_deref().map(reload::watch_file);
            let pause = if self.ask(&current, files).await {
                ready();
                retry = FIRST_RETRY;
                REFRESH
            } else {
                let pause = retry;
                retry = (retry * 2).min(MAX_RETRY);
                pause
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(jittered(pause)) => {}
                () = self.demanded(&rules) => {}
                () = changed(file) => {}
            }
        }
    }

    /// Other rules may mean another provider, whose keys are asked for at once.
    pub fn rules_changed(&self) {
        self.demand.notify_one();
    }

    /// Somebody wants newer keys, and it is time for them.
    async fn demanded(&self, rules: impl Fn() -> Option<Arc<Rules>>) {
        loop {
            self.demand.notified().await;
            let was_just_asked = self.attempts.borrow().begun.is_some_and(|begun| begun.elapsed() < MIN_PAUSE);
            if !was_just_asked || rules().is_none_or(|rules| !self.is_usable(&rules)) {
                return;
            }
        }
    }

    /// Asks once; true if it worked.
    async fn ask(&self, rules: &Arc<Rules>, files: &FollowedFiles) -> bool {
        let issuer = &rules.oidc.issuer_url;
        self.attempts.send_modify(|attempts| attempts.begun = Some(Instant::now()));
        let error = match discovery::keys(&rules.oidc).await {
            Ok(keys) => {
                let known = Known { keys: Arc::new(keys), rules: Arc::clone(rules), at: Instant::now() };
                self.known.store(Some(Arc::new(known)));
                None
            }
            Err(error) => Some(error),
        };
        let worked = error.is_none();
        tell(files, &rules.oidc, error.as_ref());
        if self.attempts.borrow().error != error {
            if let Some(error) = &error {
                tracing::warn!(issuer, %error, usable = self.is_usable(rules), "the provider's keys cannot be had");
            } else {
                tracing::info!(issuer, "the provider's keys are known again");
            }
        }
        self.attempts.send_modify(|attempts| {
            attempts.finished += 1;
            attempts.error = error;
        });
        worked
    }
}

/// What an attempt came to, as far as it is about the files of the rules. A provider that cannot be reached is no matter
/// of a file.
fn tell(files: &FollowedFiles, oidc: &Oidc, error: Option<&DiscoveryError>) {
    match (&oidc.jwks_file, error) {
        (None, _) => files.not_followed(FollowedFile::KeySet),
        (Some(_), None) => files.in_force(FollowedFile::KeySet),
        (Some(path), Some(error)) => files.unusable(FollowedFile::KeySet, path, error),
    }
    match (&oidc.ca_file, error) {
        (Some(path), Some(error @ DiscoveryError::Fetch(FetchError::Authority(..)))) => {
            files.unusable(FollowedFile::Authority, path, error);
        }
        // Without discovery, it is not read.
        (Some(_), _) if oidc.jwks_file.is_none() => files.in_force(FollowedFile::Authority),
        _ => files.not_followed(FollowedFile::Authority),
    }
}

/// The file has changed; never, if there is none.
async fn changed(file: Option<watch::Receiver<u64>>) {
    let Some(mut file) = file else { return std::future::pending().await };
    // An error is the end of the watch: then the next look at the file is that of the pause.
    if file.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A tenth more or less, so that many gateways do not ask together.
fn jittered(pause: Duration) -> Duration {
    let part = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    pause.mul_f64(0.9 + part / 5.0)
}
