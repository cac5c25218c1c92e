//! `spec.publicAccess`: from where the stream can be reached, and what needs no credentials.
//!
//! Owns the section. The only namespace that it may name is a Gateway's, which has its own consent.

use super::reference::SecretRef;
use crate::types::{Cidr, Hostname, NamespaceName, ObjectName, Origin};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From where the stream can be reached, and what needs no credentials.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default = "PublicAccess::default")]
#[x_kube(
    validation = Rule::new("self.exposure != 'Gateway' || (has(self.gateway) && has(self.hostname))")
        .message("exposure Gateway needs gateway.parentRefs and hostname: add them, or choose ClusterLocal"),
    validation = Rule::new("self.exposure == 'Gateway' || !has(self.gateway)")
        .message("gateway has no effect with this exposure: set exposure: Gateway, or remove gateway")
        .field_path(".gateway"),
    validation = Rule::new("self.exposure != 'Ingress' || has(self.hostname)")
        .message("exposure Ingress needs hostname: add it, or choose ClusterLocal"),
    validation = Rule::new("self.exposure == 'Ingress' || !has(self.ingress)")
        .message("ingress has no effect with this exposure: set exposure: Ingress, or remove ingress")
        .field_path(".ingress"),
    validation = Rule::new("self.exposure != 'ClusterLocal' || !has(self.hostname)")
        .message("hostname has no effect while the stream is only reachable within the cluster: set exposure, or remove hostname")
        .field_path(".hostname"),
    validation = Rule::new("self.exposure != 'Gateway' || !has(self.tls)")
        .message("with exposure Gateway the certificate belongs to the Gateway's listener: remove tls")
        .field_path(".tls")
)]
pub struct PublicAccess {
    /// Lets anyone read, with or without credentials. Credentials that are wrong are refused all the same, and anonymous
    /// callers never publish.
    pub anonymous: bool,
    /// From where the stream can be reached: `ClusterLocal`, `Gateway` (an HTTPRoute), `Ingress` or `LoadBalancer`.
    pub exposure: Exposure,
    /// DNS name under which clients reach the stream. Browser pages at another name are of another origin, even if the name
    /// leads to the gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// Gateways that route to the stream, for exposure `Gateway`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayExposure>,
    /// How the stream is routed, for exposure `Ingress`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<IngressExposure>,
    /// Certificate: the Ingress uses it, or else the gateway pods do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<PublicTls>,
    /// Web origins whose pages may connect, as browsers send them. Pages of the stream's own host always may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_origins: Vec<Origin>,
    /// Whether credentials in the URL (`?token=`, `?username=` with `api_key=`) are accepted: `Denied` or `Allowed`. URLs
    /// end up in logs, so that this is for clients that can do nothing else.
    pub query_credentials: QueryCredentials,
    /// Networks of the proxies and load balancers in front of the gateway pods, whose `X-Forwarded-For` tells the address of
    /// a client. Absent: nobody is believed, and the limits per address count a proxy as one client.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub trusted_proxies: Vec<Cidr>,
}

/// From where the stream can be reached.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Exposure {
    /// Within the cluster.
    #[default]
    ClusterLocal,
    /// Through an HTTPRoute of the Gateway API.
    Gateway,
    /// Through an Ingress.
    Ingress,
    /// Through a Service of type LoadBalancer.
    LoadBalancer,
}

impl Exposure {
    /// The word that manifests use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterLocal => "ClusterLocal",
            Self::Gateway => "Gateway",
            Self::Ingress => "Ingress",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Gateways that route to the stream.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayExposure {
    /// Gateways, or listeners of them, to which the HTTPRoute attaches.
    #[schemars(length(min = 1, max = 8))]
    pub parent_refs: Vec<ParentRef>,
}

/// A Gateway, or one listener of it.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Name of the Gateway.
    pub name: ObjectName,
    /// Namespace of the Gateway. Absent: the endpoint's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NamespaceName>,
    /// Name of one listener of the Gateway. Absent: every listener that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<ObjectName>,
}

/// How an Ingress routes to the stream.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressExposure {
    /// Class of the Ingress. Absent: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<ObjectName>,
}

/// Certificate for clients.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicTls {
    /// Secret with `tls.crt` and `tls.key`, in the same namespace.
    pub secret_ref: SecretRef,
}

/// Whether credentials in the URL are accepted.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum QueryCredentials {
    /// They are refused.
    #[default]
    Denied,
    /// They are accepted.
    Allowed,
}
