//! What the cases cannot show: the list of problems, keys in the model, and endpoints on nobody's connection.
#![expect(
    clippy::unwrap_in_result,
    reason = "the result is what is tested; the rest of a test is right, or it has failed"
)]

use super::*;
use crate::cluster_tokens::Unusable;
use headgate_crds::types::BootstrapServers;
use headgate_wire::key::{KeyDigest, Permission};
use proptest::prelude::*;
use serde_json::{Value, json};

fn endpoint(spec: &Value) -> StreamEndpoint {
    let mut manifest = json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "StreamEndpoint",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"app": "orders", "topic": "shop.orders", "auth": {"mode": "ApiKey"}},
    });
    manifest["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(manifest).unwrap()
}

fn validated(spec: &Value) -> Result<Endpoint, Invalid> {
    let endpoint = endpoint(spec);
    let references = References::unrestricted(&endpoint, BootstrapServers::new("127.0.0.1:9092").unwrap());
    validate(&endpoint, &references)
}

fn fields(spec: &Value) -> Vec<String> {
    validated(spec).err().into_iter().flat_map(|invalid| invalid.problems).map(|problem| problem.field).collect()
}

#[test]
fn keys_reach_the_model_with_their_permissions_ends_and_digests() {
    let hash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let keys = json!([{"name": "web", "expiresAt": "2027-01-01T00:00:00Z"}, {"name": "etl", "keyHash": hash}]);
    let endpoint = validated(&json!({"auth": {"mode": "ApiKey", "apiKeys": keys}})).unwrap();
    let [web, etl] = endpoint.auth.keys() else { panic!("{:?}", endpoint.auth) };
    assert_eq!((web.name.as_str(), web.digest), ("web", None));
    assert_eq!(web.expires_at.map(|end| end.to_string()).as_deref(), Some("2027-01-01T00:00:00Z"));
    assert_eq!(web.permissions, [Permission::Read].into());
    assert_eq!((etl.expires_at, etl.digest), (None, Some(KeyDigest::of("test"))));
}

#[test]
fn an_endpoint_that_lists_no_key_has_one() {
    let endpoint = validated(&json!({})).unwrap();
    assert_eq!(endpoint.auth.keys().iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["default"]);
}

#[test]
fn a_problem_hides_others_of_its_own_field_only() {
    let mut problems = Problems::default();
    problems.invalid("spec.stream.filters[1]", "");
    problems.add(Reason::GuardrailExceeded, "spec.kafka", "");
    for (field, covered) in [
        ("spec.stream.filters[1]", true),
        ("spec.stream.filters[1].exact", true),
        ("spec.stream.filters[1][0]", true),
        ("spec.stream.filters[10]", false),
        ("spec.stream.filters", false),
        ("spec.kafka", false),
        ("spec.kafka.tls", false),
    ] {
        assert_eq!(problems.covers(field), covered, "{field}");
    }
}

#[test]
fn an_endpoint_without_a_namespace_is_refused() {
    let mut endpoint = endpoint(&json!({}));
    endpoint.metadata.namespace = None;
    let error = validate(&endpoint, &References::default()).unwrap_err().to_string();
    assert!(error.contains("metadata.namespace: is missing"), "{error}");
}

#[test]
fn an_old_status_makes_no_endpoint_wrong() {
    let mut endpoint = endpoint(&json!({}));
    endpoint.status = serde_json::from_value(json!({"url": "x".repeat(4096)})).unwrap();
    let references = References::unrestricted(&endpoint, BootstrapServers::new("127.0.0.1:9092").unwrap());
    assert!(validate(&endpoint, &references).is_ok());
}

#[test]
fn without_restrictions_every_wish_that_a_connection_can_grant_is_granted() {
    let access = json!({
        "anonymous": true,
        "exposure": "Gateway",
        "hostname": "a.b.c.example.com",
        "gateway": {"parentRefs": [{"name": "public"}]},
    });
    for kafka in [json!({}), json!({"connectionRef": {"name": "platform"}})] {
        let spec = json!({"kafka": kafka, "replicas": 100, "publicAccess": access});
        assert_eq!(fields(&spec), [""; 0]);
    }
}

