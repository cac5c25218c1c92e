//! Who is let in, by mode, credential and permission; and that nothing secret shows on the way.

use super::*;
use crate::config::Config;
use crate::rejection::RejectionKind;
use base64::Engine as _;
use futures_util::FutureExt as _;
use headgate_wire::GatewayConfig;
use headgate_wire::config::QueryCredentials;
use headgate_wire::key::{KeyDigest, VerifierFile};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const SECRET: &str = "planted-secret-31337";

fn wire(auth_and_access: &str) -> GatewayConfig {
    let text = format!("app: orders\nkafka: {{bootstrapServers: 'kafka:9092', topic: orders}}\n{auth_and_access}");
    Config::parse_yaml(&text).unwrap()
}

fn verifier(id: &str, key: &str, permissions: &[Permission]) -> Verifier {
    Verifier {
        id: id.to_owned(),
        name: id.to_owned(),
        digest: KeyDigest::of(key),
        permissions: permissions.to_vec(),
        expires_at: None,
        filters: Vec::new(),
    }
}

fn authenticator(auth_and_access: &str) -> Authenticator {
    let reader = verifier("reader", SECRET, &[Permission::Read]);
    let writer = verifier("writer", "writer key", &[Permission::Publish]);
    let wire = wire(auth_and_access);
    let keys = if wire.auth.mode == AuthMode::None { Vec::new() } else { vec![reader, writer] };
    Authenticator::new(&Config::load(wire, keys).unwrap())
}

fn bearer(key: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}")).unwrap())])
}

fn attempt(headers: &HeaderMap, needs: Permission) -> Attempt<'_> {
    let carriers = Carriers { headers, subprotocol: None, query: QueryCarrier::default() };
    Attempt { carriers, address: IpAddr::from([192, 0, 2, 1]), needs }
}

/// Keys and their rules are here: nothing is waited for.
fn authenticate(authenticator: &Authenticator, attempt: &Attempt<'_>) -> Result<Principal, Rejection> {
    authenticator.authenticate(attempt, NOW).now_or_never().unwrap()
}

/// The label of who is let in, or the status of the refusal.
fn outcome(authenticator: &Authenticator, headers: &HeaderMap, needs: Permission) -> Result<String, u16> {
    let result = authenticate(authenticator, &attempt(headers, needs));
    result.map(|principal| principal.label().to_owned()).map_err(|rejection| rejection.status().as_u16())
}

const CLOSED: &str = "auth: {mode: ApiKey}";
const MIXED: &str = "auth: {mode: ApiKey}\npublicAccess: {anonymous: true}";
const OPEN: &str = "auth: {mode: None}\npublicAccess: {anonymous: true}";

#[test]
fn each_mode_admits_exactly_whom_it_should() {
    use Permission::{Publish, Read};
    let none = HeaderMap::new();
    for (mode, headers, needs, expected) in [
        (CLOSED, none.clone(), Read, Err(401)),
        (CLOSED, bearer(SECRET), Read, Ok("reader")),
        (CLOSED, bearer("wrong"), Read, Err(401)),
        (CLOSED, bearer("a.b.c"), Read, Err(401)),
        (CLOSED, bearer(SECRET), Publish, Err(403)),
        (CLOSED, bearer("writer key"), Read, Err(403)),
        (CLOSED, bearer("writer key"), Publish, Ok("writer")),
        (MIXED, none.clone(), Read, Ok("anonymous")),
        (MIXED, none.clone(), Publish, Err(401)),
        (MIXED, bearer(SECRET), Read, Ok("reader")),
        (MIXED, bearer("writer key"), Read, Ok("anonymous")),
        (MIXED, bearer("writer key"), Publish, Ok("writer")),
        (MIXED, bearer("wrong"), Read, Err(401)),
        (MIXED, bearer("a.b.c"), Read, Err(401)),
        (OPEN, none.clone(), Read, Ok("anonymous")),
        (OPEN, none, Publish, Err(403)),
        (OPEN, bearer(SECRET), Read, Err(401)),
    ] {
        let expected = expected.map(str::to_owned);
        assert_eq!(outcome(&authenticator(mode), &headers, needs), expected, "{mode} {needs:?}");
    }
}

