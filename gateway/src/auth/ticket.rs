//! Tickets: one short-lived word for one connection of a caller who has proven who it is, for browsers, which can send no
//! header with a WebSocket.
//!
//! A ticket is the caller, sealed with a secret that the gateways of an endpoint share (ChaCha20-Poly1305, RFC 8439), so
//! that each can accept what another has issued, and nobody can read or change it. Each gateway accepts a ticket once; a
//! second gateway does not know what the first has accepted, so a stolen ticket is good once per gateway until it ends.

use super::oidc::{RulesId, User};
use super::principal::Principal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_wire::filter::Filter;
use headgate_wire::key::KeyDigest;
use jiff::{SignedDuration, Timestamp};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// What every ticket begins with.
pub const TICKET_PREFIX: &str = "hgt_";
/// Life of a ticket, in seconds.
pub const TICKET_SECONDS: i64 = 30;
/// Longest ticket, in bytes: a caller with more roles than fit must send its token instead.
pub const MAX_TICKET_BYTES: usize = 8 * 1024;
/// Tickets that one gateway remembers to have accepted. Beyond, none is accepted until the oldest have ended.
pub const MAX_REMEMBERED_TICKETS: usize = 65_536;
/// Bytes of the file with the shared secret: enough to be one, and not a file in the wrong place.
const LEAST_SECRET_BYTES: u64 = 32;
const MOST_SECRET_BYTES: u64 = 4096;
/// Parts the secret's uses; a later form of tickets has another.
const PURPOSE: &[u8] = b"headgate ticket v1";

/// Seals and opens the tickets of one endpoint.
pub struct TicketOffice {
    key: LessSafeKey,
    app: Box<str>,
    accepted: Mutex<HashMap<[u8; NONCE_LEN], Timestamp>>,
}

/// The shared secret; absent = of this process alone.
#[derive(Clone)]
pub struct TicketSecret(Zeroizing<[u8; 32]>);

/// A secret that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TicketSecretError {
    /// The file is not there, or may not be read.
    #[error("the file {0} cannot be read: {1}; mount it, or leave auth.ticketKeyFile out")]
    Read(PathBuf, io::Error),
    /// Too short to be a secret, or too long.
    #[error("the file {0} must have {LEAST_SECRET_BYTES} to {MOST_SECRET_BYTES} random bytes")]
    Length(PathBuf),
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Entropy,
}

/// Why a ticket is refused. For the log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not sealed by a gateway of this endpoint.
    #[error("it is no ticket of this endpoint")]
    Unknown,
    /// Past its end.
    #[error("the ticket has expired")]
    Expired,
    /// Accepted before.
    #[error("the ticket was used before")]
    Used,
    /// More tickets at once than can be remembered.
    #[error("too many tickets were used within {TICKET_SECONDS} seconds")]
    TooMany,
}

/// A caller that cannot have a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTicket {
    /// Needs none.
    #[error("without credentials there is nothing that a ticket could stand for; connect without one")]
    Anonymous,
    /// Nothing random to be had.
    #[error("no ticket can be made at the moment; try again")]
    Unavailable,
    /// Does not fit.
    #[error("your token has more claims than fit into a ticket; send it in the subprotocol instead")]
    TooLarge,
}

/// Whom a ticket stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Holder {
    /// The key of this id with this digest.
    Key(String, KeyDigest),
    /// A user.
    User(User),
}

