//! That every mistake is reported with its field, all at once, and that none of them opens a stream.

use super::*;
use crate::auth::brought_keys::brought_keys;
use headgate_wire::config::{Auth, ClaimFilter, ClaimMatch, Oidc};
use headgate_wire::filter::Filter;

fn valid() -> GatewayConfig {
    let text = "app: orders\nkafka: {bootstrapServers: 'a:9092, b:9092', topic: shop.orders}\nauth: {mode: None}\n\
                publicAccess: {anonymous: true}";
    Config::parse_yaml(text).unwrap()
}

/// The fields that are complained about after a change to a valid configuration.
fn problems_after(change: impl FnOnce(&mut GatewayConfig)) -> Vec<String> {
    let mut wire = valid();
    change(&mut wire);
    match Config::load(wire, Vec::new()) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Invalid { problems }) => problems.into_iter().map(|problem| problem.field).collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn the_unchanged_configuration_is_accepted() {
    assert_eq!(problems_after(|_| {}), [""; 0]);
}

#[test]
fn the_examples_of_the_reference_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let keys = include_str!("../../../wire/src/config/example-keys.json");
    std::fs::write(folder.path().join("keys.json"), keys).unwrap();
    let text = include_str!("../../../wire/src/config/example.yaml");
    let here = text.replace("/etc/headgate", &folder.path().display().to_string());
    let config = Config::load(Config::parse_yaml(&here).unwrap(), Vec::new()).unwrap();
    assert_eq!((config.wire.app.as_str(), config.key_ring.len()), ("orders", 1));
}

#[test]
fn each_field_out_of_bounds_is_named() {
    type Change = fn(&mut GatewayConfig);
    let cases: [(&str, Change); 24] = [
        ("app", |c| c.app = "a/b".into()),
        ("app", |c| c.app = "ws".into()),
        ("app", |c| c.app = "..".into()),
        ("listeners.admin", |c| c.listeners.admin = c.listeners.stream),
        ("app", |c| c.app = "status".into()),
        ("kafka.bootstrapServers", |c| c.kafka.bootstrap_servers = "a:9092,,".into()),
        ("kafka.bootstrapServers", |c| c.kafka.bootstrap_servers = "a:0".into()),
        ("kafka.bootstrapServers", |c| c.kafka.bootstrap_servers = "a:9092,[::1]:65536".into()),
        ("kafka.topic", |c| c.kafka.topic = "a b".into()),
        ("kafka.tls", |c| {
            c.kafka.tls = Some(headgate_wire::config::KafkaTls { key_file: Some("k".into()), ..Default::default() });
        }),
        ("stream.eventType", |c| c.stream.event_type = String::new()),
        ("stream.filters[0]", |c| c.stream.filters = vec![Filter::All(vec![])]),
        ("stream.replay.ringBytes", |c| c.stream.replay.ring_bytes = 1024),
        ("stream.replay.maxConcurrent", |c| c.stream.replay.max_concurrent = 257),
        ("stream.maxDelayMilliseconds", |c| c.stream.max_delay_milliseconds = 1001),
        ("publicAccess.allowedOrigins", |c| c.public_access.allowed_origins = vec!["*".into()]),
        ("limits.maxConnections", |c| c.limits.max_connections = 0),
        ("limits.maxConnectionsPerKey", |c| c.limits.max_connections_per_key = 0),
        ("limits.maxConnectionsPerAddress", |c| c.limits.max_connections_per_address = 1_000_001),
        ("limits.maxInboundBytes", |c| c.limits.max_inbound_bytes = 511),
        ("limits.handshakesPerSecond", |c| c.limits.handshakes_per_second = 0),
        ("limits.pingSeconds", |c| c.limits.ping_seconds = c.limits.idle_timeout_seconds),
        ("drainSeconds", |c| c.drain_seconds = 0),
        ("drainSeconds", |c| c.drain_seconds = 901),
    ];
    for (field, change) in cases {
        assert_eq!(problems_after(change), [field]);
    }
}

#[test]
fn brokers_may_be_written_as_librdkafka_reads_them() {
    for servers in ["a:9092", "a", "a:1, b:65535", "[::1]:9092", "[::1]", "PLAINTEXT://a:9092"] {
        assert_eq!(problems_after(|c| c.kafka.bootstrap_servers = servers.into()), [""; 0], "{servers}");
    }
    for servers in ["", ":9092", "a:", "a:x", "a:+1", "a b:1", "u@a:1", "a:1/b", "://a:1,"] {
        assert_eq!(
            problems_after(|c| c.kafka.bootstrap_servers = servers.into()),
            ["kafka.bootstrapServers"],
            "{servers}"
        );
    }
}

#[test]
fn no_combination_of_modes_and_keys_opens_a_stream_by_accident() {
    use AuthMode::{ApiKey, ApiKeyOrOidc, None, Oidc};
    for (mode, anonymous, keys, accepted) in [
        (None, false, false, false),
        (None, true, false, true),
        (None, true, true, false),
        (ApiKey, false, false, false),
        (ApiKey, true, false, false),
        (ApiKey, false, true, true),
        (ApiKey, true, true, true),
        (Oidc, false, true, false),
        (Oidc, true, false, false),
        (ApiKeyOrOidc, false, true, false),
    ] {
        // A mode with tokens says whose; that is another test.
        let mut wire = valid();
        wire.auth.mode = mode;
        wire.public_access.anonymous = anonymous;
        let keys = if keys { brought_keys("0123456789abcdef").unwrap().verifiers } else { Vec::new() };
        assert_eq!(Config::load(wire, keys).is_ok(), accepted, "{mode:?} {anonymous}");
    }
}

