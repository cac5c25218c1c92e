//! What the API server would say about a manifest, without one.
//!
//! Owns the order of the checks: the kind, the structure, then the rules, on the object as the API server would see it,
//! with defaults. Must never have an opinion of its own: what is refused here is refused there, in the same words where
//! the words are ours. What it adds is unknown fields, which the API server drops, and what to write instead of a text
//! that does not match a regular expression.

mod defaults;
mod structure;
mod suggest;

use crate::{API_VERSION, codegen};
use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde_json::Value;
use std::fmt;
use std::sync::LazyLock;

/// One thing that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path of the field, like `spec.auth.apiKeys[0].name`.
    pub path: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// Whether a manifest is of one of our kinds, in whatever version.
pub fn is_ours(manifest: &Value) -> bool {
    let group = manifest["apiVersion"].as_str().and_then(|version| version.split('/').next());
    group == Some(crate::GROUP)
}

/// Everything that is wrong with a manifest of one of our kinds, by field. With `old`, also whether the change is
/// possible.
pub fn check_manifest(manifest: &Value, old: Option<&Value>) -> Vec<Problem> {
    let schema = match schema_of(manifest) {
        Ok(schema) => schema,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    check_metadata(manifest, &mut problems);
    let object = defaults::apply(schema, manifest);
    structure::check(schema, &object, &mut problems);
    // Rules may rely on the structure, so that the API server too leaves them until it is right.
    if problems.iter().all(suggest::is_about_unknown_field) {
        let old = old.map(|old| defaults::apply(schema, old));
        check_rules(&object, old.as_ref(), &mut problems);
    }
    problems.sort();
    problems
}

/// The manifest as the API server would store it: with the defaults of every field that it leaves out.
pub fn with_defaults(manifest: &Value) -> Result<Value, Problem> {
    schema_of(manifest).map(|schema| defaults::apply(schema, manifest))
}

fn schema_of(manifest: &Value) -> Result<&'static Value, Problem> {
    let problem = |path: &str, message: String| Problem { path: path.to_owned(), message };
    match manifest["apiVersion"].as_str() {
        Some(API_VERSION) => {}
        Some(other) => return Err(problem("apiVersion", format!("{other} is not {API_VERSION}: write {API_VERSION}"))),
        None => return Err(problem("apiVersion", format!("is missing: write {API_VERSION}"))),
    }
    match manifest["kind"].as_str() {
        Some("StreamEndpoint") => Ok(codegen::schema(codegen::annotated_endpoint())),
        Some("KafkaConnection") => Ok(codegen::schema(codegen::annotated_connection())),
        Some(other) => {
            let hint = suggest::did_you_mean(other, ["StreamEndpoint", "KafkaConnection"].into_iter());
            Err(problem("kind", format!("{other} is not a kind of {API_VERSION}{hint}")))
        }
        None => Err(problem("kind", "is missing: write StreamEndpoint or KafkaConnection".to_owned())),
    }
}

fn check_metadata(manifest: &Value, problems: &mut Vec<Problem>) {
    let name = &manifest["metadata"]["name"];
    if !name.is_string() {
        let message = "is missing: give the object a name".to_owned();
        problems.push(Problem { path: "metadata.name".to_owned(), message });
    }
}

fn check_rules(object: &Value, old: Option<&Value>, problems: &mut Vec<Problem>) {
    static ENDPOINT: LazyLock<CompiledSchema> =
        LazyLock::new(|| compile_schema(codegen::schema(codegen::stream_endpoint_crd())));
    static CONNECTION: LazyLock<CompiledSchema> =
        LazyLock::new(|| compile_schema(codegen::schema(codegen::kafka_connection_crd())));
    let compiled = if object["kind"] == "StreamEndpoint" { &ENDPOINT } else { &CONNECTION };
    if let Err(errors) = Validator::new().validate_compiled(compiled, object, old) {
        let found = errors.into_vec().into_iter();
        problems.extend(found.map(|error| Problem {
            path: if error.field_path.is_empty() { "metadata.name".to_owned() } else { error.field_path },
            message: error.message,
        }));
    }
}
