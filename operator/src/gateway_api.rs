//! HTTPRoute of the Gateway API, `gateway.networking.k8s.io/v1`, as far as an endpoint has one.
//!
//! Owns the few fields that we set, and the conditions that Gateways answer with. Must never grow into the whole API: what
//! is not here is left to whoever else sets it, because server-side apply touches no field that it does not name.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// API group of the Gateway API.
pub const GROUP: &str = "gateway.networking.k8s.io";

/// Which requests go where.
#[derive(CustomResource, Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "HTTPRoute",
    root = "HttpRoute",
    plural = "httproutes",
    namespaced,
    schema = "disabled",
    status = "HttpRouteStatus",
    derive = "PartialEq",
    doc = "Routes requests of one host name from a Gateway to a Service."
)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteSpec {
    /// Gateways, or listeners of them, to which the route attaches.
    pub parent_refs: Vec<ParentReference>,
    /// DNS names of the requests.
    pub hostnames: Vec<String>,
    /// What is done with them.
    pub rules: Vec<HttpRouteRule>,
}

/// A Gateway, or one listener of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentReference {
    /// API group of the parent.
    pub group: Option<String>,
    /// Kind of the parent.
    pub kind: Option<String>,
    /// Namespace of the parent; absent = the route's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the parent.
    pub name: String,
    /// Name of one listener; absent = every one that fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

/// Requests that are treated alike.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteRule {
    /// Which requests; one match is enough.
    pub matches: Vec<HttpRouteMatch>,
    /// Where they go.
    pub backend_refs: Vec<BackendReference>,
    /// How long they may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<HttpRouteTimeouts>,
}

/// What a request is recognised by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteMatch {
    /// Its path.
    pub path: Option<HttpPathMatch>,
}

/// A path, or how it begins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpPathMatch {
    /// `Exact`, or `PathPrefix`, which compares whole segments.
    #[serde(rename = "type")]
    pub type_: String,
    /// The path.
    pub value: String,
}

/// A port of a Service in the route's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendReference {
    /// Name of the Service.
    pub name: String,
    /// Its port.
    pub port: Option<i32>,
}

/// How long a request may take.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteTimeouts {
    /// From the first byte of the request to the last of the answer, like `10s`; `0s` = for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// What Gateways say of the route.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteStatus {
    /// One entry for each parent whose controller has answered.
    pub parents: Vec<RouteParentStatus>,
}

/// What one Gateway says of the route.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteParentStatus {
    /// The parent, as the route names it.
    pub parent_ref: ParentReference,
    /// Controller of the Gateway.
    pub controller_name: String,
    /// `Accepted` and `ResolvedRefs`, each with the generation that it is about.
    pub conditions: Vec<Condition>,
}
