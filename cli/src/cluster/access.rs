//! How a client gets to an endpoint from here: its URL, the way there, and a key from its Secret.
//!
//! The choice of key and way is pure; only [`Cluster::access`] and [`Cluster::key`] ask.

use super::port_forward::PortForward;
use super::{Cluster, ClusterError, did_you_mean};
use headgate_crds::StreamEndpoint;
use headgate_crds::v1alpha1::{Exposure, KeyState, KeyStatus, Permission};
use http::Uri;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use std::time::Duration;
use tokio::net::TcpStream;

/// Entry of a key's Secret with the key.
pub(crate) const KEY_ENTRY: &str = "api-key";
/// Longest time to find out whether an address within the cluster can be reached from here.
const REACH_TIMEOUT: Duration = Duration::from_secs(1);

/// Why an endpoint cannot be connected to from here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// The cluster could not be asked, or said no.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No URL in the status.
    #[error("{0} has no URL yet: see headgate why {0}")]
    NoUrl(String),
    /// A URL that is none.
    #[error("{endpoint} has the URL {url}, which is none")]
    BadUrl {
        /// Name of the endpoint.
        endpoint: String,
        /// What its status says.
        url: String,
    },
    /// `--key-name` of a key that the endpoint does not have.
    #[error("{endpoint} has no key \"{key}\"{hint}")]
    NoSuchKey {
        /// Name of the endpoint.
        endpoint: String,
        /// What was asked for.
        key: String,
        /// What was probably meant.
        hint: String,
    },
    /// A key without a Secret.
    #[error("the key {key} of {endpoint} is known to the cluster by its digest only: whoever made it has it")]
    DigestOnly {
        /// Name of the endpoint.
        endpoint: String,
        /// Name of the key.
        key: String,
    },
    /// The operator has not made it.
    #[error("the key {key} of {endpoint} is not issued yet: see headgate why {endpoint}")]
    NotIssued {
        /// Name of the endpoint.
        endpoint: String,
        /// Name of the key.
        key: String,
    },
    /// No key of the endpoint can be taken.
    #[error(
        "{0} has no key that can be used from its Secret: give one with HEADGATE_KEY, or see headgate keys list {0}"
    )]
    NoUsableKey(String),
    /// A mode with tokens only.
    #[error("{0} accepts tokens only: run headgate login {0}, or give one with HEADGATE_TOKEN or --token")]
    TokensOnly(String),
    /// Which of several.
    #[error("{endpoint} has several keys: name one of {names}")]
    SeveralKeys {
        /// Name of the endpoint.
        endpoint: String,
        /// The keys.
        names: String,
    },
    /// A Secret without the entry.
    #[error("the Secret {0} has no entry {KEY_ENTRY}: see headgate why")]
    NoEntry(String),
}

/// The way to an endpoint.
pub(crate) struct Access {
    /// Address of the stream.
    pub(crate) address: String,
    /// Through the API server, if not directly.
    pub(crate) port_forward: Option<PortForward>,
}

impl Cluster {
    /// The way to the endpoint; through the API server if it is asked for, or if there is no other.
    pub(crate) async fn access(&self, endpoint: &StreamEndpoint, through: bool) -> Result<Access, AccessError> {
        let name = endpoint.name_any();
        let url = url(endpoint).ok_or_else(|| AccessError::NoUrl(name.clone()))?;
        let parsed: Uri = url.parse().map_err(|_| AccessError::BadUrl { endpoint: name, url: url.to_owned() })?;
        let everywhere = endpoint.spec.public_access.exposure != Exposure::ClusterLocal;
        if !through && (everywhere || is_reachable(&parsed).await) {
            return Ok(Access { address: url.to_owned(), port_forward: None });
        }
        let port_forward = PortForward::new(self.objects(), endpoint);
        Ok(Access { address: pod_address(endpoint, &parsed), port_forward: Some(port_forward) })
    }

    /// The text of a key, from the Secret that the status names.
    pub(crate) async fn key(&self, secret: &str) -> Result<String, AccessError> {
        let action = format!("read the Secret {secret} in namespace {}", self.namespace());
        let secret: Secret = self.ask(&action, self.objects().get(secret)).await?;
        let name = secret.name_any();
        let entry = secret.data.and_then(|mut data| data.remove(KEY_ENTRY));
        let text = entry.and_then(|entry| String::from_utf8(entry.0).ok()).filter(|text| !text.is_empty());
        text.ok_or(AccessError::NoEntry(name))
    }
}

/// Where clients connect, if it is known.
pub(crate) fn url(endpoint: &StreamEndpoint) -> Option<&str> {
    endpoint.status.as_ref()?.url.as_deref()
}