#[test]
fn a_filter_is_bounded_as_a_whole() {
    let comparison = json!({"exact": {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}});
    let filter = |count: usize| json!({"stream": {"filters": [{"any": vec![comparison.clone(); count]}]}});
    assert_eq!(fields(&filter(12)), [""; 0]);
    assert_eq!(fields(&filter(13)), ["spec.stream.filters[0]"]);
    assert_eq!(fields(&json!({"stream": {"filters": vec![comparison.clone(); 16]}})), [""; 0]);
    assert_eq!(fields(&json!({"stream": {"filters": vec![comparison; 17]}})), ["spec.stream.filters"]);
    for (wrong, field) in [
        (json!({"any": []}), "any"),
        (json!({"exact": {}}), "exact"),
        (json!({"exact": {"a": ""}}), "exact.a"),
        (json!({"exact": {"a": "x".repeat(257)}}), "exact.a"),
    ] {
        let field = format!("spec.stream.filters[0].{field}");
        assert_eq!(fields(&json!({"stream": {"filters": [wrong]}})), [field], "{wrong}");
    }
}

#[test]
fn a_filter_of_a_key_is_bounded_as_that_of_the_stream_is() {
    let comparison = json!({"exact": {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}});
    let with = |filters: Value| json!({"auth": {"mode": "ApiKey", "apiKeys": [{"name": "web", "filters": filters}]}});
    assert_eq!(fields(&with(json!([{"any": vec![comparison.clone(); 12]}]))), [""; 0]);
    assert_eq!(fields(&with(json!([{"any": vec![comparison.clone(); 13]}]))), ["spec.auth.apiKeys[0].filters[0]"]);
    assert_eq!(fields(&with(json!(vec![comparison; 5]))), ["spec.auth.apiKeys[0].filters"]);
}

#[test]
fn tokens_of_the_cluster_need_an_api_server_that_says_how_they_are_checked() {
    let endpoint = endpoint(&json!({"auth": {"mode": "OIDC", "oidc": {"kubernetes": {}, "audiences": ["orders"]}}}));
    let nobody_looked = References::unrestricted(&endpoint, BootstrapServers::new("127.0.0.1:9092").unwrap());
    assert!(validate(&endpoint, &nobody_looked).is_ok(), "a manifest is judged without a cluster, too");
    for why in [Unusable::NotServed, Unusable::Issuer, Unusable::Keys] {
        let references = References { cluster_tokens: Some(Err(why)), ..nobody_looked.clone() };
        let problems = validate(&endpoint, &references).unwrap_err().problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(
            (problems[0].field.as_str(), problems[0].reason),
            ("spec.auth.oidc.kubernetes", Reason::ClusterTokensUnusable)
        );
        assert!(problems[0].message.contains(&why.to_string()), "{}", problems[0].message);
    }
}

#[test]
fn no_problem_repeats_what_could_be_a_key() {
    let keys = json!([{"name": "web", "keyHash": "hgk_planted_31337"}]);
    let invalid = validated(&json!({"auth": {"mode": "ApiKey", "apiKeys": keys}})).unwrap_err();
    assert!(!format!("{invalid}{invalid:?}").contains("31337"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_valid_is_within_bounds_and_what_is_not_has_a_problem(
        app in "[a-z.-]{0,3}",
        numbers in prop::array::uniform5(prop_oneof![Just(i32::MIN), -1..70_000i32, Just(i32::MAX)]),
    ) {
        let [connections, idle, ping, delay, drain] = numbers;
        let spec = json!({
            "app": app,
            "limits": {"maxConnections": connections, "idleTimeoutSeconds": idle, "pingSeconds": ping},
            "stream": {"maxDelayMilliseconds": delay},
            "drainSeconds": drain,
        });
        match validated(&spec) {
            Ok(endpoint) => {
                prop_assert!(endpoint.limits.max_connections > 0 && endpoint.drain_seconds > 0);
                prop_assert!(endpoint.limits.ping_seconds < endpoint.limits.idle_timeout_seconds);
                prop_assert!(endpoint.stream.max_delay_milliseconds <= 1000);
            }
            Err(invalid) => prop_assert!(!invalid.problems.is_empty()),
        }
    }
}
