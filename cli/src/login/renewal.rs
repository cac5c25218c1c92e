//! Keeping a login: the next token before the present one ends, also where several processes share the login.

use super::store::{Login, Store};
use super::{Http, LoginError, discover, token_endpoint};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The longest time before its end at which a token is renewed.
const EARLY: SignedDuration = SignedDuration::from_mins(1);
/// Which part of a short token's life is left when it is renewed.
const PART: i32 = 4;
/// How long after a renewal that failed the next one is tried.
const AGAIN: Duration = Duration::from_secs(5);

/// A login in use.
#[derive(Debug, Clone)]
pub(crate) struct Renewal {
    http: Http,
    store: Store,
    login: Login,
}

impl Renewal {
    /// Uses a stored login.
    pub(crate) fn new(http: Http, store: Store, login: Login) -> Self {
        Self { http, store, login }
    }

    /// The login as it is now.
    pub(crate) fn login(&self) -> &Login {
        &self.login
    }

    /// How long until the token should be renewed; zero if that is now.
    pub(crate) fn due_in(&self, now: Timestamp) -> Duration {
        due(self.login.renewed_at, self.login.expires_at, now)
    }

    /// How long to wait after a renewal that failed.
    pub(crate) const fn again_in() -> Duration {
        AGAIN
    }

    /// Whether there is anything to renew with.
    pub(crate) fn is_possible(&self) -> bool {
        self.login.refresh_token.is_some()
    }

    /// The same login with a new token: the one that another process got meanwhile, or one from the provider.
    pub(crate) async fn renewed(self) -> Result<Self, LoginError> {
        let Self { http, store, login } = self;
        // A refresh token may be good for one use only, so that two processes must not use it at the same time.
        let (locked, request) = (store.clone(), login.request.clone());
        let lock = tokio::task::spawn_blocking(move || locked.lock(&request)).await;
        let _lock = lock.map_err(|_| LoginError::Answer("this process is ending"))??;
        // A login that was given up stays given up, whoever still uses its token.
        let Some(stored) = store.current(&login.request)? else {
            store.remove(&login)?;
            return Err(LoginError::NotRenewable(login.request.issuer));
        };
        if stored.token != login.token && stored.expires_at > Timestamp::now() {
            return Ok(Self { http, store, login: stored });
        }
        let issuer = stored.request.issuer.clone();
        let refresh_token = stored.refresh_token.ok_or_else(|| LoginError::NotRenewable(issuer.clone()))?;
        let provider = discover(&http, &issuer).await?;
        let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        let tokens = match token_endpoint::ask(&http, &provider, &stored.request, &grant).await {
            Err(LoginError::Refused { code, .. }) if code == "invalid_grant" => {
                return Err(LoginError::NotRenewable(issuer));
            }
            outcome => outcome?,
        };
        let login = tokens.into_login(stored.request, Some(refresh_token), Timestamp::now())?;
        store.save(&login)?;
        Ok(Self { http, store, login })
    }
}

/// Tells the provider that a login is over (RFC 7009). True if it could be told.
pub(crate) async fn revoke(http: &Http, login: &Login) -> Result<bool, LoginError> {
    let Some(refresh_token) = &login.refresh_token else { return Ok(false) };
    let provider = discover(http, &login.request.issuer).await?;
    let Some(endpoint) = &provider.revocation_endpoint else { return Ok(false) };
    let fields = [
        ("token", refresh_token.as_str()),
        ("token_type_hint", "refresh_token"),
        ("client_id", &login.request.client_id),
    ];
    let answer = http.post(endpoint, &fields).await?;
    if answer.status.is_success() { Ok(true) } else { Err(token_endpoint::refusal(&answer)) }
}

fn due(given: Timestamp, end: Timestamp, now: Timestamp) -> Duration {
    let early = (end.duration_since(given) / PART).min(EARLY);
    Duration::try_from((end - early).duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(given: i64, end: i64, now: i64) -> u64 {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        due(at(given), at(end), at(now)).as_secs()
    }

    #[test]
    fn a_token_is_renewed_a_minute_before_its_end_and_a_short_one_in_its_last_quarter() {
        assert_eq!(seconds(0, 3600, 0), 3540);
        assert_eq!(seconds(0, 8, 0), 6);
        assert_eq!(seconds(0, 8, 7), 0);
        assert_eq!(seconds(0, 8, 100), 0);
    }
}