/// The Secret with the key by which to read the stream; `None` if no credential is needed. Without a name, the first key
/// that may read.
pub(crate) fn reading_key(endpoint: &StreamEndpoint, wanted: Option<&str>) -> Result<Option<String>, AccessError> {
    if let Some(key) = wanted {
        return secret_of(endpoint, key).map(Some);
    }
    let name = || endpoint.name_any();
    let keys = endpoint.spec.auth.keys();
    let may_read = |status: &&KeyStatus| {
        keys.iter().any(|key| key.name == status.name && key.permissions.contains(&Permission::Read))
    };
    let usable = |status: &&KeyStatus| matches!(status.state, KeyState::Active | KeyState::Rotating);
    let mut statuses = statuses(endpoint).iter().filter(usable).filter(may_read);
    match statuses.find_map(|status| status.secret_ref.as_ref()) {
        Some(secret) => Ok(Some(secret.name.to_string())),
        None if endpoint.spec.public_access.anonymous => Ok(None),
        None if keys.is_empty() => Err(AccessError::TokensOnly(name())),
        None => Err(AccessError::NoUsableKey(name())),
    }
}

/// The name of the key, or of the only one.
pub(crate) fn key_name(endpoint: &StreamEndpoint, wanted: Option<&str>) -> Result<String, AccessError> {
    let names: Vec<String> = endpoint.spec.auth.keys().into_iter().map(|key| key.name.to_string()).collect();
    match (wanted, names.as_slice()) {
        (Some(key), names) if names.iter().any(|name| name == key) => Ok(key.to_owned()),
        (Some(key), names) => {
            let near = did_you_mean(key, names.iter().map(String::as_str));
            let hint = match near {
                Some(near) => near,
                None if names.is_empty() => {
                    format!(", because auth.mode {} has none", endpoint.spec.auth.mode.as_str())
                }
                None => format!("; it has {}", names.join(", ")),
            };
            Err(AccessError::NoSuchKey { endpoint: endpoint.name_any(), key: key.to_owned(), hint })
        }
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(AccessError::TokensOnly(endpoint.name_any())),
        (None, _) => Err(AccessError::SeveralKeys { endpoint: endpoint.name_any(), names: names.join(", ") }),
    }
}

/// The Secret with this key.
pub(crate) fn secret_of(endpoint: &StreamEndpoint, key: &str) -> Result<String, AccessError> {
    let key = key_name(endpoint, Some(key))?;
    let listed = endpoint.spec.auth.keys();
    let name = || endpoint.name_any();
    let secret = status_of(endpoint, &key).and_then(|status| status.secret_ref.as_ref());
    match secret {
        Some(secret) => Ok(secret.name.to_string()),
        None if listed.iter().any(|entry| entry.name == key.as_str() && entry.key_hash.is_some()) => {
            Err(AccessError::DigestOnly { endpoint: name(), key })
        }
        None => Err(AccessError::NotIssued { endpoint: name(), key }),
    }
}

/// What the operator says of this key.
pub(crate) fn status_of<'e>(endpoint: &'e StreamEndpoint, key: &str) -> Option<&'e KeyStatus> {
    statuses(endpoint).iter().find(|status| status.name == *key)
}

/// What the operator says of every key.
pub(crate) fn statuses(endpoint: &StreamEndpoint) -> &[KeyStatus] {
    endpoint.status.as_ref().map(|status| status.keys.as_slice()).unwrap_or_default()
}

/// The URL with the scheme that the gateway pods themselves speak.
fn pod_address(endpoint: &StreamEndpoint, url: &Uri) -> String {
    let access = &endpoint.spec.public_access;
    let own_certificate =
        access.tls.is_some() && matches!(access.exposure, Exposure::ClusterLocal | Exposure::LoadBalancer);
    let scheme = if own_certificate { "wss" } else { "ws" };
    let authority = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    format!("{scheme}://{authority}{}", url.path())
}

