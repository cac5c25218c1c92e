//! Counters of who was let in and of how fresh the keys are. Labels are few and fixed: never an address or a key.

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum ReloadResult {
    Ok,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: AuthResult,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: ReloadResult,
}

/// Handles of the metrics of this module; clones share the values.
#[derive(Debug, Clone, Default)]
pub(super) struct AuthMetrics {
    attempts: Family<AttemptLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    keys: Gauge,
    stale: Gauge,
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
        registry.register("key_reloads", "Times that the keys file was read again, by result", self.reloads.clone());
        registry.register("keys", "API keys that are loaded, expired ones included", self.keys.clone());
        registry.register(
            "keys_stale",
            "1 while the keys file cannot be used and older keys stay valid",
            self.stale.clone(),
        );
    }

    pub(super) fn attempt(&self, result: AuthResult) {
        self.attempts.get_or_create(&AttemptLabels { result }).inc();
    }

    pub(super) fn loaded(&self, keys: usize) {
        self.keys.set(keys as i64);
    }

    pub(super) fn reload(&self, result: ReloadResult) {
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
        self.stale.set(i64::from(result == ReloadResult::Failed));
    }
}