#[test]
fn every_401_for_a_key_is_the_same_whatever_was_wrong_with_it() {
    let (_, issued) = headgate_wire::key::mint(1, &[1; 32]);
    let authenticator = authenticator(CLOSED);
    let bodies: Vec<_> = ["wrong", &issued, &issued[1..], &issued[..issued.len() - 1]]
        .into_iter()
        .map(|key| authenticate(&authenticator, &attempt(&bearer(key), Permission::Read)).unwrap_err())
        .collect();
    assert!(bodies.iter().all(|rejection| *rejection == bodies[0]));
    assert_eq!(bodies[0].headers().get_all(WWW_AUTHENTICATE).iter().count(), 2);
}

/// Rules for tokens, which nobody can check here.
const TOKENS: &str = "auth: {mode: OIDC, oidc: {issuerURL: 'https://id.example.com', audiences: [orders]}}";

#[test]
fn a_401_offers_only_what_its_endpoint_accepts() {
    let only_tokens = Authenticator::new(&Config::load(wire(TOKENS), Vec::new()).unwrap());
    let digest = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Digest x"))]);
    for headers in [HeaderMap::new(), bearer("a key"), digest.clone()] {
        let rejection = authenticate(&only_tokens, &attempt(&headers, Permission::Read)).unwrap_err();
        let offered = rejection.message().replace("API keys are not accepted", "");
        assert!(offered.contains("token") && !offered.to_lowercase().contains("key"), "{offered}");
        assert_eq!(rejection.headers().get_all(WWW_AUTHENTICATE).iter().count(), 1);
    }
    let only_keys = authenticator(CLOSED);
    for headers in [HeaderMap::new(), bearer("wrong"), digest] {
        let rejection = authenticate(&only_keys, &attempt(&headers, Permission::Read)).unwrap_err();
        assert!(rejection.message().contains("key") && !rejection.message().contains("token"), "{rejection}");
    }
}

#[test]
fn every_401_for_a_ticket_is_the_same_and_says_to_fetch_another() {
    let authenticator = authenticator(CLOSED);
    let holder = authenticate(&authenticator, &attempt(&bearer(SECRET), Permission::Read)).unwrap();
    let (good, _) = authenticator.ticket(&holder, NOW).unwrap();
    let (late, _) = authenticator.ticket(&holder, NOW - jiff::SignedDuration::from_mins(1)).unwrap();
    let of_writer = verifier("gone", "gone", &[Permission::Read]);
    let (foreign, _) = authenticator.ticket(&Principal::ApiKey(Arc::new(of_writer)), NOW).unwrap();
    let headers = HeaderMap::new();
    let show = |ticket: &str| {
        let query = QueryCarrier { ticket: Some(ticket), ..QueryCarrier::default() };
        let carriers = Carriers { headers: &headers, subprotocol: None, query };
        authenticate(&authenticator, &Attempt { carriers, ..attempt(&headers, Permission::Read) })
    };
    assert!(show(&good).is_ok());
    let refused = [&good, &late, &foreign, &format!("{good}x"), SECRET, "x"].map(|ticket| show(ticket).unwrap_err());
    assert!(refused[0].message().contains("good once and for 30 seconds; fetch another"), "{}", refused[0]);
    assert!(refused.iter().all(|rejection| *rejection == refused[0]), "{refused:?}");
}

#[test]
fn guessing_keys_is_answered_with_429_and_anonymous_neighbours_are_not_concerned() {
    let authenticator = authenticator(MIXED);
    for guess in 0..throttle::WRONG_CREDENTIALS_PER_MINUTE {
        assert_eq!(outcome(&authenticator, &bearer(&format!("guess {guess}")), Permission::Read), Err(401));
    }
    assert_eq!(outcome(&authenticator, &bearer("one more"), Permission::Read), Err(429));
    assert_eq!(outcome(&authenticator, &HeaderMap::new(), Permission::Read), Ok("anonymous".to_owned()));
}

#[test]
fn a_stream_that_is_no_longer_public_closes_its_anonymous_clients() {
    assert_eq!(authenticator(OPEN).still_valid(&Principal::Anonymous, NOW), Ok(()));
    assert_eq!(authenticator(CLOSED).still_valid(&Principal::Anonymous, NOW), Err(CloseReason::AccessWithdrawn));
}

