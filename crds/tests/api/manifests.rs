//! Manifests that are accepted and refused.
//!
//! A file in `accept/` or `refuse/` is one object, or an old and a new state of one. A refused one says in leading
//! comments exactly which problems it has. Adding a case is adding a file.

use super::{manifests, walk};
use headgate_crds::codegen::{kafka_connection_crd, schema, stream_endpoint_crd};
use headgate_crds::lint::{check_manifest, is_ours, with_defaults};
use headgate_crds::v1alpha1::{KafkaConnection, StreamEndpoint};
use serde_json::Value;
use std::collections::BTreeSet;

/// Problems of the newest state in a file.
fn problems(name: &str, documents: &[Value]) -> Vec<String> {
    let found = match documents {
        [object] => check_manifest(object, None),
        [old, new] => {
            assert_eq!(check_manifest(old, None), [], "{name}: the old state must be right");
            check_manifest(new, Some(old))
        }
        _ => panic!("{name} has {} documents", documents.len()),
    };
    found.into_iter().map(|problem| problem.to_string()).collect()
}

/// Messages of every rule of both kinds.
fn messages() -> BTreeSet<String> {
    let mut messages = BTreeSet::new();
    for crd in [stream_endpoint_crd(), kafka_connection_crd()] {
        walk(schema(crd), "", &mut |_, node| {
            let rules = node["x-kubernetes-validations"].as_array().into_iter().flatten();
            messages.extend(rules.map(|rule| rule["message"].as_str().unwrap().to_owned()));
        });
    }
    messages
}

fn deserialize(name: &str, document: &Value) {
    let result = match document["kind"].as_str() {
        Some("StreamEndpoint") => serde_json::from_value::<StreamEndpoint>(document.clone()).map(drop),
        _ => serde_json::from_value::<KafkaConnection>(document.clone()).map(drop),
    };
    assert!(result.is_ok(), "{name} is accepted and cannot be read: {result:?}");
}

#[test]
fn accepted_manifests_have_no_problem() {
    for (name, _, documents) in manifests("crds/tests/accept/*.yaml") {
        assert_eq!(problems(&name, &documents), Vec::<String>::new(), "{name}");
        for document in &documents {
            deserialize(&name, &with_defaults(document).unwrap());
        }
    }
}

#[test]
fn refused_manifests_have_exactly_the_problems_that_they_name() {
    for (name, text, documents) in manifests("crds/tests/refuse/*.yaml") {
        let expected: BTreeSet<String> =
            text.lines().filter_map(|line| line.strip_prefix("# expects: ")).map(str::to_owned).collect();
        assert!(!expected.is_empty(), "{name} does not say what it expects");
        let found: BTreeSet<String> = problems(&name, &documents).into_iter().collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn problems_are_in_the_order_of_their_fields() {
    for (name, _, documents) in manifests("crds/tests/refuse/*.yaml") {
        let newest = documents.last().unwrap();
        let found = check_manifest(newest, documents.first().filter(|_| documents.len() > 1));
        assert!(found.is_sorted(), "{name}: {found:#?}");
    }
}

#[test]
fn every_rule_is_broken_by_a_manifest() {
    let mut rules = messages();
    for (name, _, documents) in manifests("crds/tests/refuse/*.yaml") {
        for problem in problems(&name, &documents) {
            rules.retain(|message| !problem.ends_with(message));
        }
    }
    assert!(rules.is_empty(), "add a file to crds/tests/refuse for: {rules:#?}");
}

#[test]
fn every_rule_is_kept_by_a_manifest() {
    let mut rules = messages();
    for (_, _, documents) in manifests("crds/tests/accept/*.yaml") {
        let transition = documents.len() == 2;
        for document in &documents {
            let crd = if document["kind"] == "StreamEndpoint" { stream_endpoint_crd() } else { kafka_connection_crd() };
            let object = with_defaults(document).unwrap();
            applied(schema(crd), &object, &mut |rule| {
                if transition || !rule["rule"].as_str().unwrap().contains("oldSelf") {
                    rules.remove(rule["message"].as_str().unwrap());
                }
            });
        }
    }
    assert!(rules.is_empty(), "add a file to crds/tests/accept for: {rules:#?}");
}

/// Calls `visit` with every rule that is evaluated for a value.
fn applied(schema: &Value, value: &Value, visit: &mut impl FnMut(&Value)) {
    schema["x-kubernetes-validations"].as_array().into_iter().flatten().for_each(&mut *visit);
    for (name, member) in value.as_object().into_iter().flatten() {
        let schema = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
        applied(schema, member, visit);
    }
    for item in value.as_array().into_iter().flatten() {
        applied(&schema["items"], item, visit);
    }
}

#[test]
fn examples_have_no_problem() {
    let mut ours = 0;
    for (name, _, documents) in manifests("examples/*.yaml") {
        for document in documents.iter().filter(|document| is_ours(document)) {
            ours += 1;
            assert_eq!(problems(&name, std::slice::from_ref(document)), Vec::<String>::new(), "{name}");
            deserialize(&name, document);
        }
    }
    assert!(ours >= 6, "only {ours} examples");
}
