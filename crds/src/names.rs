//! Every name that follows from a `StreamEndpoint`: of its children, their labels and our annotations.
//!
//! Owns the arithmetic that keeps names unique and whole. Must never cut or hash a name: an endpoint whose children's
//! names would not fit is refused by the schema, because a name that was cut could be somebody else's.
//!
//! Why 38 and 20: a pod is named `<endpoint>-gateway-<template>-<pod>`, which adds 25 characters to the endpoint's name,
//! and the Secret of a key `<endpoint>-key-<key>`, which adds 5 and the key's own. Both end at 63, the longest that
//! labels, host names and Services can be. Because no endpoint's name contains `-key-` or ends in `-key`, no child of
//! one endpoint can have the name of another's.

use crate::types::{EndpointName, InvalidName, KeyName, Text};
use std::collections::BTreeMap;

/// Prefix of every label and annotation of ours.
pub const PREFIX: &str = "headgate.dev/";

/// Label with the name of the endpoint, on everything that belongs to it.
pub const LABEL_ENDPOINT: &str = "headgate.dev/endpoint";
/// Label with the name of the app, on everything that belongs to an endpoint.
pub const LABEL_APP: &str = "headgate.dev/app";
/// Label with the name of the key, on its Secret.
pub const LABEL_KEY: &str = "headgate.dev/key";
/// Recommended label: what the object is.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Recommended label: which one it is.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// Recommended label: its part in the whole.
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// Recommended label: the whole that it is part of.
pub const LABEL_PART_OF: &str = "app.kubernetes.io/part-of";
/// Recommended label: who looks after it.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`LABEL_MANAGED_BY`].
pub const MANAGED_BY: &str = "headgate-operator";
/// Value of [`LABEL_NAME`] and of [`LABEL_COMPONENT`]'s gateway part.
pub const GATEWAY: &str = "headgate-gateway";
/// Value of [`LABEL_PART_OF`].
pub const PART_OF: &str = "headgate";

/// Annotation of an endpoint: `"true"` keeps the operator's hands off its children.
pub const ANNOTATION_PAUSE: &str = "headgate.dev/pause-reconciliation";
/// Annotation of an endpoint: a new value replaces the keys that Headgate issued.
pub const ANNOTATION_ROTATE: &str = "headgate.dev/rotate";
/// Annotation of a `KafkaConnection`: `"true"` makes it the one for endpoints that name none.
pub const ANNOTATION_DEFAULT_CONNECTION: &str = "headgate.dev/default-connection";
/// Annotation of the pod template: hash of what a pod cannot reload.
pub const ANNOTATION_CONFIG_HASH: &str = "headgate.dev/config-hash";
/// Annotation of the running pods: hash of what they reload; a new value makes the kubelet refresh their volumes.
pub const ANNOTATION_RELOAD_HASH: &str = "headgate.dev/reload-hash";

/// Type of the Secret of a key.
pub const SECRET_TYPE_API_KEY: &str = "headgate.dev/api-key";

/// The endpoint's name, if the names of all its children can be made from it. The schema has the same rules.
pub fn endpoint(name: &str) -> Result<EndpointName, InvalidName> {
    if name.contains("-key-") || name.ends_with("-key") {
        return Err(InvalidName {
            kind: EndpointName::KIND,
            value: Some(name.to_owned()),
            rule: Some("must not contain '-key-' or end in '-key', which mark the Secrets of keys".to_owned()),
            remedy: "choose another name",
        });
    }
    EndpointName::new(name)
}

/// Deployment, Service, ConfigMap, ServiceAccount, PodDisruptionBudget, NetworkPolicy, HTTPRoute and Ingress.
pub fn gateway(endpoint: &EndpointName) -> String {
    format!("{endpoint}-gateway")
}

/// Secret with what gateway pods check credentials with: digests of the keys, the only thing about keys that they see,
/// and public keys and certificates for tokens.
pub fn verifier(endpoint: &EndpointName) -> String {
    format!("{endpoint}-verifier")
}

/// Secret with the bytes by which the gateway pods of an endpoint recognise each other's tickets.
pub fn tickets(endpoint: &EndpointName) -> String {
    format!("{endpoint}-tickets")
}

/// Secret with what gateway pods need to log in to Kafka, where a `KafkaConnection` provides it.
pub fn kafka(endpoint: &EndpointName) -> String {
    format!("{endpoint}-kafka")
}

/// Service of type LoadBalancer, where the endpoint asks for one.
pub fn public(endpoint: &EndpointName) -> String {
    format!("{endpoint}-public")
}

/// Secret with one issued key.
pub fn key(endpoint: &EndpointName, key: &KeyName) -> String {
    format!("{endpoint}-key-{key}")
}

/// Labels by which the gateway pods are selected. A Deployment's selector can never change, so that nothing may be
/// added here.
pub fn selector(endpoint: &EndpointName) -> BTreeMap<String, String> {
    BTreeMap::from([(LABEL_ENDPOINT.to_owned(), endpoint.to_string()), (LABEL_NAME.to_owned(), GATEWAY.to_owned())])
}

/// [`selector`] as text, for the scale subresource.
pub fn selector_text(endpoint: &EndpointName) -> String {
    selector(endpoint).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// Labels of everything that belongs to an endpoint.
pub fn labels(endpoint: &EndpointName, app: &str) -> BTreeMap<String, String> {
    let mut labels = selector(endpoint);
    for (key, value) in [
        (LABEL_APP, app),
        (LABEL_INSTANCE, endpoint.as_str()),
        (LABEL_COMPONENT, "gateway"),
        (LABEL_PART_OF, PART_OF),
        (LABEL_MANAGED_BY, MANAGED_BY),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_names_fit() {
        let name = endpoint(&"n".repeat(EndpointName::MAX_LENGTH)).unwrap();
        let key_name = KeyName::new(&"k".repeat(KeyName::MAX_LENGTH)).unwrap();
        let pod = format!("{}-{}-{}", gateway(&name), "0123456789", "01234");
        let secrets = [verifier(&name), tickets(&name), kafka(&name), key(&name, &key_name)];
        for child in [gateway(&name), public(&name), pod].into_iter().chain(secrets) {
            assert!(child.len() <= 63, "{child} has {} characters", child.len());
        }
    }

    #[test]
    fn names_that_could_collide_are_refused() {
        // `x-key` with a verifier and `x` with a key called `verifier` would both have `x-key-verifier`.
        for name in ["x-key", "x-key-y"] {
            assert!(endpoint(name).unwrap_err().to_string().contains("choose another name"), "{name}");
        }
        for name in ["keys", "monkey", "key-card", "a-keys-b"] {
            endpoint(name).unwrap();
        }
    }

    #[test]
    fn the_selector_is_stable() {
        let name = endpoint("orders").unwrap();
        assert_eq!(selector_text(&name), "app.kubernetes.io/name=headgate-gateway,headgate.dev/endpoint=orders");
        let labels = labels(&name, "orders");
        assert!(selector(&name).iter().all(|(key, value)| labels.get(key) == Some(value)));
    }
}
