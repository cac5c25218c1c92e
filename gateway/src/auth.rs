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
pub mod oidc;
pub mod origin;
pub mod policy;
pub mod principal;
pub mod proxies;
pub mod reload;
pub mod throttle;
pub mod ticket;

pub use credential::{Carriers, QueryCarrier};
pub use key_ring::{AuthError, KeyRing};
pub use oidc::User;
pub use origin::OriginPolicy;
pub use policy::Policy;
pub use principal::Principal;

use crate::config::Config;
use crate::rejection::{Rejection, RejectionKind};
use arc_swap::{ArcSwap, Guard};
use credential::Credential;
use headgate_process::Latch;
use headgate_wire::GatewayConfig;
use headgate_wire::close::CloseReason;
use headgate_wire::config::AuthMode;
use headgate_wire::key::{Permission, Verifier};
use headgate_wire::message::ErrorCode;
use jiff::Timestamp;
use metrics::{AuthMetrics, AuthResult, ReloadResult};
use oidc::{KeyStore, TokenError};
use policy::PolicyError;
use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret as _, SecretString};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use throttle::FailureThrottle;
use ticket::{Holder, NoTicket, TicketError, TicketOffice};
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

/// Why a connected client's newer token changes nothing. Fit for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The connection was not opened with a token.
    #[error("only a connection that was opened with a token can renew it")]
    NotAToken,
    /// The token is of somebody else: that needs a connection of its own.
    #[error("the token has another subject than the one that opened the connection; connect anew with it")]
    OtherSubject,
    /// The token is not accepted.
    #[error("the token is not accepted; get a new one, or connect anew")]
    Refused,
    /// Too many tokens are being checked.
    #[error("too many tokens are being checked; send it again in a moment")]
    Busy,
}

