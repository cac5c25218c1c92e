//! Every carrier × mode × kind and state of a credential × endpoint, and with and without anonymous readers and credentials
//! in the URL: each answer is the one that docs/wire-protocol.md promises (W9 to W12).
//!
//! [`expected`] is written from that page alone. It must never be changed to fit the gateway.

use crate::raw::Raw;
use crate::stage::{SOON, bearer, config, issued};
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use headgate_tests::gateway::{Gateway, write_keys};
use headgate_tests::oidc::hostile::{AUDIENCE, Issuer};
use headgate_tests::oidc::keys::{Algorithm, Key};
use headgate_tests::wait::eventually;
use headgate_wire::GatewayConfig;
use headgate_wire::config::{Auth, AuthMode, QueryCredentials};
use headgate_wire::key::Verifier;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;

/// How a credential travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Nothing,
    Bearer,
    Basic,
    Subprotocol,
    QueryToken,
    QueryApiKey,
    /// The same header twice.
    Twice,
    Cookie,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ApiKey,
    Token,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Valid,
    /// Of the right form, and nobody's; a token that somebody else signed.
    Wrong,
    Expired,
    /// Good elsewhere: a key of another endpoint, a token for another audience.
    OfAnother,
    /// Nothing where the credential should be, or not encoded as its carrier demands.
    Malformed,
    /// Good until it was withdrawn: a key that was removed, a signing key that is no longer published.
    Revoked,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Stream,
    Events,
    Alias,
    Channel,
    Tickets,
    Page,
}

/// How a gateway is configured.
#[derive(Debug, Clone, Copy)]
struct Rules {
    mode: AuthMode,
    anonymous: bool,
    in_url: QueryCredentials,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    rules: Rules,
    carrier: Carrier,
    kind: Kind,
    state: State,
    target: Target,
}

const CARRIERS: [Carrier; 8] = [
    Carrier::Nothing,
    Carrier::Bearer,
    Carrier::Basic,
    Carrier::Subprotocol,
    Carrier::QueryToken,
    Carrier::QueryApiKey,
    Carrier::Twice,
    Carrier::Cookie,
];
const KINDS: [Kind; 2] = [Kind::ApiKey, Kind::Token];
const STATES: [State; 6] =
    [State::Valid, State::Wrong, State::Expired, State::OfAnother, State::Malformed, State::Revoked];
const TARGETS: [Target; 6] =
    [Target::Stream, Target::Events, Target::Alias, Target::Channel, Target::Tickets, Target::Page];
const MODES: [AuthMode; 4] = [AuthMode::ApiKey, AuthMode::Oidc, AuthMode::ApiKeyOrOidc, AuthMode::None];
/// Every cell of a gateway.
const CELLS: usize = CARRIERS.len() * KINDS.len() * STATES.len() * TARGETS.len();

/// The status that the protocol promises.
fn expected(cell: Cell) -> u16 {
    let Cell { rules, carrier, kind, state, target } = cell;
    // The page is for everybody; the stream that it shows is not.
    if target == Target::Page {
        return 200;
    }
    let granted = match target {
        Target::Stream | Target::Alias | Target::Channel => 101,
        Target::Tickets => 201,
        Target::Events | Target::Page => 200,
    };
    // Only a WebSocket has subprotocols, and cookies are never read.
    let is_websocket = matches!(target, Target::Stream | Target::Alias | Target::Channel);
    let carries_nothing = match carrier {
        Carrier::Nothing | Carrier::Cookie => true,
        Carrier::Subprotocol => !is_websocket,
        _ => false,
    };
    if carries_nothing {
        return match (rules.anonymous, target) {
            (false, _) => 401,
            // Who needs no credential needs no ticket.
            (true, Target::Tickets) => 400,
            (true, _) => granted,
        };
    }
    let is_in_url = matches!(carrier, Carrier::QueryToken | Carrier::QueryApiKey);
    if carrier == Carrier::Twice || is_in_url && rules.in_url == QueryCredentials::Denied || state == State::Malformed {
        return 400;
    }
    // A credential that is present but wrong is refused, also where anonymous readers are welcome.
    let accepted = match rules.mode {
        AuthMode::ApiKey => kind == Kind::ApiKey,
        AuthMode::Oidc => kind == Kind::Token,
        AuthMode::ApiKeyOrOidc => true,
        AuthMode::None => false,
    };
    if accepted && state == State::Valid { granted } else { 401 }
}

