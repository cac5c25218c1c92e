//! From a document to an endpoint that can be trusted: the API server's rules first, then the operator's validation.
//!
//! Owns the order and nothing else; it has no rule of its own.

use crate::manifest::Document;
use headgate_crds::StreamEndpoint;
use headgate_crds::lint::{self, check_manifest, with_defaults};
use headgate_crds::types::{BootstrapServers, Text as _};
use headgate_operator::model::Endpoint;
use headgate_operator::{References, Warning};
use jiff::Timestamp;

/// Namespace of a manifest that names none, as with `kubectl apply` in a fresh context.
const DEFAULT_NAMESPACE: &str = "default";
/// The cluster of an endpoint that names none: here only the endpoint is judged, not where it will run.
const ANY_CLUSTER: &str = "kafka:9092";

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Path of the field; empty if the whole document is meant.
    pub(crate) path: String,
    /// What is wrong, and what to do about it.
    pub(crate) message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

impl From<lint::Problem> for Problem {
    fn from(problem: lint::Problem) -> Self {
        Self { path: problem.path, message: problem.message }
    }
}

/// The endpoint in a document of our group; `None` for a kind of ours that is no endpoint. All problems at once.
pub(crate) fn endpoint(document: &Document) -> Result<Option<Endpoint>, Vec<Problem>> {
    let refused = check_manifest(&document.value, None);
    if !refused.is_empty() {
        return Err(refused.into_iter().map(Problem::from).collect());
    }
    if document.kind() != "StreamEndpoint" {
        return Ok(None);
    }
    let endpoint = parsed(document).map_err(|message| vec![Problem { path: String::new(), message }])?;
    let references = References::unrestricted(&endpoint, BootstrapServers::unchecked(ANY_CLUSTER.to_owned()));
    match headgate_operator::validate(&endpoint, &references) {
        Ok(valid) => Ok(Some(valid)),
        Err(invalid) => {
            let problems = invalid.problems.into_iter();
            Err(problems.map(|problem| Problem { path: problem.field, message: problem.message }).collect())
        }
    }
}

/// What is probably not meant in a document of our group without a problem.
pub(crate) fn warnings(document: &Document) -> Vec<Warning> {
    if document.kind() != "StreamEndpoint" {
        return Vec::new();
    }
    parsed(document).map(|endpoint| headgate_operator::warnings(&endpoint.spec, Timestamp::now())).unwrap_or_default()
}

fn parsed(document: &Document) -> Result<StreamEndpoint, String> {
    let complete = with_defaults(&document.value).map_err(|problem| problem.to_string())?;
    let mut endpoint: StreamEndpoint = serde_json::from_value(complete).map_err(|error| error.to_string())?;
    endpoint.metadata.namespace.get_or_insert_with(|| DEFAULT_NAMESPACE.to_owned());
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    const MINIMAL: &str = "apiVersion: headgate.dev/v1alpha1
kind: StreamEndpoint
metadata: {name: orders}
spec:
  app: orders
  topic: shop.orders
  auth: {mode: ApiKey}
  publicAccess: {}
";

    fn document(text: &str) -> Document {
        manifest::parse("f", text).unwrap().remove(0)
    }

    #[test]
    fn the_smallest_endpoint_is_valid_without_a_namespace() {
        let valid = endpoint(&document(MINIMAL)).unwrap().unwrap();
        assert_eq!((valid.app.as_str(), valid.namespace.as_str()), ("orders", DEFAULT_NAMESPACE));
    }

    #[test]
    fn what_the_api_server_would_refuse_is_refused() {
        let problems = endpoint(&document(&MINIMAL.replace("mode: ApiKey", "mode: None"))).unwrap_err();
        assert!(problems.iter().any(|problem| problem.path == "spec.auth.mode"), "{problems:?}");
    }

    #[test]
    fn what_only_the_operator_would_refuse_is_refused() {
        let with_publish = MINIMAL.replace("  auth:", "  stream: {publish: {topic: shop.commands}}\n  auth:");
        let problems = endpoint(&document(&with_publish)).unwrap_err();
        assert!(problems.iter().any(|problem| problem.path == "spec.stream.publish"), "{problems:?}");
    }
}
