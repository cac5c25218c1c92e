//! From what a request carries to who is asking: one door for each kind of credential, and one 401 behind each.
//!
//! Must never log a credential, nor tell a client why one was not good enough.

use super::credential::{self, Credential};
use super::oidc::{self, TokenError};
use super::ticket::{Holder, NoTicket, TICKET_SECONDS, TicketError};
use super::{Attempt, Authenticator, Principal, User};
use crate::rejection::{Rejection, RejectionKind};
use headgate_wire::config::AuthMode;
use headgate_wire::key::Permission;
use headgate_wire::message::ErrorCode;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use std::net::IpAddr;
use std::sync::Arc;

/// The one sentence of every 401 for a ticket: spent, late, changed, of another endpoint, or of a caller who has lost its
/// rights.
const TICKET_NOT_ACCEPTED: &str =
    "the ticket is not accepted: a ticket is good once and for 30 seconds; fetch another, with valid credentials";
const _: () = assert!(TICKET_SECONDS == 30, "the sentence says so");

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

impl Authenticator {
    /// Who is asking, or the answer that refuses it.
    pub(super) async fn decide(&self, attempt: &Attempt<'_>, now: Timestamp) -> Result<Principal, Rejection> {
        let query_credentials = self.policy.load().query_credentials;
        let credential = credential::extract(&attempt.carriers, query_credentials)
            .map_err(|error| error.into_rejection(&self.realm, self.mode))?;
        let principal = match credential {
            None => self.without_credential()?,
            Some(_) if self.mode == AuthMode::None => {
                return Err(self.unauthorized_because(credential::ACCEPTS_NONE));
            }
            Some(Credential::ApiKey(_)) if self.mode == AuthMode::Oidc => {
                return Err(self.unauthorized_because("API keys are not accepted by this endpoint; send a token"));
            }
            Some(Credential::ApiKey(key)) => self.with_api_key(&key, attempt.address, now)?,
            Some(Credential::Ticket(ticket)) => self.with_ticket(&ticket, attempt.address, now)?,
            Some(Credential::Jwt(_)) if self.mode == AuthMode::ApiKey => {
                return Err(self.unauthorized_because("tokens are not accepted by this endpoint; send an API key"));
            }
            Some(Credential::Jwt(token)) => self.with_token(&token, attempt, now).await?,
        };
        match (&principal, attempt.needs) {
            (_, needs) if principal.may(needs) => Ok(principal),
            // Who may do less than somebody without credentials is treated as one.
            (_, Permission::Read) if self.policy.load().anonymous => Ok(Principal::Anonymous),
            (Principal::Anonymous, _) if self.mode != AuthMode::None => Err(self.unauthorized()),
            (_, Permission::Read) => {
                Err(Rejection::forbidden("your key has no Read permission; ask for one that does"))
            }
            (_, Permission::Publish) => {
                Err(Rejection::forbidden("publishing needs a key or a token with the Publish permission; ask for one"))
            }
        }
    }

    fn without_credential(&self) -> Result<Principal, Rejection> {
        if self.policy.load().anonymous { Ok(Principal::Anonymous) } else { Err(self.unauthorized()) }
    }

    fn with_api_key(&self, key: &SecretString, address: IpAddr, now: Timestamp) -> Result<Principal, Rejection> {
        self.throttle.check(address, now)?;
        let key = key.expose_secret();
        self.ring.load().authenticate(key, now).map_err(|error| {
            self.throttle.note(address, key, now);
            tracing::info!(%address, reason = error.word(), %error, "authentication failed");
            self.unauthorized()
        })
    }

    async fn with_token(
        &self,
        token: &SecretString,
        attempt: &Attempt<'_>,
        now: Timestamp,
    ) -> Result<Principal, Rejection> {
        let Attempt { address, needs, .. } = *attempt;
        self.throttle.check(address, now)?;
        let Some(rules) = self.policy.load().rules.clone() else { return Err(self.unauthorized()) };
        let token = token.expose_secret();
        let refused = match oidc::verify(token, &rules, &self.signing_keys, now).await {
            Ok(user) => return Ok(Principal::User(user)),
            Err(refused) => refused,
        };
        let (reason, principal) = (refused.error.word(), refused.subject());
        tracing::info!(%address, reason, principal, error = %refused, "authentication failed");
        match refused.error {
            TokenError::NoKeys => {
                let message = "tokens cannot be checked at the moment: the provider does not answer; try again";
                return Err(Rejection::new(RejectionKind::Unavailable, message));
            }
            // A stranger, but a real one.
            TokenError::Claims if needs == Permission::Read && self.policy.load().anonymous => {
                return Ok(Principal::Anonymous);
            }
            TokenError::Claims => {
                return Err(Rejection::forbidden("your token does not have the claims that this stream asks for"));
            }
            // Made by nobody but the provider, so nobody is guessing: many clients may come back with old tokens at once.
            TokenError::Expired | TokenError::NotYetValid | TokenError::Audience => {}
            _ => self.throttle.note(address, token, now),
        }
        Err(self.unauthorized())
    }

    fn with_ticket(&self, ticket: &SecretString, address: IpAddr, now: Timestamp) -> Result<Principal, Rejection> {
        self.throttle.check(address, now)?;
        let Some(office) = &self.tickets else { return Err(self.unauthorized_because(TICKET_NOT_ACCEPTED)) };
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
            .ok_or_else(|| self.unauthorized_because(TICKET_NOT_ACCEPTED))
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

    fn unauthorized(&self) -> Rejection {
        Rejection::unauthorized(&self.realm, self.mode)
    }

    fn unauthorized_because(&self, message: &'static str) -> Rejection {
        Rejection::unauthorized_because(&self.realm, self.mode, message)
    }

    /// Who a connected client is by a newer token of its.
    ///
    /// # Errors
    /// [`RefreshError`], fit for the client; the connection goes on as it was.
    pub async fn refresh(&self, held: &Principal, token: &str, now: Timestamp) -> Result<Arc<User>, RefreshError> {
        let Principal::User(held) = held else { return Err(RefreshError::NotAToken) };
        let Some(rules) = self.policy.load().rules.clone() else { return Err(RefreshError::Refused) };
        let outcome = oidc::verify(token, &rules, &self.signing_keys, now).await;
        let user = outcome.map_err(|refused| {
            let (reason, principal) = (refused.error.word(), held.subject.as_str());
            tracing::info!(reason, principal, error = %refused, "a token was not renewed");
            RefreshError::Refused
        })?;
        if user.subject != held.subject {
            return Err(RefreshError::OtherSubject);
        }
        Ok(user)
    }
}
