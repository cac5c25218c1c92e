//! What the API server and the operator accept, a gateway accepts: only this package knows both.
#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    reason = "the result is what is tested; what a test needs is there, or the test has failed"
)]

use headgate_crds::types::{
    AppName, AttributeName, Audience, BootstrapServers, Cidr, ClaimPath, EventType, IssuerUrl, Origin, Text, TopicName,
};
use headgate_crds::{StreamEndpoint, yaml};
use headgate_gateway::Config;
use headgate_operator::{References, Settings, gateway_config, to_yaml, validate};
use headgate_wire::GatewayConfig;
use headgate_wire::config::bounds::Bounds;
use headgate_wire::key::VerifierFile;
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Texts of this type, made from its pattern.
fn any<T: Text + std::fmt::Debug>() -> impl Strategy<Value = String> {
    let pattern = T::PATTERN.trim_start_matches('^').trim_end_matches('$');
    let kept = |text: &String| T::new(text).is_ok();
    proptest::string::string_regex(pattern).unwrap().prop_filter("it is too long or reserved", kept)
}

/// Networks. A text that is made from the pattern is nearly always an address with bits behind its prefix, which the
/// operator refuses.
fn networks() -> impl Strategy<Value = String> {
    let network = |text: String| text.parse::<IpNet>().map(|network| network.trunc().to_string()).unwrap_or(text);
    any::<Cidr>().prop_map(network)
}

fn manifest(spec: &Value) -> Value {
    let mut manifest = json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "StreamEndpoint",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"app": "orders", "topic": "shop.orders", "auth": {"mode": "ApiKey"}},
    });
    manifest["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    manifest
}

/// What the operator gives a gateway for this manifest; `None` if it refuses the manifest.
fn built(manifest: &Value) -> Option<GatewayConfig> {
    let endpoint: StreamEndpoint = serde_json::from_value(manifest.clone()).unwrap();
    let references = References::unrestricted(&endpoint, BootstrapServers::new("kafka:9092").unwrap());
    validate(&endpoint, &references).ok().map(|endpoint| gateway_config(&endpoint, &Settings::default()))
}

/// A gateway reads and checks the configuration, with a keys file where it asks for one.
fn started(mut config: GatewayConfig) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let keys_file: PathBuf = folder.path().join("keys.json");
    std::fs::write(&keys_file, serde_json::to_vec(&VerifierFile::default()).unwrap()).unwrap();
    config.auth.keys_file = config.auth.keys_file.map(|_| keys_file);
    // As in dev mode: a single gateway needs no key of tickets from outside.
    config.auth.ticket_key_file = None;
    let read = Config::parse_yaml(&to_yaml(&config)).map_err(|error| error.to_string())?;
    Config::load(read, Vec::new()).map(drop).map_err(|error| error.to_string())
}

fn accepted(spec: &Value) -> TestCaseResult {
    let config = built(&manifest(spec));
    prop_assert!(config.is_some(), "the operator refuses it");
    prop_assert_eq!(config.map(started), Some(Ok(())));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_text_of_a_valid_manifest_is_valid_for_a_gateway(
        app in any::<AppName>(),
        topic in any::<TopicName>(),
        servers in any::<BootstrapServers>(),
        origin in any::<Origin>(),
        event_type in any::<EventType>(),
    ) {
        accepted(&json!({
            "app": app,
            "topic": topic,
            "kafka": {"bootstrapServers": servers},
            "publicAccess": {"allowedOrigins": [origin]},
            "stream": {"eventType": event_type},
        }))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_text_about_tokens_of_a_valid_manifest_is_valid_for_a_gateway(
        issuer in any::<IssuerUrl>(),
        audience in any::<Audience>(),
        claim in any::<ClaimPath>(),
        attribute in any::<AttributeName>(),
        proxy in networks(),
    ) {
        let wanted = json!([{"claim": claim, "values": ["a"]}]);
        let oidc = json!({
            "issuerURL": issuer,
            "audiences": [audience],
            "usernameClaim": claim,
            "rolesClaim": claim,
            "organizationClaim": claim,
            "required": wanted,
            "publish": wanted,
            "filters": [{"attribute": attribute, "claim": claim}],
        });
        accepted(&json!({
            "auth": {"mode": "OIDC", "oidc": oidc},
            "publicAccess": {"trustedProxies": [proxy]},
        }))?;
    }
}

#[test]
fn every_number_at_its_bound_starts_a_gateway() {
    let numbers = built(&manifest(&json!({}))).unwrap().numbers();
    let picks: [fn(Bounds) -> u64; 2] = [|bounds| bounds.least, |bounds| bounds.most];
    for pick in picks {
        let mut spec = json!({});
        for (bounds, _) in numbers {
            let node = bounds.field.split('.').fold(&mut spec, |node, name| &mut node[name]);
            *node = pick(bounds).into();
        }
        accepted(&spec).unwrap();
    }
}

#[test]
fn every_accepted_manifest_that_the_operator_builds_starts_a_gateway() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/tests/accept");
    let mut started_some = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for document in yaml::documents(&std::fs::read_to_string(&path).unwrap()).unwrap() {
            let is_endpoint = document["kind"] == "StreamEndpoint";
            let mut document = headgate_crds::lint::with_defaults(&document).unwrap();
            if document["metadata"]["namespace"].is_null() {
                document["metadata"]["namespace"] = "shop".into();
            }
            let Some(config) = is_endpoint.then(|| built(&document)).flatten() else { continue };
            assert_eq!(started(config), Ok(()), "{}", path.display());
            started_some += 1;
        }
    }
    assert!(started_some >= 5, "only {started_some}");
}
