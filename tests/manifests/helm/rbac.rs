//! The rules as they are rendered: the whole cluster, or some namespaces and nothing else.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{environment, objects_with, of_kind, text};
use crate::{CHART, yaml};

/// Resources, or paths of the API server, that a list of rules in `files/rules.yaml` names.
fn named(data: &Value, scopes: &[&str]) -> Vec<Value> {
    scopes.iter().flat_map(|scope| data[scope].as_array().unwrap()).map(subject).collect()
}

/// The same of the rules of a rendered role.
fn granted(role: &Value) -> Vec<Value> {
    role["rules"].as_array().unwrap().iter().map(subject).collect()
}

/// What a rule is about.
fn subject(rule: &Value) -> Value {
    let of = |field: &str| rule.get(field).cloned();
    of("resources").or_else(|| of("nonResourceURLs")).unwrap()
}

fn rules() -> Value {
    yaml(&format!("{CHART}/files/rules.yaml"))
}

/// The role of that name and namespace.
fn role<'a>(objects: &'a [Value], kind: &str, namespace: &str, name: &str) -> &'a Value {
    let roles = of_kind(objects, kind);
    let mut found = roles
        .into_iter()
        .filter(|role| text(role, "/metadata/name") == name && text(role, "/metadata/namespace") == namespace);
    found.next().unwrap_or_else(|| panic!("no {kind} {namespace}/{name}"))
}

#[test]
fn for_the_whole_cluster_one_cluster_role_has_everything() {
    let rendered = objects_with(&[]);
    let scopes = ["cluster", "allNamespaces", "watchedNamespaces"];
    assert_eq!(granted(role(&rendered, "ClusterRole", "", "headgate")), named(&rules(), &scopes));
    assert_eq!(of_kind(&rendered, "Role").len(), 1, "besides it, only the Lease");
}

#[test]
fn for_some_namespaces_nothing_of_a_namespace_is_in_the_cluster_role() {
    let rendered = objects_with(&["watchNamespaces={shop,iot}", "connectionSecretNamespaces={kafka}"]);
    assert_eq!(granted(role(&rendered, "ClusterRole", "", "headgate")), named(&rules(), &["cluster"]));
    for namespace in ["shop", "iot"] {
        let granted = granted(role(&rendered, "Role", namespace, "headgate"));
        assert_eq!(granted, named(&rules(), &["watchedNamespaces"]));
    }
    let granted = granted(role(&rendered, "Role", "kafka", "headgate-connections"));
    assert_eq!(granted, named(&rules(), &["connectionSecretNamespaces"]));
    assert_eq!(of_kind(&rendered, "Role").len(), 4);
    let told = ("HEADGATE_WATCH_NAMESPACES".to_owned(), "shop,iot".to_owned());
    assert!(environment(&rendered).contains(&told));
}

#[test]
fn namespaces_of_connections_need_no_role_where_the_operator_reads_all() {
    let rendered = objects_with(&["connectionSecretNamespaces={kafka}"]);
    assert_eq!(of_kind(&rendered, "Role").len(), 1);
}

#[test]
fn every_role_is_bound_to_the_operator_and_to_nobody_else() {
    let rendered = objects_with(&["watchNamespaces={shop,iot}", "connectionSecretNamespaces={kafka}"]);
    for (binding_kind, role_kind) in [("RoleBinding", "Role"), ("ClusterRoleBinding", "ClusterRole")] {
        for binding in of_kind(&rendered, binding_kind) {
            assert_eq!(text(binding, "/roleRef/kind"), role_kind);
            role(&rendered, role_kind, text(binding, "/metadata/namespace"), text(binding, "/roleRef/name"));
            let subjects = binding["subjects"].as_array().unwrap();
            assert_eq!(subjects.len(), 1);
            let who = ["/kind", "/namespace", "/name"].map(|part| text(&subjects[0], part));
            assert_eq!(who, ["ServiceAccount", "headgate-system", "headgate"]);
        }
    }
    assert_eq!(of_kind(&rendered, "RoleBinding").len(), of_kind(&rendered, "Role").len());
}

#[test]
fn the_lease_that_may_be_written_is_the_one_that_the_operator_is_told() {
    let rendered = objects_with(&["fullnameOverride=streams"]);
    let lead = role(&rendered, "Role", "headgate-system", "streams-leader");
    let names: Vec<&str> =
        lead["rules"].as_array().unwrap().iter().map(|rule| text(rule, "/resourceNames/0")).collect();
    assert!(names.contains(&"streams") && !names.iter().any(|name| name.contains('{')), "{names:?}");
    assert!(environment(&rendered).contains(&("HEADGATE_LEASE_NAME".to_owned(), "streams".to_owned())));
}

#[test]
fn our_kinds_are_added_to_view_edit_and_admin_and_connections_only_to_see() {
    let rendered = objects_with(&[]);
    let aggregated: BTreeMap<&str, Vec<&str>> = of_kind(&rendered, "ClusterRole")
        .into_iter()
        .map(|role| {
            let labels = role["metadata"]["labels"].as_object().unwrap().keys();
            let to = labels.filter_map(|label| label.strip_prefix("rbac.authorization.k8s.io/aggregate-to-"));
            (text(role, "/metadata/name"), to.collect())
        })
        .collect();
    let expected = [
        ("headgate", vec![]),
        ("headgate-edit", vec!["admin", "edit"]),
        ("headgate-platform", vec![]),
        ("headgate-view", vec!["admin", "edit", "view"]),
    ];
    assert_eq!(aggregated, expected.into());
}