#[derive(Serialize, Deserialize)]
struct Content {
    /// Milliseconds since 1970.
    ends: i64,
    #[serde(flatten)]
    holder: SealedHolder,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SealedHolder {
    Key { id: String, digest: KeyDigest },
    User(Box<SealedUser>),
}

#[derive(Serialize, Deserialize)]
struct SealedUser {
    subject: String,
    username: Option<String>,
    roles: Vec<String>,
    organizations: Vec<String>,
    may_publish: bool,
    filters: Vec<Filter>,
    expires_at: Timestamp,
    rules: [u8; 16],
}

impl TicketSecret {
    /// The secret in a file, or a new one that nobody else has.
    ///
    /// # Errors
    /// [`TicketSecretError`].
    pub fn load(path: Option<&Path>) -> Result<Self, TicketSecretError> {
        let mut material = Zeroizing::new(Vec::new());
        if let Some(path) = path {
            let failed = |error| TicketSecretError::Read(path.to_owned(), error);
            let file = File::open(path).map_err(failed)?;
            file.take(MOST_SECRET_BYTES + 1).read_to_end(&mut material).map_err(failed)?;
            if !(LEAST_SECRET_BYTES..=MOST_SECRET_BYTES).contains(&(material.len() as u64)) {
                return Err(TicketSecretError::Length(path.to_owned()));
            }
        } else {
            material.resize(32, 0);
            getrandom::fill(&mut material).map_err(|_| TicketSecretError::Entropy)?;
        }
        Ok(Self(Zeroizing::new(Sha256::new().chain_update(PURPOSE).chain_update(&*material).finalize().into())))
    }
}

impl TicketOffice {
    /// The office of an app. `None` if the cipher does not take a key of its own length, which cannot be.
    pub fn new(app: &str, secret: &TicketSecret) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &*secret.0).ok()?);
        Some(Self { key, app: app.into(), accepted: Mutex::default() })
    }

    /// A ticket for this caller, and its end. `nonce` must be fresh randomness.
    ///
    /// # Errors
    /// [`NoTicket`], fit for the caller.
    pub fn issue(
        &self,
        principal: &Principal,
        nonce: [u8; NONCE_LEN],
        now: Timestamp,
    ) -> Result<(String, Timestamp), NoTicket> {
        let holder = match principal {
            Principal::Anonymous => return Err(NoTicket::Anonymous),
            Principal::ApiKey(key) => SealedHolder::Key { id: key.id.clone(), digest: key.digest },
            Principal::User(user) => SealedHolder::User(Box::new(SealedUser::from(&**user))),
        };
        let ends = now + SignedDuration::from_secs(TICKET_SECONDS);
        let content = Content { ends: ends.as_millisecond(), holder };
        let mut sealed = serde_json::to_vec(&content).map_err(|_| NoTicket::TooLarge)?;
        let aad = Aad::from(self.app.as_bytes());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| NoTicket::TooLarge)?;
        let ticket = format!("{TICKET_PREFIX}{}", URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()));
        if ticket.len() > MAX_TICKET_BYTES { Err(NoTicket::TooLarge) } else { Ok((ticket, ends)) }
    }

    /// Whom a ticket stands for; it is used up by that.
    ///
    /// # Errors
    /// [`TicketError`].
    pub fn redeem(&self, ticket: &str, now: Timestamp) -> Result<Holder, TicketError> {
        let encoded = ticket.strip_prefix(TICKET_PREFIX).filter(|_| ticket.len() <= MAX_TICKET_BYTES);
        let bytes = URL_SAFE_NO_PAD.decode(encoded.ok_or(TicketError::Unknown)?).map_err(|_| TicketError::Unknown)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(TicketError::Unknown)?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from(self.app.as_bytes());
        let opened = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut sealed);
        let opened = opened.map_err(|_| TicketError::Unknown)?;
        let Content { ends, holder } = serde_json::from_slice(opened).map_err(|_| TicketError::Unknown)?;
        let ends = Timestamp::from_millisecond(ends).map_err(|_| TicketError::Unknown)?;
        if ends <= now {
            return Err(TicketError::Expired);
        }
        self.use_up(*nonce, ends, now)?;
        Ok(match holder {
            SealedHolder::Key { id, digest } => Holder::Key(id, digest),
            SealedHolder::User(user) => Holder::User((*user).into()),
        })
    }

    fn use_up(&self, nonce: [u8; NONCE_LEN], ends: Timestamp, now: Timestamp) -> Result<(), TicketError> {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if accepted.contains_key(&nonce) {
            return Err(TicketError::Used);
        }
        if accepted.len() >= MAX_REMEMBERED_TICKETS {
            accepted.retain(|_, ends| *ends > now);
        }
        // Forgetting one that has not ended would let it be used again.
        if accepted.len() >= MAX_REMEMBERED_TICKETS {
            return Err(TicketError::TooMany);
        }
        accepted.insert(nonce, ends);
        Ok(())
    }
}

impl From<&User> for SealedUser {
    fn from(user: &User) -> Self {
        Self {
            subject: user.subject.clone(),
            username: user.username.clone(),
            roles: user.roles.clone(),
            organizations: user.organizations.clone(),
            may_publish: user.may_publish,
            filters: user.filters.clone(),
            expires_at: user.expires_at,
            rules: user.rules.0,
        }
    }
}

impl From<SealedUser> for User {
    fn from(sealed: SealedUser) -> Self {
        Self {
            connection_key: Self::connection_key_of(&sealed.subject),
            subject: sealed.subject,
            username: sealed.username,
            roles: sealed.roles,
            organizations: sealed.organizations,
            may_publish: sealed.may_publish,
            filters: sealed.filters,
            expires_at: sealed.expires_at,
            rules: RulesId(sealed.rules),
        }
    }
}

