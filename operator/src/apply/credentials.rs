//! Pods that log in to Kafka with the credentials that there are now.
//!
//! Owns how new credentials restart pods: by the version of their Secret, which only the API server gives. Must never put
//! anything into a pod that follows from a password: more people see pods than Secrets. Pure.

use headgate_crds::names::ANNOTATION_CONFIG_HASH;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;

/// The Deployment, whose pods are others when the Secret is another one.
pub(super) fn with_version(mut deployment: Deployment, credentials: Option<&Secret>) -> Deployment {
    let version = credentials.and_then(|secret| secret.metadata.resource_version.as_deref());
    let annotations = deployment.spec.template.metadata.as_mut().and_then(|metadata| metadata.annotations.as_mut());
    let hash = annotations.and_then(|annotations| annotations.get_mut(ANNOTATION_CONFIG_HASH));
    if let (Some(hash), Some(version)) = (hash, version) {
        hash.push('.');
        hash.push_str(version);
    }
    deployment
}