/// Whether an address within the cluster can be reached from here: within a pod, or through a tunnel.
async fn is_reachable(url: &Uri) -> bool {
    let Some(host) = url.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let default = if url.scheme_str() == Some("wss") { 443 } else { 80 };
    let connecting = TcpStream::connect((host, url.port_u16().unwrap_or(default)));
    matches!(tokio::time::timeout(REACH_TIMEOUT, connecting).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake::{self, ApiServer};
    use k8s_openapi::ByteString;
    use serde_json::{Value, json};

    fn endpoint(auth: &Value, keys: &Value) -> StreamEndpoint {
        let mut value = fake::endpoint("shop", "orders");
        value["spec"]["auth"] = auth.clone();
        let url = "ws://orders-gateway.shop.svc.cluster.invalid:8080/orders";
        value["status"] = json!({ "url": url, "keys": keys });
        serde_json::from_value(value).unwrap()
    }

    fn two_keys() -> StreamEndpoint {
        let keys = json!([{ "name": "etl", "permissions": ["Publish"] }, { "name": "web" }, { "name": "own", "keyHash": "sha256:x" }]);
        let states = json!([
            { "name": "etl", "id": "i1", "state": "Active", "secretRef": { "name": "orders-key-etl" } },
            { "name": "web", "id": "i2", "state": "Rotating", "secretRef": { "name": "orders-key-web" } },
            { "name": "own", "state": "Active" },
        ]);
        endpoint(&json!({ "mode": "ApiKey", "apiKeys": keys }), &states)
    }

    #[test]
    fn the_first_key_that_may_read_is_used() {
        assert_eq!(reading_key(&two_keys(), None).unwrap().as_deref(), Some("orders-key-web"));
        assert_eq!(reading_key(&two_keys(), Some("etl")).unwrap().as_deref(), Some("orders-key-etl"));
    }

    #[test]
    fn a_key_that_cannot_be_had_is_told_with_the_reason() {
        let error = |wanted| reading_key(&two_keys(), Some(wanted)).unwrap_err().to_string();
        assert_eq!(error("wep"), "orders has no key \"wep\": did you mean web?");
        assert!(error("own").contains("by its digest only"), "{}", error("own"));
        let fresh = endpoint(&json!({ "mode": "ApiKey" }), &json!([]));
        assert!(reading_key(&fresh, None).unwrap_err().to_string().contains("no key that can be used"));
        assert!(reading_key(&fresh, Some("default")).unwrap_err().to_string().contains("not issued yet"));
    }

    #[test]
    fn an_open_endpoint_needs_no_key_and_one_with_tokens_has_none() {
        let mut open = endpoint(&json!({ "mode": "None" }), &json!([]));
        open.spec.public_access.anonymous = true;
        assert_eq!(reading_key(&open, None).unwrap(), None);
        let oidc = json!({ "mode": "OIDC", "oidc": { "issuerURL": "https://id.example.com", "audiences": ["a"] } });
        let error = reading_key(&endpoint(&oidc, &json!([])), None).unwrap_err().to_string();
        assert_eq!(
            error,
            "orders accepts tokens only: run headgate login orders, or give one with HEADGATE_TOKEN or --token"
        );
    }

    #[test]
    fn without_a_name_only_an_only_key_is_meant() {
        assert_eq!(key_name(&endpoint(&json!({ "mode": "ApiKey" }), &json!([])), None).unwrap(), "default");
        let error = key_name(&two_keys(), None).unwrap_err().to_string();
        assert_eq!(error, "orders has several keys: name one of etl, web, own");
    }

    #[tokio::test]
    async fn an_endpoint_that_cannot_be_reached_from_here_is_reached_through_the_api_server() {
        let access = ApiServer::new().cluster("shop").access(&two_keys(), false).await.unwrap();
        assert!(access.port_forward.is_some());
        assert_eq!(access.address, "ws://orders-gateway.shop.svc.cluster.invalid:8080/orders");
    }

    #[tokio::test]
    async fn behind_a_route_the_pods_themselves_speak_plainly() {
        let mut exposed = two_keys();
        exposed.spec.public_access.exposure = Exposure::Gateway;
        exposed.status.as_mut().unwrap().url = Some("wss://streams.example.com/orders".to_owned());
        let cluster = ApiServer::new().cluster("shop");
        let direct = cluster.access(&exposed, false).await.unwrap();
        assert!(direct.port_forward.is_none());
        assert_eq!(direct.address, "wss://streams.example.com/orders");
        let through = cluster.access(&exposed, true).await.unwrap();
        assert!(through.port_forward.is_some());
        assert_eq!(through.address, "ws://streams.example.com/orders");
    }

    #[tokio::test]
    async fn a_key_is_read_from_its_secret_only() {
        let server = ApiServer::new();
        let path = "/api/v1/namespaces/shop/secrets/orders-key-web";
        let data = json!({ KEY_ENTRY: ByteString(b"hgk_x".to_vec()) });
        server.only("GET", path, 200, json!({ "metadata": { "name": "orders-key-web" }, "data": data }));
        assert_eq!(server.cluster("shop").key("orders-key-web").await.unwrap(), "hgk_x");
        server.refuse("GET", path, 403, "secrets is forbidden");
        let error = server.cluster("shop").key("orders-key-web").await.unwrap_err().to_string();
        assert!(error.starts_with("not allowed to read the Secret orders-key-web in namespace shop"), "{error}");
    }
}
