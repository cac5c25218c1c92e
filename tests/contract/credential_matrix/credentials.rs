//! The credentials of every kind and state, and the configuration of a gateway that knows what is good about them.

use super::cell::{Kind, Rules, State};
use super::counter::Counter;
use crate::stage::{self, config, issued};
use anyhow::Result;
use headgate_tests::gateway::write_keys;
use headgate_tests::oidc::hostile::{AUDIENCE, Issuer};
use headgate_tests::oidc::keys::{Algorithm, Key};
use headgate_wire::GatewayConfig;
use headgate_wire::config::{Auth, AuthMode, ClaimMatch, Oidc};
use headgate_wire::key::{Permission, Verifier};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The claim that the rules ask for, and its value.
const REQUIRED: (&str, &str) = ("tenant", "acme");

pub struct Credentials {
    issuer: Issuer,
    pub keys: Keys,
    texts: Vec<((Kind, State), String)>,
    pub counter: Counter,
    /// Has the secret that the gateways of the endpoint share for tickets.
    folder: TempDir,
}

/// The API keys as a gateway knows them.
pub struct Keys {
    pub good: Verifier,
    /// As it is now: past its end.
    pub expired: Verifier,
    /// As it is now: without the permission to read.
    pub unentitled: Verifier,
    /// As long as it was known.
    pub revoked: Verifier,
}

impl Keys {
    /// Those that are known now.
    pub fn current(&self) -> [Verifier; 3] {
        [self.good.clone(), self.expired.clone(), self.unentitled.clone()]
    }
}

impl Credentials {
    pub async fn new() -> Result<Self> {
        let issuer = Issuer::start().await?;
        let [good, wrong, mut expired, other, revoked, mut unentitled] =
            [("good", 1), ("wrong", 2), ("expired", 3), ("other", 4), ("revoked", 5), ("unentitled", 6)]
                .map(|(name, number)| issued(name, number));
        expired.1.expires_at = Some(Timestamp::now() - SignedDuration::from_secs(60));
        unentitled.1.permissions = vec![Permission::Publish];
        let mut texts = vec![
            ((Kind::ApiKey, State::Valid), good.0),
            ((Kind::ApiKey, State::Wrong), wrong.0),
            ((Kind::ApiKey, State::Expired), expired.0),
            ((Kind::ApiKey, State::OfAnother), other.0),
            ((Kind::ApiKey, State::Revoked), revoked.0),
            ((Kind::ApiKey, State::Unentitled), unentitled.0),
        ];
        texts.extend(tokens(&issuer)?);
        let folder = tempfile::tempdir()?;
        std::fs::write(secret(&folder), [7; 32])?;
        let counter = Counter::new(&secret(&folder))?;
        let keys = Keys { good: good.1, expired: expired.1, unentitled: unentitled.1, revoked: revoked.1 };
        Ok(Self { issuer, keys, texts, counter, folder })
    }

    /// A key or a token; empty if it is malformed.
    pub fn text(&self, kind: Kind, state: State) -> &str {
        let found = self.texts.iter().find(|(of, _)| *of == (kind, state));
        found.map_or("", |(_, text)| text)
    }

    /// A ticket that nobody has used; empty if it is malformed.
    pub fn ticket(&self, kind: Kind, state: State) -> Result<String> {
        if state == State::Malformed {
            return Ok(String::new());
        }
        let now = Timestamp::now();
        match kind.bought_with() {
            Kind::ApiKey => self.counter.ticket_of_key(state, &self.keys, now),
            _ => self.counter.ticket_of_token(state, &self.issuer, &oidc(&self.issuer), now),
        }
    }

    /// The configuration of a gateway with these rules, and its keys, one of which is then revoked.
    pub fn configuration(&self, rules: Rules, file: &Path) -> Result<GatewayConfig> {
        let (_, mut config) = config()?;
        write_keys(file, &[&self.keys.current()[..], std::slice::from_ref(&self.keys.revoked)].concat())?;
        let takes = |modes: [AuthMode; 2]| modes.contains(&rules.mode);
        let keys_file = takes([AuthMode::ApiKey, AuthMode::ApiKeyOrOidc]).then(|| file.to_owned());
        let oidc = takes([AuthMode::Oidc, AuthMode::ApiKeyOrOidc]).then(|| oidc(&self.issuer));
        config.auth = Auth { oidc, ticket_key_file: Some(secret(&self.folder)), ..Auth::keys(rules.mode, keys_file) };
        config.public_access.anonymous = rules.anonymous;
        config.public_access.query_credentials = rules.in_url;
        // Every cell comes from an address of its own, so that none is taken for a guess.
        config.public_access.trusted_proxies = vec!["127.0.0.0/8".into()];
        Ok(config)
    }
}

fn secret(folder: &TempDir) -> PathBuf {
    folder.path().join("ticket-key")
}

/// The rules for tokens that are in force.
fn oidc(issuer: &Issuer) -> Oidc {
    let (claim, value) = REQUIRED;
    let required = vec![ClaimMatch { claim: claim.to_owned(), values: vec![value.to_owned()] }];
    Oidc { required, ..stage::rules(issuer) }
}

/// Claims that the rules are content with.
pub fn claims(issuer: &Issuer) -> Value {
    let mut claims = issuer.claims("alice");
    claims[REQUIRED.0] = json!(REQUIRED.1);
    claims
}

fn tokens(issuer: &Issuer) -> Result<[((Kind, State), String); 6]> {
    let with = |name: &str, value: Value| {
        let mut claims = claims(issuer);
        claims[name] = value;
        issuer.token(&claims)
    };
    let withdrawn = Key::new("withdrawn", Algorithm::ES256)?;
    let foreign = Key::new("first", Algorithm::ES256)?;
    let past = Timestamp::now().as_second() - 60;
    Ok([
        ((Kind::Token, State::Valid), issuer.token(&claims(issuer))?),
        ((Kind::Token, State::Wrong), foreign.token(&foreign.header(), &claims(issuer))?),
        ((Kind::Token, State::Expired), with("exp", past.into())?),
        ((Kind::Token, State::OfAnother), with("aud", format!("{AUDIENCE}-of-another").into())?),
        ((Kind::Token, State::Revoked), withdrawn.token(&withdrawn.header(), &claims(issuer))?),
        ((Kind::Token, State::Unentitled), with(REQUIRED.0, json!("globex"))?),
    ])
}
