//! The RBAC of the chart as data: a sentence for every verb, and what must never be in it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{CHART, read};

/// `files/rules.yaml`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rules {
    cluster: Vec<Rule>,
    all_namespaces: Vec<Rule>,
    watched_namespaces: Vec<Rule>,
    connection_secret_namespaces: Vec<Rule>,
    operator_namespace: Vec<Rule>,
    people: BTreeMap<String, Vec<Rule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    api_groups: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
    /// Paths of the API server itself, instead of resources.
    #[serde(default, rename = "nonResourceURLs")]
    paths: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
    verbs: BTreeMap<String, String>,
}

impl Rule {
    fn verbs(&self) -> Vec<&str> {
        self.verbs.keys().map(String::as_str).collect()
    }

    fn has(&self, resource: &str) -> bool {
        self.resources.iter().any(|name| name == resource)
    }
}

impl Rules {
    fn load() -> Self {
        serde_yaml::from_str(&read(&format!("{CHART}/files/rules.yaml"))).unwrap()
    }

    fn operator(&self) -> impl Iterator<Item = &Rule> {
        let Self {
            cluster, all_namespaces, watched_namespaces, connection_secret_namespaces, operator_namespace, ..
        } = self;
        [cluster, all_namespaces, watched_namespaces, connection_secret_namespaces, operator_namespace]
            .into_iter()
            .flatten()
    }

    fn all(&self) -> impl Iterator<Item = &Rule> {
        self.operator().chain(self.people.values().flatten())
    }
}

#[test]
fn every_verb_has_a_sentence() {
    for rule in Rules::load().all() {
        let of_resources = !rule.api_groups.is_empty() && !rule.resources.is_empty();
        assert!(!rule.verbs.is_empty() && of_resources == rule.paths.is_empty(), "{:?}", rule.resources);
        for (verb, sentence) in &rule.verbs {
            let good = sentence.starts_with(char::is_uppercase) && sentence.ends_with('.') && sentence.len() > 10;
            assert!(good, "{verb} {:?}: {sentence:?}", rule.resources);
        }
    }
}

#[test]
fn nothing_is_granted_by_a_wildcard_and_nothing_grants_more_rights() {
    // Not among them: *, escalate, bind, impersonate.
    const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    const NEVER: [&str; 10] = [
        "roles",
        "clusterroles",
        "rolebindings",
        "clusterrolebindings",
        "customresourcedefinitions",
        "nodes",
        "pods/exec",
        "pods/portforward",
        "serviceaccounts/token",
        "*",
    ];
    for rule in Rules::load().all() {
        assert!(rule.verbs().iter().all(|verb| VERBS.contains(verb)), "{:?}", rule.verbs());
        assert!(!NEVER.iter().any(|resource| rule.has(resource)), "{:?}", rule.resources);
        assert!(!rule.api_groups.iter().any(|group| group == "*"), "{:?}", rule.resources);
        assert!(
            !rule.paths.iter().any(|path| path.contains('*')) && (rule.paths.is_empty() || rule.verbs() == ["get"])
        );
    }
}

#[test]
fn outside_the_watched_namespaces_secrets_are_only_read_by_name() {
    let rules = Rules::load();
    for rule in rules.cluster.iter().chain(&rules.all_namespaces).chain(&rules.operator_namespace) {
        assert!(!rule.has("secrets"), "secrets belong to watched namespaces");
    }
    for rule in &rules.connection_secret_namespaces {
        assert_eq!((rule.resources.as_slice(), rule.verbs()), (&["secrets".to_owned()][..], vec!["get"]));
    }
}

#[test]
fn no_right_of_the_lead_goes_beyond_its_lease() {
    for rule in Rules::load().operator_namespace.iter().filter(|rule| rule.has("leases")) {
        assert!(rule.verbs() == ["create"] || rule.resource_names == ["{leaseName}"], "{:?}", rule.verbs());
    }
}

#[test]
fn people_who_may_only_view_see_no_key_and_change_nothing() {
    let rules = Rules::load();
    assert_eq!(rules.people.keys().collect::<Vec<_>>(), ["edit", "platform", "view"]);
    for rule in &rules.people["view"] {
        assert!(rule.verbs().iter().all(|verb| ["get", "list", "watch"].contains(verb)), "{:?}", rule.verbs());
    }
    for rule in rules.people.values().flatten() {
        assert_eq!(rule.api_groups, ["headgate.dev"], "Secrets and what else Kubernetes has is not ours to give");
    }
}

#[test]
fn who_may_edit_a_namespace_cannot_write_connections() {
    let rules = Rules::load();
    assert!(!rules.people["edit"].iter().any(|rule| rule.has("kafkaconnections")));
    assert!(
        rules.people["platform"].iter().any(|rule| rule.has("kafkaconnections") && rule.verbs.contains_key("patch"))
    );
}
