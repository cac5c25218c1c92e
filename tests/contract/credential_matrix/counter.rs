//! Sells tickets as another gateway of the endpoint does, also ones that were bought a while ago, by a caller who has lost
//! its rights since, or of another endpoint: what a test could otherwise only wait for.

use super::cell::State;
use super::credentials::{Keys, claims};
use anyhow::{Context as _, Result};
use headgate_gateway::auth::oidc::{Rules, check_once};
use headgate_gateway::auth::ticket::{TICKET_SECONDS, TicketOffice, TicketSecret};
use headgate_gateway::auth::{Principal, User};
use headgate_tests::oidc::hostile::{AUDIENCE, Issuer};
use headgate_wire::config::Oidc;
use headgate_wire::key::{Permission, Verifier};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long ago a ticket was bought whose caller has lost its rights: it has not ended.
const BEFORE: SignedDuration = SignedDuration::from_secs(5);

pub struct Counter {
    of_this_endpoint: TicketOffice,
    /// With the same secret.
    of_another_app: TicketOffice,
    with_another_secret: TicketOffice,
    sold: AtomicU64,
}

impl Counter {
    pub fn new(secret: &Path) -> Result<Self> {
        let office = |app, secret| TicketOffice::new(app, &secret).context("no office");
        let shared = || TicketSecret::load(Some(secret));
        Ok(Self {
            of_this_endpoint: office("orders", shared()?)?,
            of_another_app: office("payments", shared()?)?,
            with_another_secret: office("orders", TicketSecret::load(None)?)?,
            sold: AtomicU64::new(0),
        })
    }

    pub fn ticket_of_key(&self, state: State, keys: &Keys, now: Timestamp) -> Result<String> {
        let holder = match state {
            State::Revoked => keys.revoked.clone(),
            State::Unentitled => Verifier { permissions: vec![Permission::Read], ..keys.unentitled.clone() },
            State::CallerExpired => Verifier { expires_at: None, ..keys.expired.clone() },
            _ => keys.good.clone(),
        };
        self.sell(state, &Principal::ApiKey(Arc::new(holder)), now)
    }

    pub fn ticket_of_token(&self, state: State, issuer: &Issuer, oidc: &Oidc, now: Timestamp) -> Result<String> {
        let (mut claims, mut rules) = (claims(issuer), oidc.clone());
        match state {
            // Its token would be admitted again.
            State::Revoked => rules.audiences = vec![AUDIENCE.to_owned(), "urn:another".to_owned()],
            State::Unentitled => {
                rules.required.clear();
                claims = issuer.claims("alice");
            }
            State::CallerExpired => claims["exp"] = json!(now.as_second() - 1),
            _ => {}
        }
        let key_set = json!({ "keys": [issuer.key().jwk()] }).to_string();
        let user: User = check_once(&issuer.token(&claims)?, key_set.as_bytes(), &Rules::new(rules), now - BEFORE)?;
        self.sell(state, &Principal::User(Arc::new(user)), now)
    }

    fn sell(&self, state: State, holder: &Principal, now: Timestamp) -> Result<String> {
        let office = match state {
            State::Wrong => &self.with_another_secret,
            State::OfAnother => &self.of_another_app,
            _ => &self.of_this_endpoint,
        };
        let bought = match state {
            State::Expired => now - SignedDuration::from_secs(TICKET_SECONDS),
            _ => now - BEFORE,
        };
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.sold.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let (ticket, _) = office.issue(holder, nonce, bought)?;
        Ok(if state == State::Changed { changed(&ticket) } else { ticket })
    }
}

/// One character in the middle is another one.
fn changed(ticket: &str) -> String {
    let middle = ticket.len() / 2;
    let other = if ticket[middle..].starts_with('A') { "B" } else { "A" };
    [&ticket[..middle], other, &ticket[middle + 1..]].concat()
}