#[test]
fn a_keys_file_that_cannot_be_read_refuses_to_start() {
    let fields = problems_after(|c| {
        c.auth = Auth::keys(AuthMode::ApiKey, Some("/nonexistent/keys.json".into()));
    });
    assert_eq!(fields, ["auth.keysFile"]);
}

#[test]
fn all_problems_are_reported_at_once_with_their_remedies() {
    let mut wire = valid();
    wire.app = String::new();
    wire.drain_seconds = 0;
    wire.public_access.anonymous = false;
    let text = Config::load(wire, Vec::new()).unwrap_err().to_string();
    assert!(text.starts_with("the configuration has 3 problems:"), "{text}");
    assert!(text.contains("\n  drainSeconds: is 0, must be 1 to 900"), "{text}");
}

#[test]
fn a_secret_property_shows_neither_in_debug_output_nor_in_problems() {
    let mut wire = valid();
    wire.kafka.properties.0.insert("sasl.password".into(), "planted-31337".into());
    let config = Config::load(wire.clone(), Vec::new()).unwrap();
    wire.app = String::new();
    let error = Config::load(wire, Vec::new()).unwrap_err();
    assert!(!format!("{config:?}{error:?}{error}").contains("planted-31337"));
}

fn with_tokens(change: impl Fn(&mut Oidc)) -> Vec<String> {
    problems_after(|config| {
        let oidc = serde_json::json!({ "issuerURL": "https://id.example.com", "audiences": ["orders"] });
        let mut oidc = serde_json::from_value(oidc).unwrap();
        change(&mut oidc);
        config.auth = Auth { oidc: Some(oidc), ..Auth::keys(AuthMode::Oidc, None) };
        config.public_access.anonymous = false;
    })
}

#[test]
fn tokens_need_an_issuer_an_audience_and_nothing_without_effect() {
    assert_eq!(with_tokens(|_| ()), [""; 0]);
    for issuer in ["https://id.example.com/realms/a", "http://127.0.0.1:4444", "http://[::1]:1", "http://localhost/x"] {
        assert_eq!(with_tokens(|oidc| oidc.issuer_url = issuer.into()), [""; 0], "{issuer}");
    }
    for issuer in [
        "",
        "id.example.com",
        "http://id.example.com",
        "https://",
        "https://a/?x=1",
        "https://u@a/",
        "ftp://a",
        "https://id.example.com/.well-known/openid-configuration",
        "https://id.example.com/.well-known/openid-configuration/",
    ] {
        assert_eq!(with_tokens(|oidc| oidc.issuer_url = issuer.into()), ["auth.oidc.issuerURL"], "{issuer}");
    }
    assert_eq!(with_tokens(|oidc| oidc.audiences.clear()), ["auth.oidc.audiences"]);
    assert_eq!(with_tokens(|oidc| oidc.algorithms.clear()), ["auth.oidc.algorithms"]);
    assert_eq!(with_tokens(|oidc| oidc.username_claim.clear()), ["auth.oidc"]);
    let nothing = || vec![ClaimMatch { claim: "tenant".into(), values: Vec::new() }];
    assert_eq!(with_tokens(|oidc| oidc.required = nothing()), ["auth.oidc.required"]);
    assert_eq!(with_tokens(|oidc| oidc.publish = nothing()), ["auth.oidc.publish"]);
    let filter = |attribute: &str| vec![ClaimFilter { attribute: attribute.into(), claim: "device".into() }];
    assert_eq!(with_tokens(|oidc| oidc.filters = filter("Subject")), ["auth.oidc.filters"]);
    assert_eq!(problems_after(|config| config.auth.mode = AuthMode::ApiKeyOrOidc), ["auth.keysFile", "auth.oidc"]);
    for proxies in ["10.0.0.1", "10.0.0.5/8", "0.0.0.0/0", "::/0"] {
        let change = |config: &mut GatewayConfig| config.public_access.trusted_proxies = vec![proxies.into()];
        assert_eq!(problems_after(change), ["publicAccess.trustedProxies"], "{proxies}");
    }
}

#[test]
fn every_origin_and_proxy_that_is_none_is_told_at_once() {
    let both = |config: &mut GatewayConfig| {
        config.public_access.allowed_origins = ["*", "https://a.example", "b.example"].map(str::to_owned).into();
        config.public_access.trusted_proxies = ["10.0.0.1", "0.0.0.0/0"].map(str::to_owned).into();
    };
    let (origins, proxies) = ("publicAccess.allowedOrigins", "publicAccess.trustedProxies");
    assert_eq!(problems_after(both), [origins, origins, proxies, proxies]);
}

#[test]
fn row_filters_and_anonymous_readers_exclude_each_other() {
    let mut wire = valid();
    let oidc = serde_json::json!({ "issuerURL": "https://id.example.com", "audiences": ["orders"],
        "filters": [{ "attribute": "subject", "claim": "device" }] });
    wire.auth = Auth { oidc: Some(serde_json::from_value(oidc).unwrap()), ..Auth::keys(AuthMode::Oidc, None) };
    wire.public_access.anonymous = true;
    let error = Config::load(wire, Vec::new()).unwrap_err().to_string();
    assert!(error.contains("auth.oidc.filters: they limit what a caller sees"), "{error}");
}
