//! The Ingress: the app's path under the endpoint's host name.
//!
//! Owns the presets by which controllers learn that connections stay open. Each controller reads its own annotations and
//! ignores the others'; annotations that somebody else sets on the object stay.

use super::metadata;
use super::service::STREAM_PORT_NAME;
use crate::model::{Endpoint, Exposure};
use headgate_crds::names;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    IngressTLS, ServiceBackendPort,
};

/// nginx ends a connection on which nothing moved for 60 seconds, in either direction: pings are answered sooner by
/// default, and yet an endpoint may ping less often, and an event stream hears nothing from its client. In seconds.
const PRESETS: [(&str, &str); 2] = [
    ("nginx.ingress.kubernetes.io/proxy-read-timeout", "3600"),
    ("nginx.ingress.kubernetes.io/proxy-send-timeout", "3600"),
];

/// The Ingress, if it is asked for.
pub(super) fn ingress(endpoint: &Endpoint) -> Option<Ingress> {
    let Exposure::Ingress { hostname, class, tls_secret } = &endpoint.exposure else { return None };
    let mut metadata = metadata::gateway(endpoint);
    metadata.annotations = Some(PRESETS.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let tls = tls_secret
        .as_ref()
        .map(|secret| IngressTLS { hosts: Some(vec![hostname.to_string()]), secret_name: Some(secret.to_string()) });
    let rule = IngressRule {
        host: Some(hostname.to_string()),
        http: Some(HTTPIngressRuleValue { paths: vec![path(endpoint)] }),
    };
    Some(Ingress {
        metadata,
        spec: Some(IngressSpec {
            default_backend: None,
            ingress_class_name: class.as_ref().map(ToString::to_string),
            rules: Some(vec![rule]),
            tls: tls.map(|tls| vec![tls]),
        }),
        status: None,
    })
}

fn path(endpoint: &Endpoint) -> HTTPIngressPath {
    let port = ServiceBackendPort { name: Some(STREAM_PORT_NAME.to_owned()), number: None };
    HTTPIngressPath {
        backend: IngressBackend {
            resource: None,
            service: Some(IngressServiceBackend { name: names::gateway(&endpoint.name), port: Some(port) }),
        },
        path: Some(format!("/{}", endpoint.app)),
        path_type: "Prefix".to_owned(),
    }
}
