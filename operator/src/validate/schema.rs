//! The API's own rules, on an object that may never have passed the API server.
//!
//! Owns nothing but the call: the rules are those of the CRD, and stand nowhere else. What a section has already refused,
//! in words that fit it better, is not repeated.

use super::Problems;
use headgate_crds::StreamEndpoint;
use headgate_crds::lint::check_manifest;

/// Reports what the API server would refuse.
pub(super) fn check(endpoint: &StreamEndpoint, problems: &mut Problems) {
    // The status is ours: an endpoint is not wrong because of it.
    let endpoint = StreamEndpoint { status: None, ..endpoint.clone() };
    let manifest = match serde_json::to_value(&endpoint) {
        Ok(manifest) => manifest,
        Err(error) => return problems.invalid("spec", format!("cannot be checked: {error}; correct the value")),
    };
    for problem in check_manifest(&manifest, None) {
        if !problems.covers(&problem.path) {
            problems.invalid(problem.path, problem.message);
        }
    }
}
