//! `spec.auth`: how clients prove who they are.
//!
//! Owns the modes and the keys; `oidc` owns the rules for tokens. Must never hold a key: keys are in Secrets of their own,
//! and a manifest carries digests at most.

use super::{Filter, Oidc};
use crate::types::{KeyHash, KeyName, Text};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How clients prove who they are.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(self.mode in ['OIDC', 'ApiKeyOrOIDC']) || has(self.oidc)")
        .message("this auth.mode accepts tokens: add auth.oidc with issuerURL or kubernetes, and audiences, or choose ApiKey"),
    validation = Rule::new("self.mode in ['OIDC', 'ApiKeyOrOIDC'] || !has(self.oidc)")
        .message("auth.oidc has no effect in this auth.mode: choose OIDC or ApiKeyOrOIDC, or remove oidc")
        .field_path(".oidc"),
    validation = Rule::new("self.mode in ['ApiKey', 'ApiKeyOrOIDC'] || !has(self.apiKeys)")
        .message("auth.apiKeys has no effect in this auth.mode: choose ApiKey or ApiKeyOrOIDC, or remove apiKeys")
        .field_path(".apiKeys"),
    validation = Rule::new("self.mode in ['ApiKey', 'ApiKeyOrOIDC'] || !has(self.rotation)")
        .message("auth.rotation has no effect in this auth.mode: choose ApiKey or ApiKeyOrOIDC, or remove rotation")
        .field_path(".rotation"),
    validation = Rule::new("!has(self.rotation) || !has(self.apiKeys) || self.apiKeys.exists(k, !has(k.keyHash))")
        .message("every key has a keyHash, and only keys that Headgate issues can be rotated: remove rotation")
        .field_path(".rotation"),
    validation = Rule::new("!has(self.apiKeys) || self.apiKeys.all(k, !has(k.keyHash) || self.apiKeys.exists_one(o, has(o.keyHash) && o.keyHash == k.keyHash))")
        .message("two keys have the same keyHash, so that clients could not be told apart: give every client a key of its own")
        .field_path(".apiKeys")
)]
pub struct Auth {
    /// What is accepted: `ApiKey`, `OIDC` (tokens), `ApiKeyOrOIDC` (both) or `None`, which needs
    /// `publicAccess.anonymous: true`.
    pub mode: AuthMode,
    /// API keys, by name. Absent in a mode with keys: one key named `default` that may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub api_keys: Vec<ApiKey>,
    /// Replaces the keys that Headgate issues at intervals. Absent: only when it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Whose tokens are accepted, and what their claims mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
}

impl Auth {
    /// The keys that the endpoint has: those listed, or the implied one; none in a mode without keys.
    pub fn keys(&self) -> Vec<ApiKey> {
        match (self.mode.accepts_keys(), self.api_keys.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => vec![ApiKey::implied()],
            (true, false) => self.api_keys.clone(),
        }
    }
}

/// What is accepted as credentials.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthMode {
    /// API keys.
    ApiKey,
    /// Tokens of an OpenID Connect provider.
    #[serde(rename = "OIDC")]
    Oidc,
    /// API keys and tokens.
    #[serde(rename = "ApiKeyOrOIDC")]
    ApiKeyOrOidc,
    /// Nothing: everybody may read.
    None,
}

impl AuthMode {
    /// Whether API keys are accepted.
    pub fn accepts_keys(self) -> bool {
        matches!(self, Self::ApiKey | Self::ApiKeyOrOidc)
    }

    /// Whether tokens are accepted.
    pub fn accepts_tokens(self) -> bool {
        matches!(self, Self::Oidc | Self::ApiKeyOrOidc)
    }

    /// The word that manifests use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "ApiKey",
            Self::Oidc => "OIDC",
            Self::ApiKeyOrOidc => "ApiKeyOrOIDC",
            Self::None => "None",
        }
    }
}

/// One API key.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Name of the key. It becomes part of the name of its Secret.
    pub name: KeyName,
    /// What the key allows: `Read`, `Publish`.
    #[serde(default = "read_only")]
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub permissions: Vec<Permission>,
    /// When the key ends. Connections that were opened with it are closed then. Absent: it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// Digest of a key that you made yourself, `sha256:` and 64 hexadecimal digits, fit for Git. Absent: Headgate issues
    /// the key and puts it into a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_hash: Option<KeyHash>,
    /// Limits what a holder of the key sees: an event must match all of these filters, besides those of the stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4))]
    pub filters: Vec<Filter>,
}

fn read_only() -> Vec<Permission> {
    vec![Permission::Read]
}

impl ApiKey {
    /// The key of an endpoint that lists none: `default`, which may read.
    pub fn implied() -> Self {
        Self {
            name: KeyName::unchecked("default".to_owned()),
            permissions: read_only(),
            expires_at: None,
            key_hash: None,
            filters: Vec::new(),
        }
    }
}

/// What a caller may do.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Permission {
    /// Receive the stream.
    Read,
    /// Send messages to the topic in `stream.publish`.
    Publish,
}

/// When keys are replaced.
#[derive(KubeSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.overlapSeconds < self.afterSeconds")
    .message("overlapSeconds must be less than afterSeconds, or old keys would never end: lower overlapSeconds"))]
pub struct Rotation {
    /// Age at which a key is replaced by a new one.
    #[schemars(range(min = 3600, max = 315_360_000))]
    pub after_seconds: i32,
    /// How long the old key is accepted beside the new one.
    #[serde(default = "one_day")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub overlap_seconds: i32,
}

fn one_day() -> i32 {
    86_400
}
