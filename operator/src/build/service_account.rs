//! The ServiceAccount of the gateway pods: an identity without any right, and without a token.

use super::metadata;
use crate::model::Endpoint;
use k8s_openapi::api::core::v1::ServiceAccount;

/// Gateways never talk to the API server.
pub(super) fn service_account(endpoint: &Endpoint) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata::gateway(endpoint),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
