//! `spec.pod`: what is added to the gateway pods.
//!
//! Owns the section. Must never offer a pod template, a service account, a volume or an environment variable: whoever
//! may write an endpoint would get every Secret of the namespace with it.

use crate::types::ObjectName;
use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is added to the gateway pods.
#[derive(KubeSchema, Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default = "Pod::default")]
pub struct Pod {
    /// CPU and memory of a gateway pod. What is absent is computed from `spec.limits`.
    pub resources: Resources,
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// Which nodes and neighbours are preferred or required. Absent: the pods are spread over nodes and zones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Labels that are added to the pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    #[x_kube(validation = Rule::new("self.all(k, !k.startsWith('headgate.dev/') && !k.startsWith('app.kubernetes.io/'))")
        .message("labels under headgate.dev/ and app.kubernetes.io/ belong to Headgate: use a prefix of your own"))]
    pub labels: BTreeMap<String, String>,
    /// Annotations that are added to the pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations")]
    #[x_kube(validation = Rule::new("self.all(k, !k.startsWith('headgate.dev/'))")
        .message("annotations under headgate.dev/ belong to Headgate: use a prefix of your own"))]
    pub annotations: BTreeMap<String, String>,
    /// Priority class of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<ObjectName>,
}

/// CPU and memory of a container.
#[derive(JsonSchema, Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// What a container gets at least, by resource.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub requests: BTreeMap<String, Quantity>,
    /// What a container gets at most, by resource.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 8))]
    pub limits: BTreeMap<String, Quantity>,
}

impl From<&Resources> for ResourceRequirements {
    fn from(resources: &Resources) -> Self {
        let some = |map: &BTreeMap<String, Quantity>| (!map.is_empty()).then(|| map.clone());
        Self { claims: None, limits: some(&resources.limits), requests: some(&resources.requests) }
    }
}

const LABEL_KEY: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
        "maxProperties": 32,
        "x-kubernetes-validations": [key_rule("label")],
    })
}

fn annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 4096},
        "maxProperties": 32,
        "x-kubernetes-validations": [key_rule("annotation")],
    })
}

fn key_rule(kind: &str) -> serde_json::Value {
    serde_json::json!({
        "rule": format!("self.all(k, k.matches('{LABEL_KEY}'))"),
        "message": format!(
            "a key of the {kind}s is not one that Kubernetes accepts: write name or prefix.example.com/name, the name with at most 63 characters"
        ),
    })
}
