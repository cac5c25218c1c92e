//! Counters of who was let in, and how many keys there are. Labels are few and fixed: never an address or a key.

use crate::auth::principal::Principal;
use crate::rejection::{Rejection, RejectionKind};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum AuthResult {
    Anonymous,
    ApiKey,
    Token,
    Malformed,
    Unauthorized,
    Forbidden,
    Throttled,
    Unavailable,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: AuthResult,
}

/// Handles of the metrics of this module; clones share the values.
#[derive(Debug, Clone, Default)]
pub(super) struct AuthMetrics {
    attempts: Family<AttemptLabels, Counter>,
    keys: Gauge,
}

impl AuthResult {
    pub(super) fn of(result: &Result<Principal, Rejection>) -> Self {
        match result {
            Ok(Principal::Anonymous) => Self::Anonymous,
            Ok(Principal::ApiKey(_)) => Self::ApiKey,
            Ok(Principal::User(_)) => Self::Token,
            Err(rejection) => match rejection.kind() {
                RejectionKind::Unauthorized => Self::Unauthorized,
                RejectionKind::Forbidden => Self::Forbidden,
                RejectionKind::TooManyFailures => Self::Throttled,
                RejectionKind::Unavailable => Self::Unavailable,
                _ => Self::Malformed,
            },
        }
    }
}

impl AuthMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("auth_attempts", "Requests that asked to be let in, by result", self.attempts.clone());
        registry.register("keys", "API keys that are loaded, expired ones included", self.keys.clone());
    }

    pub(super) fn attempt(&self, result: AuthResult) {
        self.attempts.get_or_create(&AttemptLabels { result }).inc();
    }

    pub(super) fn loaded(&self, keys: usize) {
        self.keys.set(keys as i64);
    }
}
