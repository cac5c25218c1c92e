//! Decides who a client is, before its connection exists and for as long as it lasts.
//!
//! Closed by default: whatever is unclear is refused. Owns the keys, the rules and the provider's keys that are in force.
//! It must never log a credential, nor tell a client why one was not good enough.
//!
//! * `credential`: finds the one credential of a request; `decide`: who it is
//! * [`key_ring`], [`oidc`], [`ticket`]: the three kinds of credentials
//! * [`policy`], [`origin`], [`proxies`]: rules that are replaced as a whole; `follow`: when
//! * [`throttle`]: slows down who guesses

pub mod audit;
pub mod brought_keys;
pub mod credential;
mod decide;
mod follow;
pub mod key_file;
pub mod key_ring;
pub mod limits;
mod metrics;
pub mod oidc;
pub mod origin;
pub mod policy;
pub mod principal;
pub mod proxies;
pub mod reload;
pub mod throttle;
pub mod ticket;

pub use credential::{Carriers, QueryCarrier};
pub use decide::RefreshError;
pub use key_ring::{AuthError, KeyRing};
pub use oidc::User;
pub use origin::OriginPolicy;
pub use policy::Policy;
pub use principal::Principal;

use crate::config::Config;
use crate::config::followed::{FollowedFile, FollowedFiles};
use crate::rejection::Rejection;
use arc_swap::{ArcSwap, Guard};
use headgate_wire::close::CloseReason;
use headgate_wire::config::AuthMode;
use headgate_wire::key::{Permission, Verifier};
use jiff::Timestamp;
use metrics::{AuthMetrics, AuthResult};
use oidc::KeyStore;
use prometheus_client::registry::Registry;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use throttle::FailureThrottle;
use ticket::TicketOffice;
use tokio::sync::watch;

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
    policy: ArcSwap<Policy>,
    signing_keys: KeyStore,
    ring: ArcSwap<KeyRing>,
    keys_file: Option<PathBuf>,
    /// Keys that did not come from the file; they outlive its changes.
    brought: Vec<Verifier>,
    throttle: FailureThrottle,
    tickets: Option<TicketOffice>,
    metrics: AuthMetrics,
    files: Arc<FollowedFiles>,
    generation: watch::Sender<u64>,
}

impl Authenticator {
    /// An authenticator with the rules and the keys of a validated configuration.
    pub fn new(config: &Config) -> Self {
        let metrics = AuthMetrics::default();
        metrics.loaded(config.key_ring.len());
        let files = FollowedFiles::default();
        if config.file.is_some() {
            files.in_force(FollowedFile::Configuration);
        }
        if config.wire.auth.keys_file.is_some() {
            files.in_force(FollowedFile::Keys);
        }
        Self {
            realm: config.wire.app.as_str().into(),
            mode: config.wire.auth.mode,
            policy: ArcSwap::from_pointee(config.policy.clone()),
            signing_keys: KeyStore::default(),
            ring: ArcSwap::new(Arc::clone(&config.key_ring)),
            keys_file: config.wire.auth.keys_file.clone(),
            brought: config.extra_keys.clone(),
            throttle: FailureThrottle::default(),
            tickets: TicketOffice::new(&config.wire.app, &config.ticket_secret),
            metrics,
            files: Arc::new(files),
            generation: watch::Sender::new(0),
        }
    }

    /// Puts the counters of attempts and the state of the followed files into a registry.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
        self.files.register(registry);
    }

    /// Who the client is, or the answer that refuses it.
    ///
    /// Wrong credentials are refused on an anonymous endpoint too: a client that means to be somebody must not silently
    /// become nobody.
    pub async fn authenticate(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Principal, Rejection> {
        let result = self.decide(attempt, now).await;
        self.metrics.attempt(AuthResult::of(&result));
        result
    }

    /// Whether a principal admitted earlier may stay connected; else the reason to close its sockets with.
    pub fn still_valid(&self, principal: &Principal, now: Timestamp) -> Result<(), CloseReason> {
        match principal {
            Principal::Anonymous if self.policy.load().anonymous => Ok(()),
            Principal::Anonymous => Err(CloseReason::AccessWithdrawn),
            Principal::ApiKey(_) => self.ring.load().still_valid(principal, now),
            Principal::User(user) if user.expires_at <= now => Err(CloseReason::TokenExpired),
            Principal::User(user) => match &self.policy.load().rules {
                Some(rules) if rules.id == user.rules => Ok(()),
                // Its token has to stand the new rules: it is asked to come back with it.
                Some(_) => Err(CloseReason::AccessChanged),
                None => Err(CloseReason::AccessWithdrawn),
            },
        }
    }

    /// The rules that are in force.
    pub fn policy(&self) -> Guard<Arc<Policy>> {
        self.policy.load()
    }

    /// Whose tokens are accepted, whether they can be checked, and if not, why; `None` in a mode without tokens.
    pub fn provider_report(&self) -> Option<serde_json::Value> {
        let rules = self.policy.load().rules.clone()?;
        Some(serde_json::json!({
            "issuer": rules.oidc.issuer_url, "usable": self.signing_keys.is_usable(&rules),
            "problem": self.signing_keys.problem(),
        }))
    }

    /// How the files of this stream that are taken over while it runs stand.
    pub fn files(&self) -> &Arc<FollowedFiles> {
        &self.files
    }

    /// Changes whenever the keys did, or one of them has expired: the moment to ask [`Self::still_valid`] for every live
    /// connection. Subscribe before [`Self::follow_keys_file`] is started, else its first change may go unseen.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}

#[cfg(test)]
mod tests;
