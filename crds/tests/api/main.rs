//! The API as its users meet it: the generated files, the schema, and manifests that are accepted and refused.
//!
//! Owns what the modules share. Must never need a cluster.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test needs is there, or the test has failed")]

mod generated;
mod manifests;
mod schema;

use headgate_crds::yaml;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The manifests below the root that match a pattern: path, text and documents.
fn manifests(pattern: &str) -> Vec<(String, String, Vec<Value>)> {
    let pattern = root().join(pattern);
    let found: Vec<_> = glob::glob(&pattern.to_string_lossy())
        .unwrap()
        .map(|path| {
            let path = path.unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let documents = yaml::documents(&text).unwrap();
            (path.file_name().unwrap().to_string_lossy().into_owned(), text, documents)
        })
        .collect();
    assert!(!found.is_empty(), "nothing matches {}", pattern.display());
    found
}

/// Calls `visit` with every node of a schema and the path of the value that it describes.
fn walk<'a>(schema: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(path, schema);
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        walk(member, &format!("{path}.{name}"), visit);
    }
    for (part, step) in [("items", "[]"), ("additionalProperties", ".*")] {
        if schema[part].is_object() {
            walk(&schema[part], &format!("{path}{step}"), visit);
        }
    }
}
