//! What an installation decides for all its gateways: addresses, and where files are mounted.
//!
//! Owns the paths inside a gateway pod that are not already names on the wire. Must never hold anything of one endpoint.

use headgate_wire::endpoints::{DEFAULT_ADMIN_PORT, DEFAULT_STREAM_PORT, KEYS_FILE, KEYS_MOUNT};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where the credentials for Kafka are mounted, under the names below whatever they are called in their Secrets.
pub const KAFKA_MOUNT: &str = "/etc/headgate/kafka";
/// Certificates of the brokers' authority, in PEM.
pub const CA_FILE: &str = "ca.crt";
/// Client certificate, in PEM.
pub const CLIENT_CERTIFICATE_FILE: &str = "tls.crt";
/// Key of the client certificate, in PEM.
pub const CLIENT_KEY_FILE: &str = "tls.key";
/// Name of the Kafka user.
pub const USERNAME_FILE: &str = "username";
/// Password of the Kafka user.
pub const PASSWORD_FILE: &str = "password";

/// The issuer's JSON Web Key Set (RFC 7517), where it is not found by discovery.
pub const KEY_SET_FILE: &str = "jwks.json";
/// Certificates of the authority of a token provider, in PEM.
pub const PROVIDER_CA_FILE: &str = "oidc-ca.crt";

/// Where the Secret with the key of tickets is mounted.
pub const TICKETS_MOUNT: &str = "/etc/headgate/tickets";
/// The key of tickets: 32 random bytes.
pub const TICKET_KEY_FILE: &str = "key";

/// Where the Secret of `publicAccess.tls` is mounted, with `tls.crt` and `tls.key` (Secret type `kubernetes.io/tls`).
pub const TLS_MOUNT: &str = "/etc/headgate/tls";
/// Certificate chain for clients, in PEM.
pub const CERTIFICATE_FILE: &str = "tls.crt";
/// Key of the certificate for clients, in PEM.
pub const KEY_FILE: &str = "tls.key";

/// The domain of a cluster that was given no other.
pub const DEFAULT_CLUSTER_DOMAIN: &str = "cluster.local";
/// Image of the gateway pods, where the installation names none.
pub const DEFAULT_IMAGE: &str = "headgate-gateway";
/// How long a gateway pod that has to stop goes on as before, so that nothing sends it new clients when it refuses them.
pub const DEFAULT_PRE_STOP_SECONDS: u32 = 5;

/// What holds for every gateway. The default is a gateway pod's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where clients connect.
    pub stream: SocketAddr,
    /// Where probes, metrics and the operator connect; never exposed.
    pub admin: SocketAddr,
    /// File with the digests of the API keys.
    pub keys_file: PathBuf,
    /// Directory with what tokens are checked with.
    pub tokens_directory: PathBuf,
    /// File with the key by which gateways of one endpoint recognise each other's tickets; absent = each has its own.
    pub ticket_key_file: Option<PathBuf>,
    /// Directory with the credentials for Kafka.
    pub kafka_directory: PathBuf,
    /// Directory with the certificate for clients.
    pub tls_directory: PathBuf,
    /// What every gateway pod has.
    pub pods: PodSettings,
    /// Domain under which Services have names, like `cluster.local`.
    pub cluster_domain: String,
    /// Who reaches gateway pods; absent = not our business, and there are no NetworkPolicies.
    pub network_policy: Option<NetworkPolicySettings>,
}

/// What every gateway pod has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSettings {
    /// Image of the gateway.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: String,
    /// Secrets with which the image is pulled; each has to be in the namespace of the pods.
    pub image_pull_secrets: Vec<String>,
    /// How long a pod that has to stop goes on as before. 0 = not at all.
    pub pre_stop_seconds: u32,
}

/// Who reaches gateway pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPolicySettings {
    /// Namespace of the operator, which asks the pods' admin port.
    pub operator_namespace: String,
    /// Other namespaces that may reach the admin port, like that of Prometheus.
    pub admin_namespaces: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream: (Ipv4Addr::UNSPECIFIED, DEFAULT_STREAM_PORT).into(),
            admin: (Ipv4Addr::UNSPECIFIED, DEFAULT_ADMIN_PORT).into(),
            keys_file: [KEYS_MOUNT, KEYS_FILE].iter().collect(),
            tokens_directory: KEYS_MOUNT.into(),
            ticket_key_file: Some([TICKETS_MOUNT, TICKET_KEY_FILE].iter().collect()),
            kafka_directory: KAFKA_MOUNT.into(),
            tls_directory: TLS_MOUNT.into(),
            pods: PodSettings::default(),
            cluster_domain: DEFAULT_CLUSTER_DOMAIN.to_owned(),
            network_policy: None,
        }
    }
}

impl Default for PodSettings {
    fn default() -> Self {
        Self {
            image: DEFAULT_IMAGE.to_owned(),
            image_pull_policy: "IfNotPresent".to_owned(),
            image_pull_secrets: Vec::new(),
            pre_stop_seconds: DEFAULT_PRE_STOP_SECONDS,
        }
    }
}
