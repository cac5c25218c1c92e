//! Decides who a client is, before its connection exists and for as long as it lasts.
//!
//! Closed by default: whatever is unclear is refused. Owns the ring of keys that is valid now and replaces it as a whole
//! when the mounted file changes; a file that cannot be used leaves the last good ring in place, loudly. It must never
//! log a credential, nor tell a client why one was not good enough.

pub mod brought_keys;
pub mod credential;
pub mod key_file;
pub mod key_ring;
mod metrics;
pub mod origin;
pub mod principal;
pub mod reload;
pub mod throttle;

pub use credential::{Carriers, QueryCarrier};
pub use key_ring::{AuthError, KeyRing};
pub use origin::OriginPolicy;
pub use principal::Principal;

use crate::config::Config;
use crate::rejection::Rejection;
use arc_swap::ArcSwap;
use credential::Credential;
use headgate_wire::close::CloseReason;
use headgate_wire::config::{AuthMode, QueryCredentials};
use headgate_wire::key::{Permission, Verifier};
use jiff::Timestamp;
use metrics::{AuthMetrics, AuthResult, ReloadResult};
use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret as _, SecretString};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use throttle::FailureThrottle;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Longest sleep between two looks at the clock.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// One request that asks to be let in.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'r> {
    /// Where it may carry a credential.
    pub carriers: Carriers<'r>,
    /// Address of the client, for the budget of wrong credentials.
    pub address: IpAddr,
    /// What it wants to do.
    pub needs: Permission,
}

/// Decides who a client is. Shared by all connections of a gateway.
#[derive(Debug)]
pub struct Authenticator {
    /// Realm of the challenges: the app.
    realm: Box<str>,
    mode: AuthMode,
    anonymous: bool,
    query_credentials: QueryCredentials,
    ring: ArcSwap<KeyRing>,
    keys_file: Option<PathBuf>,
    /// Keys that did not come from the file; they outlive its changes.
    brought: Vec<Verifier>,
    throttle: FailureThrottle,
    metrics: AuthMetrics,
    generation: watch::Sender<u64>,
}

impl Authenticator {
    /// An authenticator with the rules and the keys of a validated configuration.
    pub fn new(config: &Config) -> Self {
        let metrics = AuthMetrics::default();
        metrics.loaded(config.key_ring.len());
        Self {
            realm: config.wire.app.as_str().into(),
            mode: config.wire.auth.mode,
            anonymous: config.wire.public_access.anonymous,
            query_credentials: config.wire.public_access.query_credentials,
            ring: ArcSwap::new(Arc::clone(&config.key_ring)),
            keys_file: config.wire.auth.keys_file.clone(),
            brought: config.extra_keys.clone(),
            throttle: FailureThrottle::default(),
            metrics,
            generation: watch::Sender::new(0),
        }
    }

    /// Puts the counters of attempts and reloads into a registry.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// Who the client is, or the answer that refuses it.
    ///
    /// Wrong credentials are refused on an anonymous endpoint too: a client that means to be somebody must not silently
    /// become nobody.
    pub fn authenticate(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Principal, Rejection> {
        let result = self.decide(attempt, now);
        self.metrics.attempt(AuthResult::of(&result));
        result
    }

    /// Whether a principal admitted earlier may stay connected; else the reason to close its sockets with.
    pub fn still_valid(&self, principal: &Principal, now: Timestamp) -> Result<(), CloseReason> {
        match principal {
            Principal::Anonymous if self.anonymous => Ok(()),
            Principal::Anonymous => Err(CloseReason::AccessWithdrawn),
            Principal::ApiKey(_) => self.ring.load().still_valid(principal, now),
        }
    }

    /// Changes whenever the keys did, or one of them has expired: the moment to ask [`Self::still_valid`] for every live
    /// connection. Subscribe before [`Self::follow_keys_file`] is started, else its first change may go unseen.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Reads the keys file again. An unusable file changes nothing, is an error in the log and sets a metric; an empty
    /// list revokes every key of the file.
    pub fn reload(&self) {
        let Some(path) = &self.keys_file else { return };
        match key_file::load(Some(path), &self.brought) {
            Ok(ring) => {
                tracing::info!(keys = ring.len(), "keys reloaded");
                self.metrics.reload(ReloadResult::Ok);
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
                self.metrics.reload(ReloadResult::Failed);
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
            self.metrics.reload(ReloadResult::Failed);
        }
    }

    fn announce_change(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    fn decide(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Principal, Rejection> {
        let credential = credential::extract(&attempt.carriers, self.query_credentials)
            .map_err(|error| error.into_rejection(&self.realm))?;
        let principal = match credential {
            None => self.without_credential()?,
            Some(_) if self.mode == AuthMode::None => {
                return Err(self.unauthorized_because("this endpoint accepts no credentials; connect without any"));
            }
            Some(Credential::ApiKey(key)) => self.with_api_key(&key, attempt.address, now)?,
            // The place for OpenID Connect: until it is there, `Config::load` refuses the modes that need it.
            Some(Credential::Jwt(_)) => {
                return Err(self.unauthorized_because("tokens are not accepted by this endpoint; send an API key"));
            }
        };
        match (&principal, attempt.needs) {
            (_, needs) if principal.may(needs) => Ok(principal),
            (Principal::Anonymous, _) if self.mode != AuthMode::None => Err(Rejection::unauthorized(&self.realm)),
            (_, Permission::Read) => {
                Err(Rejection::forbidden("your key has no Read permission; ask for one that does"))
            }
            (_, Permission::Publish) => {
                Err(Rejection::forbidden("publishing needs a key with the Publish permission; ask for one"))
            }
        }
    }

    fn without_credential(&self) -> Result<Principal, Rejection> {
        if self.anonymous { Ok(Principal::Anonymous) } else { Err(Rejection::unauthorized(&self.realm)) }
    }

    fn with_api_key(&self, key: &SecretString, address: IpAddr, now: Timestamp) -> Result<Principal, Rejection> {
        self.throttle.check(address, now)?;
        let key = key.expose_secret();
        self.ring.load().authenticate(key, now).map_err(|error| {
            self.throttle.note(address, key, now);
            tracing::info!(%address, reason = error.word(), %error, "authentication failed");
            Rejection::unauthorized(&self.realm)
        })
    }

    fn unauthorized_because(&self, message: &'static str) -> Rejection {
        Rejection::unauthorized_because(&self.realm, message)
    }
}

/// How long to sleep before an expiry is looked at. Clocks are corrected, so never for long.
fn time_until(expiry: Option<Timestamp>) -> Duration {
    let left = expiry.map(|end| Timestamp::now().duration_until(end));
    left.map_or(MAX_SLEEP, |left| Duration::try_from(left).unwrap_or_default().min(MAX_SLEEP))
}

#[cfg(test)]
mod tests;