/// The credentials of every kind and state.
struct Credentials {
    issuer: Issuer,
    verifiers: Vec<Verifier>,
    revoked: Verifier,
    texts: Vec<((Kind, State), String)>,
}

impl Credentials {
    async fn new() -> Result<Self> {
        let issuer = Issuer::start().await?;
        let [good, wrong, expired, other, revoked] =
            [("good", 1), ("wrong", 2), ("expired", 3), ("other", 4), ("revoked", 5)].map(|(name, n)| issued(name, n));
        let mut ended = expired.1;
        ended.expires_at = Some(Timestamp::now() - SignedDuration::from_secs(60));
        let with = |name: &str, value: serde_json::Value| {
            let mut claims = issuer.claims("alice");
            claims[name] = value;
            issuer.token(&claims)
        };
        let withdrawn = Key::new("withdrawn", Algorithm::ES256)?;
        let foreign = Key::new("first", Algorithm::ES256)?;
        let texts = vec![
            ((Kind::ApiKey, State::Valid), good.0),
            ((Kind::ApiKey, State::Wrong), wrong.0),
            ((Kind::ApiKey, State::Expired), expired.0),
            ((Kind::ApiKey, State::OfAnother), other.0),
            ((Kind::ApiKey, State::Revoked), revoked.0),
            ((Kind::Token, State::Valid), issuer.token_of("alice")?),
            ((Kind::Token, State::Wrong), foreign.token(&foreign.header(), &issuer.claims("alice"))?),
            ((Kind::Token, State::Expired), with("exp", (Timestamp::now().as_second() - 60).into())?),
            ((Kind::Token, State::OfAnother), with("aud", format!("{AUDIENCE}-of-another").into())?),
            ((Kind::Token, State::Revoked), withdrawn.token(&withdrawn.header(), &issuer.claims("alice"))?),
        ];
        Ok(Self { issuer, verifiers: vec![good.1, ended], revoked: revoked.1, texts })
    }

    fn text(&self, kind: Kind, state: State) -> &str {
        let found = self.texts.iter().find(|(of, _)| *of == (kind, state));
        found.map_or("", |(_, text)| text)
    }
}

/// The configuration of a gateway with these rules, and its keys, one of which is then revoked.
fn configuration(rules: Rules, credentials: &Credentials, keys: &Path) -> Result<GatewayConfig> {
    let (_, mut config) = config()?;
    let [mut known, revoked] = [credentials.verifiers.clone(), vec![credentials.revoked.clone()]];
    known.extend(revoked);
    write_keys(keys, &known)?;
    let oidc = json!({ "issuerURL": credentials.issuer.url(), "audiences": [AUDIENCE] });
    let takes = |modes: [AuthMode; 2]| modes.contains(&rules.mode);
    let keys_file = takes([AuthMode::ApiKey, AuthMode::ApiKeyOrOidc]).then(|| keys.to_owned());
    let oidc = takes([AuthMode::Oidc, AuthMode::ApiKeyOrOidc]).then(|| serde_json::from_value(oidc)).transpose()?;
    config.auth = Auth { oidc, ..Auth::keys(rules.mode, keys_file) };
    config.public_access.anonymous = rules.anonymous;
    config.public_access.query_credentials = rules.in_url;
    Ok(config)
}

