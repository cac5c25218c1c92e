//! The CRD and the gateway have the same bounds: what the API server accepts keeps no gateway from starting, and what a
//! gateway could take is not refused without a reason.
//!
//! The gateway checks with `headgate_wire::config::bounds`, so that the CRD is compared with those.
#![expect(clippy::unwrap_used, reason = "what a test needs is there, or the test has failed")]

use headgate_crds::codegen::{schema, stream_endpoint_crd};
use headgate_crds::types::{AppName, AttributeName, EventType, Text, TopicName};
use headgate_crds::v1alpha1::{MAX_COMPARISONS, MAX_FILTER_DEPTH};
use headgate_wire::GatewayConfig;
use headgate_wire::config::SigningAlgorithm;
use headgate_wire::config::bounds::{
    MAX_AUDIENCES, MAX_CLAIM_FILTERS, MAX_CLAIM_VALUES, MAX_CLAIMS, MAX_EVENT_TYPE_LENGTH, MAX_FILTERS, MAX_ORIGINS,
    MAX_TOPIC_LENGTH, MAX_TRUSTED_PROXIES,
};
use headgate_wire::endpoints::RESERVED_APPS;
use headgate_wire::filter;
use serde_json::Value;
use std::collections::BTreeSet;

/// Sections of the manifest that the gateway reads as they are.
const SHARED: [&str; 3] = ["stream", "limits", "drainSeconds"];

/// The schema of a field below `spec`.
fn field(path: &str) -> &'static Value {
    let spec = &schema(stream_endpoint_crd())["properties"]["spec"];
    path.split('.').fold(spec, |node, name| &node["properties"][name])
}

/// A configuration in which every number has its default.
fn defaults() -> GatewayConfig {
    serde_yaml::from_str("{app: a, kafka: {bootstrapServers: 'k:1', topic: t}, auth: {mode: None}}").unwrap()
}

/// Paths of the numbers below a node of the schema.
fn numbers(node: &Value, path: &str, found: &mut BTreeSet<String>) {
    if node["type"] == "integer" {
        found.insert(path.to_owned());
    }
    for (name, member) in node["properties"].as_object().into_iter().flatten() {
        numbers(member, &format!("{path}.{name}"), found);
    }
}

#[test]
fn every_number_has_the_same_bounds_and_default_in_both() {
    for (bounds, default) in defaults().numbers() {
        let node = field(bounds.field);
        let number = |keyword: &str| node[keyword].as_f64().map(|number| number as u64);
        let found = (number("minimum"), number("maximum"), number("default"));
        assert_eq!(found, (Some(bounds.least), Some(bounds.most), Some(default)), "{}", bounds.field);
    }
}

#[test]
fn no_number_that_a_gateway_reads_is_without_bounds() {
    let mut in_the_crd = BTreeSet::new();
    for section in SHARED {
        numbers(field(section), section, &mut in_the_crd);
    }
    let bounded = defaults().numbers().map(|(bounds, _)| bounds.field.to_owned());
    assert_eq!(in_the_crd, BTreeSet::from(bounded));
}

#[test]
fn lists_and_texts_have_the_same_bounds_in_both() {
    assert_eq!(field("stream.filters")["maxItems"], MAX_FILTERS);
    for (path, most) in [
        ("publicAccess.allowedOrigins", MAX_ORIGINS),
        ("publicAccess.trustedProxies", MAX_TRUSTED_PROXIES),
        ("auth.oidc.audiences", MAX_AUDIENCES),
        ("auth.oidc.required", MAX_CLAIMS),
        ("auth.oidc.publish", MAX_CLAIMS),
        ("auth.oidc.filters", MAX_CLAIM_FILTERS),
    ] {
        assert_eq!(field(path)["maxItems"], most, "{path}");
    }
    for claims in ["required", "publish"] {
        let entry = &field(&format!("auth.oidc.{claims}"))["items"];
        assert_eq!(entry["properties"]["values"]["maxItems"], MAX_CLAIM_VALUES, "{claims}");
    }
    assert_eq!(TopicName::MAX_LENGTH, MAX_TOPIC_LENGTH);
    assert_eq!(EventType::MAX_LENGTH, MAX_EVENT_TYPE_LENGTH);
    assert_eq!(AttributeName::MAX_LENGTH, filter::MAX_ATTRIBUTE_NAME);
    assert_eq!(field("stream.eventType")["default"], headgate_wire::endpoints::DEFAULT_EVENT_TYPE);
}

#[test]
fn the_same_algorithms_are_accepted_where_none_is_named() {
    let by_the_gateway = serde_json::to_value(SigningAlgorithm::usual()).unwrap();
    assert_eq!(field("auth.oidc.algorithms")["default"], by_the_gateway);
}

#[test]
fn the_same_names_of_apps_are_reserved() {
    assert_eq!(AppName::RESERVED, RESERVED_APPS);
}

/// A client's own filter may nest deeper and compare more at once: a schema has to spell out every level.
#[test]
fn every_filter_of_a_manifest_is_within_the_gateways_bounds() {
    const { assert!(MAX_FILTER_DEPTH <= filter::MAX_FILTER_DEPTH) }
    const { assert!(MAX_COMPARISONS <= filter::MAX_FILTER_LEAVES) }
}
