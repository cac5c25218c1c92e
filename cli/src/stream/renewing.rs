//! The credential of a stream that may outlive its token: renewed before a connection needs it and while one lasts.
//!
//! What the gateway makes of a new token is its own matter; here is only when to send which.

use super::credentials::{Credential, from_token};
use super::retry::End;
use crate::login::{LoginError, Renewal};
use crate::output::notice;
use headgate_wire::close::CloseReason;
use headgate_wire::message::ClientMessage;
use jiff::Timestamp;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A login, or nothing to renew.
#[derive(Debug, Default)]
pub(crate) struct Renewing {
    renewal: Option<Renewal>,
    /// The question to the provider that is under way.
    asking: Option<JoinHandle<Result<Renewal, LoginError>>>,
    /// After a renewal that failed: not before this.
    not_before: Option<Instant>,
}

impl Renewing {
    /// Keeps this login.
    pub(crate) fn new(renewal: Option<Renewal>) -> Self {
        Self { renewal, ..Self::default() }
    }

    /// What to connect with, if there is a login; renewed if it is time.
    pub(super) async fn credential(&mut self) -> Result<Option<Credential>, End> {
        let Some(renewal) = &self.renewal else { return Ok(None) };
        let now = Timestamp::now();
        if renewal.is_possible() && renewal.due_in(now).is_zero() {
            match renewal.clone().renewed().await {
                Ok(renewed) => self.renewal = Some(renewed),
                // The present token will do for a while.
                Err(error) if renewal.login().expires_at > now => self.failed(&error),
                Err(error @ LoginError::Http(_)) => return Err(End::Unreachable(error.to_string())),
                Err(error) => return Err(End::Forbidden(error.to_string())),
            }
        }
        let token = self.renewal.as_ref().map(|renewal| renewal.login().token.as_str());
        token.map(from_token).transpose().map_err(|error| End::Forbidden(error.to_string()))
    }

    /// The message that renews the connection's credentials, when it is time. It may be dropped and asked for again.
    pub(super) async fn message(&mut self) -> String {
        loop {
            let Some(renewal) = self.renewal.as_ref().filter(|renewal| renewal.is_possible()) else {
                return std::future::pending().await;
            };
            if self.asking.is_none() {
                let due = Instant::now() + renewal.due_in(Timestamp::now());
                tokio::time::sleep_until(self.not_before.map_or(due, |earliest| due.max(earliest))).await;
            }
            let asking = self.asking.get_or_insert_with(|| tokio::spawn(renewal.clone().renewed()));
            let outcome = asking.await;
            self.asking = None;
            match outcome {
                Ok(Ok(renewed)) => {
                    let token = renewed.login().token.clone();
                    (self.renewal, self.not_before) = (Some(renewed), None);
                    // A struct of texts always has a JSON form.
                    return serde_json::to_string(&ClientMessage::Refresh { token }).unwrap_or_default();
                }
                Ok(Err(error)) => self.failed(&error),
                // Only if this process is ending.
                Err(_) => return std::future::pending().await,
            }
        }
    }

    /// Whether connecting again brings a new token, so that this is no end.
    pub(super) fn survives(&self, end: &End) -> bool {
        let expired = CloseReason::TokenExpired;
        let ended =
            matches!(end, End::Closed { code, reason } if *code == expired.code() && reason == expired.as_str());
        ended && self.renewal.as_ref().is_some_and(Renewal::is_possible)
    }

    fn failed(&mut self, error: &LoginError) {
        // Once in a row.
        if self.not_before.is_none() {
            notice(format_args!("the login was not renewed: {error}; trying on"));
        }
        let pause: Duration = Renewal::again_in();
        self.not_before = Some(Instant::now() + pause);
    }
}
