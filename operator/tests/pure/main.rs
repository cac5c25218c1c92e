//! The pure steps as their users meet them: manifests in, `gateway.yaml` or problems out.
//!
//! A file in `cases/` holds the StreamEndpoint in question, and, as far as it depends on them, KafkaConnections, its
//! Namespace, Secrets, and other StreamEndpoints. What becomes of it is in `golden/` under the same name: `gateway.yaml`,
//! or for a case in `cases/children/` every child. Adding a case is adding a file:
//! `HEADGATE_UPDATE_GOLDEN=1 cargo test -p headgate-operator` writes what is missing or has changed.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test needs is there, or the test has failed")]

mod case;
mod children;

use case::{case, check_golden, endpoint, files, package};
use headgate_crds::types::{BootstrapServers, Text as _};
use headgate_crds::{API_VERSION, KafkaConnection, StreamEndpoint, yaml};
use headgate_operator::{Invalid, References, Settings, gateway_config, to_yaml, validate};
use headgate_wire::GatewayConfig;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;

fn rendered(result: &Result<GatewayConfig, Invalid>) -> String {
    match result {
        Ok(config) => to_yaml(config),
        Err(invalid) => {
            let problem = |p: &headgate_operator::Problem| json!({"field": p.field, "message": p.message, "reason": p.reason.as_str()});
            yaml::to_string(&json!({"problems": invalid.problems.iter().map(problem).collect::<Vec<_>>()})).unwrap()
        }
    }
}

fn built(endpoint: &StreamEndpoint, references: &References) -> Result<GatewayConfig, Invalid> {
    validate(endpoint, references).map(|endpoint| gateway_config(&endpoint, &Settings::default()))
}

#[test]
fn every_case_becomes_its_golden_file() {
    for (name, text) in files("operator/tests/cases/*.yaml") {
        let (endpoint, references) = case(&text);
        let rendered = rendered(&built(&endpoint, &references));
        check_golden(&name, &rendered);
    }
}

#[test]
fn every_golden_file_belongs_to_a_case() {
    let names = |pattern: &str| files(pattern).into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    for folder in ["", "children/"] {
        let of = |kind: &str| names(&format!("operator/tests/{kind}/{folder}*.yaml"));
        assert_eq!(of("golden"), of("cases"), "{folder}");
    }
}

#[test]
fn the_gateway_reads_every_configuration_as_it_was_meant() {
    let mut read = 0;
    for (name, text) in files("operator/tests/cases/*.yaml") {
        let (endpoint, references) = case(&text);
        let Ok(config) = built(&endpoint, &references) else { continue };
        let golden = fs::read_to_string(package().join("tests/golden").join(&name)).unwrap();
        let parsed: GatewayConfig = serde_yaml::from_str(&golden).unwrap();
        assert_eq!(parsed, config, "{name}");
        read += 1;
    }
    assert!(read >= 10, "only {read} cases are valid");
}

#[test]
fn a_missing_connection_cannot_be_told_from_a_forbidden_one() {
    let same = |case: &str| {
        let path = package().join(format!("tests/golden/topic-not-allowed-{case}.yaml"));
        fs::read_to_string(path).unwrap()
    };
    for case in ["pattern", "namespace", "nobody"] {
        assert_eq!(same(case), same("missing"), "{case}");
    }
}

#[test]
fn examples_are_valid_where_the_example_of_a_connection_is_applied() {
    let examples = files("examples/*.yaml");
    let connections: Vec<KafkaConnection> = examples
        .iter()
        .flat_map(|(_, text)| yaml::documents(text).unwrap())
        .filter(|document| document["kind"] == "KafkaConnection")
        .map(|document| serde_json::from_value(document).unwrap())
        .collect();
    for (name, text) in &examples {
        let documents = yaml::documents(text).unwrap();
        for document in documents.iter().filter(|document| document["kind"] == "StreamEndpoint") {
            let mut endpoint = endpoint(document);
            // kubectl applies an example in the namespace after which its topics are called.
            let namespace = endpoint.spec.topic.split('.').next().unwrap().to_owned();
            let labels = [("streams", "enabled"), ("kubernetes.io/metadata.name", &namespace)];
            let namespace_labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            endpoint.metadata.namespace = Some(namespace);
            let references = References { namespace_labels, connections: connections.clone(), ..References::default() };
            let problems = validate(&endpoint, &references).err().map(|invalid| invalid.problems).unwrap_or_default();
            assert_eq!(problems, [], "{name}");
        }
    }
}

/// Refused manifests of the API's own tests whose mistake is gone once they are read: unknown fields, and a list that is
/// empty instead of absent. The types know neither.
const LOST_WHEN_READ: [&str; 3] =
    ["structure-empty-lists.yaml", "structure-secret-namespace.yaml", "structure-unknown-fields.yaml"];

/// Manifests of the API's own tests that can be read as a StreamEndpoint: one state of one object.
fn manifests(pattern: &str) -> Vec<(String, StreamEndpoint)> {
    let read = |(name, text): (String, String)| match yaml::documents(&text).unwrap().as_slice() {
        [only] if only["kind"] == "StreamEndpoint" && only["apiVersion"] == API_VERSION => {
            let mut endpoint: StreamEndpoint = serde_json::from_value(only.clone()).ok()?;
            // kubectl fills it in.
            endpoint.metadata.namespace.get_or_insert_with(|| "shop".to_owned());
            Some((name, endpoint))
        }
        _ => None,
    };
    files(pattern).into_iter().filter_map(read).collect()
}

fn unrestricted(endpoint: &StreamEndpoint) -> References {
    References::unrestricted(endpoint, BootstrapServers::unchecked("127.0.0.1:9092".to_owned()))
}

#[test]
fn what_the_api_server_refuses_is_refused_without_it() {
    let manifests = manifests("crds/tests/refuse/*.yaml");
    assert!(manifests.len() >= 30, "only {} manifests", manifests.len());
    let accepted = manifests.iter().filter(|(_, endpoint)| match validate(endpoint, &unrestricted(endpoint)) {
        Ok(_) => true,
        Err(invalid) => invalid.problems.is_empty(),
    });
    assert_eq!(accepted.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), LOST_WHEN_READ);
}

#[test]
fn what_the_api_server_accepts_is_refused_only_where_it_is_not_offered() {
    let not_offered = ["is not offered by", "gateways of this version"];
    for (name, endpoint) in manifests("crds/tests/accept/*.yaml") {
        let problems = validate(&endpoint, &unrestricted(&endpoint)).err().map(|i| i.problems).unwrap_or_default();
        for problem in problems {
            assert!(not_offered.iter().any(|words| problem.message.contains(words)), "{name}: {problem}");
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for (_, text) in files("operator/tests/cases/*.yaml") {
        let run = || {
            let (endpoint, references) = case(&text);
            rendered(&built(&endpoint, &references))
        };
        assert_eq!(run(), run());
    }
}
