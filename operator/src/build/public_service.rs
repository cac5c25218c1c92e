//! The Service of type LoadBalancer, where an endpoint asks for one.

use super::{metadata, service};
use crate::model::{Endpoint, Exposure};
use headgate_crds::names;
use k8s_openapi::api::core::v1::{Service, ServiceSpec};

/// Port for clients where gateways present a certificate.
pub const PUBLIC_TLS_PORT: u16 = 443;
/// Port for clients where they do not.
pub const PUBLIC_PORT: u16 = 80;

/// The Service, if it is asked for.
///
/// Only nodes with a gateway take connections: another node would hide the client's address, on which limits depend.
pub(super) fn public_service(endpoint: &Endpoint) -> Option<Service> {
    let Exposure::LoadBalancer { .. } = &endpoint.exposure else { return None };
    let number = if endpoint.certificate.is_some() { PUBLIC_TLS_PORT } else { PUBLIC_PORT };
    Some(Service {
        metadata: metadata::child(endpoint, names::public(&endpoint.name)),
        spec: Some(ServiceSpec {
            type_: Some("LoadBalancer".to_owned()),
            external_traffic_policy: Some("Local".to_owned()),
            selector: Some(names::selector(&endpoint.name)),
            ports: Some(vec![service::port(endpoint, number.into())]),
            ..ServiceSpec::default()
        }),
        status: None,
    })
}