impl RefreshError {
    /// The word for it in `headgate.v1`.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::NotAToken => ErrorCode::NotOffered,
            Self::OtherSubject | Self::Refused => ErrorCode::Unauthorized,
            Self::Busy => ErrorCode::TryLater,
        }
    }
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
            policy: ArcSwap::from_pointee(config.policy.clone()),
            signing_keys: KeyStore::default(),
            ring: ArcSwap::new(Arc::clone(&config.key_ring)),
            keys_file: config.wire.auth.keys_file.clone(),
            brought: config.extra_keys.clone(),
            throttle: FailureThrottle::default(),
            tickets: TicketOffice::new(&config.wire.app, &config.ticket_secret),
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

    /// Puts the rules of a changed configuration in force: for new connections at once, for live ones by
    /// [`Self::changes`].
    ///
    /// # Errors
    /// If they make no policy; the rules before the change stay in force.
    pub fn change_policy(&self, config: &GatewayConfig) -> Result<(), PolicyError> {
        let policy = Policy::new(config)?;
        let before = self.policy.load_full();
        if *before == policy {
            return Ok(());
        }
        let provider = |policy: &Policy| {
            let oidc = &policy.rules.as_ref()?.oidc;
            Some((oidc.issuer_url.clone(), oidc.jwks_file.clone(), oidc.ca_file.clone()))
        };
        let is_other_provider = provider(&before) != provider(&policy);
        self.policy.store(Arc::new(policy));
        if is_other_provider {
            self.signing_keys.forget();
        }
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
        self.signing_keys.follow(|| self.policy.load().rules.clone(), release, shutdown).await;
    }

    /// Whose tokens are accepted, whether they can be checked, and if not, why; `None` in a mode without tokens.
    pub fn provider_report(&self) -> Option<serde_json::Value> {
        let rules = self.policy.load().rules.clone()?;
        Some(serde_json::json!({
            "issuer": rules.oidc.issuer_url, "usable": self.signing_keys.is_usable(), "problem": self.signing_keys.problem(),
        }))
    }

    /// Who a connected client is by a newer token of its.
    ///
    /// # Errors
    /// [`RefreshError`], fit for the client; the connection goes on as it was.
    pub async fn refresh(&self, held: &Principal, token: &str, now: Timestamp) -> Result<Arc<User>, RefreshError> {
        let Principal::User(held) = held else { return Err(RefreshError::NotAToken) };
        let Some(rules) = self.policy.load().rules.clone() else { return Err(RefreshError::Refused) };
        let outcome = oidc::verify(token, &rules, &self.signing_keys, now).await;
        let user = outcome.map_err(|error| {
            tracing::info!(reason = error.word(), %error, "a token was not renewed");
            RefreshError::Refused
        })?;
        if user.subject != held.subject {
            return Err(RefreshError::OtherSubject);
        }
        Ok(user)
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

    async fn decide(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Principal, Rejection> {
        let query_credentials = self.policy.load().query_credentials;
        let credential = credential::extract(&attempt.carriers, query_credentials)
            .map_err(|error| error.into_rejection(&self.realm))?;
        let principal = match credential {
            None => self.without_credential()?,
            Some(_) if self.mode == AuthMode::None => {
                return Err(self.unauthorized_because("this endpoint accepts no credentials; connect without any"));
            }
            Some(Credential::ApiKey(_)) if self.mode == AuthMode::Oidc => {
                return Err(self.unauthorized_because("API keys are not accepted by this endpoint; send a token"));
            }
            Some(Credential::ApiKey(key)) => self.with_api_key(&key, attempt.address, now)?,
            Some(Credential::Ticket(ticket)) => self.with_ticket(&ticket, attempt.address, now)?,
            Some(Credential::Jwt(_)) if self.mode == AuthMode::ApiKey => {
                return Err(self.unauthorized_because("tokens are not accepted by this endpoint; send an API key"));
            }
            Some(Credential::Jwt(token)) => self.with_token(&token, attempt.address, now).await?,
        };
        match (&principal, attempt.needs) {
            (_, needs) if principal.may(needs) => Ok(principal),
            (Principal::Anonymous, _) if self.mode != AuthMode::None => Err(Rejection::unauthorized(&self.realm)),
            (_, Permission::Read) => {
                Err(Rejection::forbidden("your key has no Read permission; ask for one that does"))
            }
            (_, Permission::Publish) => {
                Err(Rejection::forbidden("publishing needs a key or a token with the Publish permission; ask for one"))
            }
        }
    }

    fn without_credential(&self) -> Result<Principal, Rejection> {
        if self.policy.load().anonymous { Ok(Principal::Anonymous) } else { Err(Rejection::unauthorized(&self.realm)) }
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

    async fn with_token(&self, token: &SecretString, address: IpAddr, now: Timestamp) -> Result<Principal, Rejection> {
        self.throttle.check(address, now)?;
        let Some(rules) = self.policy.load().rules.clone() else { return Err(Rejection::unauthorized(&self.realm)) };
        let token = token.expose_secret();
        let error = match oidc::verify(token, &rules, &self.signing_keys, now).await {
            Ok(user) => return Ok(Principal::User(user)),
            Err(error) => error,
        };
        tracing::info!(%address, reason = error.word(), %error, "authentication failed");
        match error {
            TokenError::NoKeys => {
                let message = "tokens cannot be checked at the moment: the provider does not answer; try again";
                return Err(Rejection::new(RejectionKind::Unavailable, message));
            }
            TokenError::Claims => {
                return Err(Rejection::forbidden("your token does not have the claims that this stream asks for"));
            }
            // Made by nobody but the provider, so nobody is guessing: many clients may come back with old tokens at once.
            TokenError::Expired | TokenError::NotYetValid | TokenError::Audience => {}
            _ => self.throttle.note(address, token, now),
        }
        Err(Rejection::unauthorized(&self.realm))
    }

    fn with_ticket(&self, ticket: &SecretString, address: IpAddr, now: Timestamp) -> Result<Principal, Rejection> {
        self.throttle.check(address, now)?;
        let Some(office) = &self.tickets else { return Err(Rejection::unauthorized(&self.realm)) };
        let ticket = ticket.expose_secret();
        let holder = match office.redeem(ticket, now) {
            Ok(Holder::Key(id, digest)) => self.ring.load().holder(&id, &digest, now),
            Ok(Holder::User(user)) => Some(Principal::User(Arc::new(user))),
            Err(error) => {
                if error == TicketError::Unknown {
                    self.throttle.note(address, ticket, now);
                }
                tracing::info!(%address, reason = "Ticket", %error, "authentication failed");
                None
            }
        };
        // What has happened to the caller's rights since the ticket was issued counts for it too.
        holder
            .filter(|holder| self.still_valid(holder, now).is_ok())
            .ok_or_else(|| Rejection::unauthorized(&self.realm))
    }

    /// A ticket for a caller who was let in, and its end.
    ///
    /// # Errors
    /// [`NoTicket`], fit for the caller.
    pub fn ticket(&self, principal: &Principal, now: Timestamp) -> Result<(String, Timestamp), NoTicket> {
        let mut nonce = [0; 12];
        let office = self.tickets.as_ref().filter(|_| getrandom::fill(&mut nonce).is_ok());
        office.ok_or(NoTicket::Unavailable)?.issue(principal, nonce, now)
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
