//! What we ship as manifests, without any server: the chart as data, and what the documentation tells people to apply.
//!
//! With the feature `cluster`, `helm` renders the chart as well. Nothing here starts a process of ours.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test needs is there, or the test has failed")]

mod chart;
mod documentation;
#[cfg(feature = "cluster")]
mod helm;
mod rules;

use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;

const CHART: &str = "charts/headgate";

/// A path from the root of the repository.
fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(relative)
}

/// A file of the repository.
fn read(relative: &str) -> String {
    let path = path(relative);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a YAML text that are not empty.
fn documents(name: &str, text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{name}: {error}\n{text}")))
        .filter(|document| !document.is_null())
        .collect()
}

/// A YAML file of the repository with one document.
fn yaml(relative: &str) -> Value {
    match documents(relative, &read(relative)).try_into() {
        Ok::<[Value; 1], _>([document]) => document,
        Err(others) => panic!("{relative} has {} documents", others.len()),
    }
}