impl fmt::Debug for TicketOffice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketOffice").field("app", &self.app).finish_non_exhaustive()
    }
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_wire::key::{Permission, Verifier};
    use proptest::prelude::*;
    use std::sync::Arc;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn secret(byte: u8) -> TicketSecret {
        TicketSecret(Zeroizing::new([byte; 32]))
    }

    fn office(app: &str, byte: u8) -> TicketOffice {
        TicketOffice::new(app, &secret(byte)).unwrap()
    }

    fn key() -> Principal {
        Principal::ApiKey(Arc::new(Verifier {
            id: "web".into(),
            name: "web".into(),
            digest: KeyDigest::of("planted-31337"),
            permissions: vec![Permission::Read],
            expires_at: None,
            filters: Vec::new(),
        }))
    }

    fn user(roles: usize) -> User {
        User {
            subject: "alice".into(),
            username: Some("Alice".into()),
            roles: (0..roles).map(|n| format!("role-{n}")).collect(),
            organizations: vec!["shop".into()],
            may_publish: true,
            filters: vec![Filter::exact("subject", "planted-device")],
            expires_at: NOW + SignedDuration::from_secs(60),
            connection_key: User::connection_key_of("alice"),
            rules: RulesId([7; 16]),
        }
    }

    #[test]
    fn a_ticket_of_one_gateway_is_the_same_caller_on_another_and_good_once_on_each() {
        let (issuer, other) = (office("orders", 1), office("orders", 1));
        let (ticket, ends) = issuer.issue(&Principal::User(Arc::new(user(3))), [9; 12], NOW).unwrap();
        assert_eq!(ends.as_second(), 30);
        assert_eq!(other.redeem(&ticket, NOW).unwrap(), Holder::User(user(3)));
        assert_eq!(other.redeem(&ticket, NOW), Err(TicketError::Used));
        assert!(issuer.redeem(&ticket, NOW).is_ok(), "what the other has accepted is not known here");
        let (ticket, _) = issuer.issue(&key(), [8; 12], NOW).unwrap();
        assert_eq!(other.redeem(&ticket, NOW).unwrap(), Holder::Key("web".into(), KeyDigest::of("planted-31337")));
    }

    #[test]
    fn a_ticket_ends_and_is_good_for_its_own_endpoint_only() {
        let issuer = office("orders", 1);
        let (ticket, ends) = issuer.issue(&key(), [9; 12], NOW).unwrap();
        assert_eq!(issuer.redeem(&ticket, ends), Err(TicketError::Expired));
        assert_eq!(office("payments", 1).redeem(&ticket, NOW), Err(TicketError::Unknown));
        assert_eq!(office("orders", 2).redeem(&ticket, NOW), Err(TicketError::Unknown));
    }

    #[test]
    fn nothing_of_the_caller_can_be_read_or_changed() {
        let office = office("orders", 1);
        let (ticket, _) = office.issue(&Principal::User(Arc::new(user(1))), [9; 12], NOW).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&ticket[TICKET_PREFIX.len()..]).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("planted"));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = format!("{TICKET_PREFIX}{}", URL_SAFE_NO_PAD.encode(changed));
            assert_eq!(office.redeem(&changed, NOW), Err(TicketError::Unknown), "byte {at}");
        }
        assert!(office.redeem(&ticket, NOW).is_ok());
        assert!(!format!("{office:?}{:?}", secret(1)).contains('1'));
    }

    #[test]
    fn who_is_nobody_or_too_much_gets_none() {
        let office = office("orders", 1);
        assert_eq!(office.issue(&Principal::Anonymous, [9; 12], NOW), Err(NoTicket::Anonymous));
        let many = Principal::User(Arc::new(user(1000)));
        assert_eq!(office.issue(&many, [9; 12], NOW), Err(NoTicket::TooLarge));
    }

    #[test]
    fn a_gateway_that_cannot_remember_more_tickets_accepts_none_rather_than_one_twice() {
        let office = office("orders", 1);
        let ends = NOW + SignedDuration::from_secs(30);
        for n in 0..MAX_REMEMBERED_TICKETS as u64 {
            let mut nonce = [0; 12];
            nonce[..8].copy_from_slice(&n.to_be_bytes());
            office.use_up(nonce, ends, NOW).unwrap();
        }
        assert_eq!(office.use_up([255; 12], ends, NOW), Err(TicketError::TooMany));
        let later = ends + SignedDuration::from_secs(1);
        assert_eq!(office.use_up([255; 12], later + SignedDuration::from_secs(1), later), Ok(()));
    }

    #[test]
    fn a_secret_that_is_too_short_or_missing_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        assert!(matches!(TicketSecret::load(Some(&file)), Err(TicketSecretError::Read(..))));
        std::fs::write(&file, [1; 31]).unwrap();
        assert!(matches!(TicketSecret::load(Some(&file)), Err(TicketSecretError::Length(_))));
        std::fs::write(&file, [1; 32]).unwrap();
        let shared = TicketSecret::load(Some(&file)).unwrap();
        assert_eq!(*shared.0, *TicketSecret::load(Some(&file)).unwrap().0);
        assert_ne!(*TicketSecret::load(None).unwrap().0, *TicketSecret::load(None).unwrap().0);
    }

    proptest! {
        #[test]
        fn no_text_is_a_ticket_and_none_makes_the_parser_panic(text in "(hgt_)?[A-Za-z0-9_-]{0,80}") {
            prop_assert_eq!(office("orders", 1).redeem(&text, NOW), Err(TicketError::Unknown));
        }
    }
}
