//! Keeps what decides about callers current while the process runs: the keys file, the provider's keys, the rules.
//!
//! Each is replaced as a whole. What cannot be used leaves the last good one in place, loudly.

use super::policy::PolicyError;
use super::{Authenticator, Policy, key_file, reload};
use crate::config::followed::FollowedFile;
use headgate_process::Latch;
use headgate_wire::GatewayConfig;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Longest sleep between two looks at the clock.
const MAX_SLEEP: Duration = Duration::from_secs(30);

impl Authenticator {
    /// Puts the rules of a changed configuration in force: for new connections at once, for live ones by
    /// [`Self::changes`].
    ///
    /// # Errors
    /// If they make no policy; the rules before the change stay in force.
    pub fn change_policy(&self, config: &GatewayConfig) -> Result<(), Vec<PolicyError>> {
        let policy = Policy::new(config)?;
        if **self.policy.load() == policy {
            return Ok(());
        }
        self.policy.store(Arc::new(policy));
        self.signing_keys.rules_changed();
        tracing::info!("the rules of access have changed");
        self.announce_change();
        Ok(())
    }

    /// Keeps the provider's keys fresh until the shutdown; does nothing in a mode without tokens. `ready` is released once
    /// tokens can be checked.
    pub async fn follow_provider(self: Arc<Self>, ready: Option<Latch>, shutdown: CancellationToken) {
        let release = || {
            if let Some(ready) = &ready {
                ready.release();
            }
        };
        self.signing_keys.follow(|| self.policy.load().rules.clone(), release, &self.files, shutdown).await;
    }

    /// Reads the keys file again. An unusable file changes nothing, is an error in the log and stands in
    /// [`Self::files`]; an empty list revokes every key of the file.
    pub fn reload(&self) {
        let Some(path) = &self.keys_file else { return };
        match key_file::load(Some(path), &self.brought) {
            Ok(ring) => {
                tracing::info!(keys = ring.len(), "keys reloaded");
                self.files.in_force(FollowedFile::Keys);
                self.metrics.loaded(ring.len());
                self.ring.store(Arc::new(ring));
                self.announce_change();
            }
            Err(error) => {
                tracing::error!(
                    %error,
                    "the keys file cannot be used; the keys before the change stay valid, revocations included in it \
                     have NOT taken effect"
                );
                self.files.unusable(FollowedFile::Keys, path, &error);
            }
        }
    }

    /// Reloads whenever the keys file changes, and announces each expiry, until the shutdown.
    ///
    /// Expiries are taken from the keys that are valid now, so a life that was shortened or prolonged after a client
    /// connected counts for it too.
    pub async fn follow_keys_file(self: Arc<Self>, shutdown: CancellationToken) {
        let Some(path) = &self.keys_file else { return };
        let mut changes = reload::watch_file(path);
        // The file may have changed between the start of the process and that of the watch.
        self.reload_in_background().await;
        let mut checked = Timestamp::now();
        loop {
            let expiry = self.ring.load().next_expiry(checked);
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = changes.changed() => match changed {
                    Ok(()) => self.reload_in_background().await,
                    Err(_) => return,
                },
                () = sleep(time_until(expiry)) => {
                    let now = Timestamp::now();
                    if expiry.is_some_and(|end| end <= now) {
                        self.announce_change();
                        checked = now;
                    }
                }
            }
        }
    }

    async fn reload_in_background(self: &Arc<Self>) {
        let authenticator = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || authenticator.reload());
        if let Err(error) = task.await {
            tracing::error!(%error, "reloading the keys failed");
            if let Some(path) = &self.keys_file {
                self.files.unusable(FollowedFile::Keys, path, &"reading it was cut off");
            }
        }
    }

    fn announce_change(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

/// How long to sleep before an expiry is looked at. Clocks are corrected, so never for long.
fn time_until(expiry: Option<Timestamp>) -> Duration {
    let left = expiry.map(|end| Timestamp::now().duration_until(end));
    left.map_or(MAX_SLEEP, |left| Duration::try_from(left).unwrap_or_default().min(MAX_SLEEP))
}
