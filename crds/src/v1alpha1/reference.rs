//! References to other objects, from within a namespace.
//!
//! Owns the types that an endpoint uses. Must never have a field `namespace`: whoever may write an endpoint must not
//! reach a Secret elsewhere through the operator.

use crate::types::{DataKey, ObjectName, SecretName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Secret in the same namespace.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret, in the same namespace.
    pub name: SecretName,
}

/// One entry of a Secret in the same namespace: certificates in PEM.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaSecretRef {
    /// Name of the Secret, in the same namespace.
    pub name: SecretName,
    /// Entry with the certificates in PEM.
    #[serde(default = "ca_crt")]
    pub key: DataKey,
}

/// A `KafkaConnection`.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRef {
    /// Name of the KafkaConnection.
    pub name: ObjectName,
}

/// Where certificates are by convention.
pub(super) fn ca_crt() -> DataKey {
    crate::types::Text::unchecked("ca.crt".to_owned())
}
