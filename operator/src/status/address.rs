//! Where clients connect.

use crate::model::{Endpoint, Exposure};
use crate::resources::Existing;
use headgate_crds::names;
use headgate_wire::endpoints::DEFAULT_STREAM_PORT;
use k8s_openapi::api::core::v1::Service;

/// Where clients connect; `None` while the address of a load balancer without a name is not known yet.
pub fn url(endpoint: &Endpoint, existing: &Existing, cluster_domain: &str) -> Option<String> {
    of(endpoint, existing.public_service.as_ref(), cluster_domain)
}

/// [`url`], from the Service of type LoadBalancer, if there is one.
pub(super) fn of(endpoint: &Endpoint, public: Option<&Service>, cluster_domain: &str) -> Option<String> {
    let by_pods = if endpoint.certificate.is_some() { "wss" } else { "ws" };
    let (scheme, authority) = match &endpoint.exposure {
        Exposure::ClusterLocal => {
            let service = names::gateway(&endpoint.name);
            let host = format!("{service}.{}.svc.{cluster_domain}", endpoint.namespace.as_str());
            (by_pods, format!("{host}:{DEFAULT_STREAM_PORT}"))
        }
        Exposure::Gateway { hostname, .. } => ("wss", hostname.to_string()),
        Exposure::Ingress { hostname, tls_secret, .. } => {
            (if tls_secret.is_some() { "wss" } else { "ws" }, hostname.to_string())
        }
        Exposure::LoadBalancer { hostname: Some(hostname) } => (by_pods, hostname.to_string()),
        Exposure::LoadBalancer { hostname: None } => (by_pods, of_balancer(public?)?),
    };
    Some(format!("{scheme}://{authority}/{}", endpoint.app.as_str()))
}

/// The first address of a load balancer, as a URL writes it.
pub(super) fn of_balancer(service: &Service) -> Option<String> {
    let addresses = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
    addresses.iter().find_map(|address| match (&address.hostname, &address.ip) {
        (Some(hostname), _) if !hostname.is_empty() => Some(hostname.clone()),
        (_, Some(ip)) if ip.contains(':') => Some(format!("[{ip}]")),
        (_, Some(ip)) if !ip.is_empty() => Some(ip.clone()),
        _ => None,
    })
}
