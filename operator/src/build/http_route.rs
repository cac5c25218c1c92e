//! The HTTPRoute of the Gateway API: the app's path under the endpoint's host name.

use super::metadata;
use crate::gateway_api::{
    BackendReference, GROUP, HttpPathMatch, HttpRoute, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, HttpRouteTimeouts,
    ParentReference,
};
use crate::model::{Endpoint, Exposure};
use crate::settings::Settings;
use headgate_crds::names;
use headgate_crds::v1alpha1::ParentRef;

/// The route, if it is asked for.
pub(super) fn http_route(endpoint: &Endpoint, settings: &Settings) -> Option<HttpRoute> {
    let Exposure::Gateway { hostname, parents } = &endpoint.exposure else { return None };
    let path = HttpPathMatch { type_: "PathPrefix".to_owned(), value: format!("/{}", endpoint.app) };
    let backend = BackendReference { name: names::gateway(&endpoint.name), port: Some(settings.stream.port().into()) };
    let rule = HttpRouteRule {
        matches: vec![HttpRouteMatch { path: Some(path) }],
        backend_refs: vec![backend],
        // GEP-1742: a stream ends when the client or the gateway wants it to.
        timeouts: Some(HttpRouteTimeouts { request: Some("0s".to_owned()) }),
    };
    Some(HttpRoute {
        metadata: metadata::gateway(endpoint),
        spec: HttpRouteSpec {
            parent_refs: parents.iter().map(parent).collect(),
            hostnames: vec![hostname.to_string()],
            rules: vec![rule],
        },
        status: None,
    })
}

fn parent(parent: &ParentRef) -> ParentReference {
    ParentReference {
        group: Some(GROUP.to_owned()),
        kind: Some("Gateway".to_owned()),
        namespace: parent.namespace.as_ref().map(ToString::to_string),
        name: parent.name.to_string(),
        section_name: parent.section_name.as_ref().map(ToString::to_string),
    }
}
