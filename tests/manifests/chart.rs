//! The chart as data: its version, its copies of the CRDs, and that every value is typed and told about.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{CHART, read, yaml};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn the_chart_has_the_version_of_the_workspace() {
    let chart = yaml(&format!("{CHART}/Chart.yaml"));
    assert_eq!(chart["version"], VERSION);
    assert_eq!(chart["appVersion"], VERSION, "the images have it as their tag");
}

#[test]
fn the_newest_version_in_the_changelog_is_this_one() {
    let changelog = read("CHANGELOG.md");
    let headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    let newest = headings.map(|heading| heading.trim_matches(['[', ']'])).find(|heading| *heading != "Unreleased");
    if let Some(newest) = newest {
        assert!(newest.starts_with(VERSION), "the changelog's newest version is {newest}, the workspace's {VERSION}");
    }
}

#[test]
fn the_chart_needs_a_kubernetes_that_sleeps_before_it_stops() {
    assert_eq!(yaml(&format!("{CHART}/Chart.yaml"))["kubeVersion"], ">=1.33.0-0");
}

#[test]
fn the_chart_has_the_crds_as_they_are() {
    for plural in ["streamendpoints", "kafkaconnections"] {
        let copy = read(&format!("{CHART}/files/crds/{plural}.yaml"));
        assert!(copy == read(&format!("crds/yaml/{plural}.yaml")), "{plural}: run `cargo xtask gen`");
    }
}

/// The values that have a description, by path, from the schema.
fn described(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match property["description"].as_str() {
            Some(description) => found.push((path, description.to_owned())),
            None => described(property, &path, found),
        }
    }
}

fn schema() -> Value {
    serde_json::from_str(&read(&format!("{CHART}/values.schema.json"))).unwrap()
}

fn all_described() -> Vec<(String, String)> {
    let mut found = Vec::new();
    described(&schema(), "", &mut found);
    // Helm's own, which a chart that contains this one may set.
    found.retain(|(path, _)| path != "global");
    assert!(found.len() > 40, "only {} values", found.len());
    found
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

#[test]
fn every_value_has_a_type_and_every_type_a_value() {
    let values = yaml(&format!("{CHART}/values.yaml"));
    let typed: BTreeSet<String> = all_described().into_iter().map(|(path, _)| path).collect();
    for path in &typed {
        assert!(values.pointer(&pointer(path)).is_some(), "{path} is in the schema and has no default");
    }
    untyped(&values, "", &typed);
}

/// Panics at a value that no path of `typed` leads to.
fn untyped(value: &Value, path: &str, typed: &BTreeSet<String>) {
    if typed.contains(path) {
        return;
    }
    let members = value.as_object().filter(|members| !members.is_empty());
    for (name, member) in members.unwrap_or_else(|| panic!("{path} is not in the schema")) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        untyped(member, &path, typed);
    }
}

#[test]
fn a_misspelt_value_is_refused_at_every_level() {
    fn strict(schema: &Value, path: &str) {
        if let Some(properties) = schema["properties"].as_object() {
            assert_eq!(schema["additionalProperties"], false, "{path}");
            properties.iter().for_each(|(name, property)| strict(property, &format!("{path}.{name}")));
        }
    }
    strict(&schema(), "values");
}

#[test]
fn every_value_is_explained_in_the_same_words_everywhere() {
    let readme = read(&format!("{CHART}/README.md"));
    let defaults = read(&format!("{CHART}/values.yaml"));
    for (path, description) in all_described() {
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{path}` |")));
        assert!(row.is_some_and(|row| row.ends_with(&format!("| {description} |"))), "README.md: {path}: {row:?}");
        assert!(defaults.contains(&format!("# -- {description}\n")), "values.yaml: {path}");
    }
}

#[test]
fn the_readme_shows_the_defaults() {
    let readme = read(&format!("{CHART}/README.md"));
    let values = yaml(&format!("{CHART}/values.yaml"));
    for line in readme.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let path = cells[0].trim_start_matches("| ").trim_matches('`');
        let Some(shown) = cells[1].strip_prefix('`').and_then(|cell| cell.strip_suffix('`')) else { continue };
        let default = values.pointer(&pointer(path)).unwrap_or_else(|| panic!("{path} is no value"));
        let shown: Value = serde_yaml::from_str(shown).unwrap();
        assert_eq!(&shown, default, "{path}");
    }
}