fn write_keys(path: &Path, keys: &[Verifier]) {
    fs::write(path, serde_json::to_string(&VerifierFile { keys: keys.to_vec() }).unwrap()).unwrap();
}

fn from_file(path: &Path, brought: Vec<Verifier>) -> Authenticator {
    let mut wire = wire(CLOSED);
    wire.auth.keys_file = Some(path.to_owned());
    Authenticator::new(&Config::load(wire, brought).unwrap())
}

fn metrics_of(authenticator: &Authenticator) -> String {
    let mut registry = Registry::default();
    authenticator.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    text
}

#[test]
fn a_broken_keys_file_keeps_the_last_good_keys_and_says_so_and_an_empty_list_revokes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    write_keys(file.path(), &[verifier("k", SECRET, &[Permission::Read])]);
    let authenticator = from_file(file.path(), vec![verifier("brought", "brought key", &[Permission::Read])]);
    let holder = authenticate(&authenticator, &attempt(&bearer(SECRET), Permission::Read)).unwrap();
    let changes = authenticator.changes();

    fs::write(file.path(), "{").unwrap();
    authenticator.reload();
    assert_eq!(authenticator.still_valid(&holder, NOW), Ok(()));
    assert!(!changes.has_changed().unwrap());
    assert_eq!(authenticator.files().report().len(), 1);
    assert!(metrics_of(&authenticator).contains("config_last_reload_successful{file=\"keys\"} 0"));

    write_keys(file.path(), &[]);
    authenticator.reload();
    assert_eq!(authenticator.still_valid(&holder, NOW), Err(CloseReason::KeyRevoked));
    assert!(changes.has_changed().unwrap());
    assert_eq!(authenticator.files().report().len(), 0);
    assert!(metrics_of(&authenticator).contains("config_last_reload_successful{file=\"keys\"} 1"));
    assert_eq!(outcome(&authenticator, &bearer("brought key"), Permission::Read), Ok("brought".to_owned()));
}

#[tokio::test]
async fn a_key_removed_from_the_mounted_file_is_refused_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    write_keys(&path, &[verifier("k", SECRET, &[Permission::Read])]);
    let authenticator = Arc::new(from_file(&path, Vec::new()));
    let mut changes = authenticator.changes();
    let shutdown = CancellationToken::new();
    let follower = tokio::spawn(Arc::clone(&authenticator).follow_keys_file(shutdown.clone()));
    tokio::time::timeout(Duration::from_secs(10), changes.changed()).await.unwrap().unwrap();
    write_keys(&path, &[]);
    tokio::time::timeout(Duration::from_secs(10), changes.changed()).await.unwrap().unwrap();
    assert_eq!(outcome(&authenticator, &bearer(SECRET), Permission::Read), Err(401));
    shutdown.cancel();
    follower.await.unwrap();
}

#[tokio::test]
async fn an_expiry_is_announced_when_it_comes_even_if_the_client_connected_before_it_was_set() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let endless = verifier("k", SECRET, &[Permission::Read]);
    write_keys(&path, std::slice::from_ref(&endless));
    let authenticator = Arc::new(from_file(&path, Vec::new()));
    let holder = authenticate(&authenticator, &attempt(&bearer(SECRET), Permission::Read)).unwrap();
    let end = Timestamp::now() + jiff::SignedDuration::from_millis(500);
    write_keys(&path, &[Verifier { expires_at: Some(end), ..endless }]);
    let mut changes = authenticator.changes();
    let shutdown = CancellationToken::new();
    let follower = tokio::spawn(Arc::clone(&authenticator).follow_keys_file(shutdown.clone()));
    let closed = async {
        while authenticator.still_valid(&holder, Timestamp::now()).is_ok() {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap();
    assert_eq!(authenticator.still_valid(&holder, Timestamp::now()), Err(CloseReason::KeyExpired));
    shutdown.cancel();
    follower.await.unwrap();
}

#[test]
fn a_planted_secret_shows_in_no_debug_output_message_body_or_metric() {
    let authenticator = authenticator(CLOSED);
    let jwt = format!("{SECRET}.b.c");
    let basic = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
    let (_, issued) = headgate_wire::key::mint(7, &[7; 32]);
    let mut shown = Vec::new();
    for secret in [SECRET, &jwt, "planted-secret-31337 wrong", &issued, &issued[..20]] {
        let user_and_key = format!("user:{secret}");
        let headers = [format!("Bearer {secret}"), basic(&user_and_key), basic(secret), format!("Digest {secret}")];
        for header in headers {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&header).unwrap())]);
            show(&authenticator, &attempt(&headers, Permission::Read), &mut shown);
        }
        for query in [
            QueryCarrier { token: Some(secret), ..QueryCarrier::default() },
            QueryCarrier { username: Some(secret), api_key: Some(secret), ..QueryCarrier::default() },
        ] {
            let headers = HeaderMap::new();
            for subprotocol in [None, Some(secret)] {
                let carriers = Carriers { headers: &headers, subprotocol, query };
                show(&authenticator, &Attempt { carriers, ..attempt(&headers, Permission::Read) }, &mut shown);
            }
        }
    }
    shown.push(format!("{authenticator:?}{}", metrics_of(&authenticator)));
    let shown = shown.concat();
    let digest = KeyDigest::of(SECRET).to_string();
    for secret in [SECRET, &issued[..20], &base64::engine::general_purpose::STANDARD.encode(SECRET), &digest[7..]] {
        assert!(!shown.contains(secret), "{secret} shows");
    }
}