/// The request of a cell: method, target, headers.
fn request(cell: Cell, text: &str) -> (&'static str, String, Vec<(&'static str, String)>) {
    let (method, path, accept) = match cell.target {
        Target::Stream => ("GET", "/orders", None),
        Target::Alias => ("GET", "/ws", None),
        Target::Channel => ("GET", "/orders/eu", None),
        Target::Events => ("GET", "/orders", Some("text/event-stream")),
        Target::Page => ("GET", "/orders", Some("text/html")),
        Target::Tickets => ("POST", "/orders/tickets", None),
    };
    let mut headers: Vec<_> = accept.map(|accept| ("accept", accept.to_owned())).into_iter().collect();
    let is_malformed = cell.state == State::Malformed;
    let mut query = String::new();
    match cell.carrier {
        Carrier::Nothing => {}
        Carrier::Bearer => headers.push(("authorization", bearer(text))),
        Carrier::Twice => headers.extend([("authorization", bearer(text)), ("authorization", bearer(text))]),
        Carrier::Basic if is_malformed => headers.push(("authorization", "Basic !!!".to_owned())),
        Carrier::Basic => headers.push(("authorization", format!("Basic {}", STANDARD.encode(format!("me:{text}"))))),
        Carrier::Subprotocol => {
            let text = if is_malformed { "!!!".to_owned() } else { URL_SAFE_NO_PAD.encode(text) };
            let offer = format!("headgate.v1, base64url.bearer.authorization.k8s.io.{text}");
            headers.push(("sec-websocket-protocol", offer));
        }
        Carrier::QueryToken => query = format!("?token={text}"),
        Carrier::QueryApiKey => query = format!("?username=me&api_key={text}"),
        Carrier::Cookie => {
            headers.push(("cookie", format!("token={text}; api_key={text}; authorization=Bearer {text}")));
        }
    }
    (method, format!("{path}{query}"), headers)
}

async fn status(gateway: SocketAddr, cell: Cell, text: &str) -> Result<u16> {
    let (method, target, headers) = request(cell, text);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut client = Raw::connect(gateway).await?;
    let is_websocket = matches!(cell.target, Target::Stream | Target::Alias | Target::Channel);
    let answer = if is_websocket {
        client.upgrade(&target, &headers).await
    } else {
        client.request(method, &target, &headers).await
    };
    Ok(answer.with_context(|| format!("{cell:?}"))?.status)
}

fn cells(rules: Rules) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(CELLS);
    for carrier in CARRIERS {
        for (kind, state) in KINDS.into_iter().flat_map(|kind| STATES.map(|state| (kind, state))) {
            cells.extend(TARGETS.map(|target| Cell { rules, carrier, kind, state, target }));
        }
    }
    cells
}

/// Asks for every cell of a gateway and gives those with another answer than expected.
async fn surprises(rules: Rules, credentials: &Credentials) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let keys = folder.path().join("keys.json");
    let gateway = Gateway::start(configuration(rules, credentials, &keys)?).await?;
    let revoked =
        Cell { rules, carrier: Carrier::Bearer, kind: Kind::ApiKey, state: State::Valid, target: Target::Stream };
    let text = credentials.text(Kind::ApiKey, State::Revoked);
    if expected(revoked) == 101 {
        assert_eq!(status(gateway.stream, revoked, text).await?, 101, "the key is good until it is revoked");
        write_keys(&keys, &credentials.verifiers)?;
        eventually("the key to be revoked", SOON, async || {
            status(gateway.stream, revoked, text).await.is_ok_and(|status| status == 401)
        })
        .await?;
    }
    let mut surprises = Vec::new();
    for cell in cells(rules) {
        let answer = status(gateway.stream, cell, credentials.text(cell.kind, cell.state)).await?;
        if answer != expected(cell) {
            surprises.push(format!("{answer} instead of {}: {cell:?}", expected(cell)));
        }
    }
    Ok(surprises)
}

/// W9, W10, W11, W12
#[tokio::test(flavor = "multi_thread")]
async fn every_combination_of_carrier_mode_credential_and_endpoint_gets_the_documented_answer() -> Result<()> {
    let credentials = Credentials::new().await?;
    let mut found = Vec::new();
    for mode in MODES {
        for anonymous in [true, false] {
            // A gateway without any credential is an open one, or none.
            if mode == AuthMode::None && !anonymous {
                continue;
            }
            for in_url in [QueryCredentials::Denied, QueryCredentials::Allowed] {
                found.extend(surprises(Rules { mode, anonymous, in_url }, &credentials).await?);
            }
        }
    }
    assert!(found.is_empty(), "{} unexpected answers:\n{}", found.len(), found.join("\n"));
    Ok(())
}
