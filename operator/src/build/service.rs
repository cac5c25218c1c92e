//! The Service by which gateways are reached within the cluster, and by whatever routes to them from outside.
//!
//! Must never have the admin port.

use super::metadata;
use crate::model::Endpoint;
use crate::settings::Settings;
use headgate_crds::names;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Name of the port for clients, in pods and in Services.
pub(super) const STREAM_PORT_NAME: &str = "stream";

/// The Service within the cluster.
pub(super) fn service(endpoint: &Endpoint, settings: &Settings) -> Service {
    Service {
        metadata: metadata::gateway(endpoint),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(names::selector(&endpoint.name)),
            ports: Some(vec![port(endpoint, settings.stream.port().into())]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// The port for clients. Proxies learn from `appProtocol` (KEP-3726) that connections stay open.
pub(super) fn port(endpoint: &Endpoint, number: i32) -> ServicePort {
    let protocol = if endpoint.certificate.is_some() { "kubernetes.io/wss" } else { "kubernetes.io/ws" };
    ServicePort {
        name: Some(STREAM_PORT_NAME.to_owned()),
        port: number,
        target_port: Some(IntOrString::String(STREAM_PORT_NAME.to_owned())),
        protocol: Some("TCP".to_owned()),
        app_protocol: Some(protocol.to_owned()),
        ..ServicePort::default()
    }
}