/// Everything that an attempt leaves behind.
fn show(authenticator: &Authenticator, attempt: &Attempt<'_>, shown: &mut Vec<String>) {
    let credential = credential::extract(&attempt.carriers, QueryCredentials::Allowed);
    shown.push(format!("{attempt:?}{credential:?}"));
    match authenticate(authenticator, attempt) {
        Ok(principal) => shown.push(format!("{principal:?}{principal}")),
        Err(rejection) => {
            shown.push(format!("{rejection:?}{rejection}{}{:?}", rejection.body(), rejection.headers()));
        }
    }
}

/// KEY-2: the middle of many runs in turns, so that a busy machine slows both down alike.
#[test]
fn a_known_key_id_and_an_unknown_one_cost_the_same_to_refuse() {
    const ROUNDS: usize = 2_000;
    let issued: Vec<_> = (0..100_u8).map(|n| headgate_wire::key::mint(u64::from(n), &[n; 32])).collect();
    let verifiers = issued.iter().map(|(id, key)| verifier(id, key, &[Permission::Read])).collect();
    let ring = KeyRing::from_verifiers(verifiers).unwrap();
    let (_, other) = headgate_wire::key::mint(7777, &[200; 32]);
    // Another secret under a known id, with its right checksum, as somebody makes it who has seen the id.
    let (id, with_known_id) = headgate_wire::key::mint(50, &[201; 32]);
    assert_eq!(id, issued[50].0);
    let time = |key: &str| {
        let begin = std::time::Instant::now();
        assert!(std::hint::black_box(ring.authenticate(std::hint::black_box(key), NOW)).is_err());
        begin.elapsed()
    };
    let (mut unknown_times, mut known_times): (Vec<_>, Vec<_>) =
        (0..ROUNDS).map(|_| (time(&other), time(&with_known_id))).unzip();
    unknown_times.sort_unstable();
    known_times.sort_unstable();
    let ratio = known_times[ROUNDS / 2].as_secs_f64() / unknown_times[ROUNDS / 2].as_secs_f64();
    assert!((0.5..2.0).contains(&ratio), "a known id takes {ratio:.2} times as long");
}

proptest! {
    #[test]
    fn a_closed_endpoint_lets_nobody_in_without_the_key(value in "[ -~]{0,60}", token in proptest::option::of("[ -~]{0,40}")) {
        prop_assume!(!value.contains(SECRET) && token.as_ref().is_none_or(|t| t != SECRET));
        let authenticator = authenticator("auth: {mode: ApiKey}\npublicAccess: {queryCredentials: Allowed}");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&value).unwrap())]);
        let query = QueryCarrier { token: token.as_deref(), ..QueryCarrier::default() };
        for headers in [headers, HeaderMap::new()] {
            let carriers = Carriers { headers: &headers, subprotocol: None, query };
            let attempt = Attempt { carriers, ..attempt(&headers, Permission::Read) };
            let rejection = authenticate(&authenticator, &attempt).unwrap_err();
            prop_assert_ne!(rejection.kind(), RejectionKind::Unavailable);
        }
    }
}
