//! What the children of an endpoint have in common: name, labels, owner.

use crate::model::Endpoint;
use headgate_crds::{API_VERSION, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};

/// Kind of the owner of every child.
const OWNER_KIND: &str = "StreamEndpoint";

/// Metadata of a child.
pub(super) fn child(endpoint: &Endpoint, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(endpoint.namespace.to_string()),
        labels: Some(names::labels(&endpoint.name, &endpoint.app)),
        owner_references: Some(vec![owner(endpoint)]),
        ..ObjectMeta::default()
    }
}

/// Metadata of the children that are called after the gateway.
pub(super) fn gateway(endpoint: &Endpoint) -> ObjectMeta {
    child(endpoint, names::gateway(&endpoint.name))
}

/// The endpoint as the owner of its children: they are deleted after it, and found by it.
pub(crate) fn owner(endpoint: &Endpoint) -> OwnerReference {
    OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: OWNER_KIND.to_owned(),
        name: endpoint.name.to_string(),
        uid: endpoint.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The gateway pods of the endpoint.
pub(super) fn selector(endpoint: &Endpoint) -> LabelSelector {
    LabelSelector { match_labels: Some(names::selector(&endpoint.name)), match_expressions: None }
}
