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

/// Where the Secret of `publicAccess.tls` is mounted, with `tls.crt` and `tls.key` (Secret type `kubernetes.io/tls`).
pub const TLS_MOUNT: &str = "/etc/headgate/tls";
/// Certificate chain for clients, in PEM.
pub const CERTIFICATE_FILE: &str = "tls.crt";
/// Key of the certificate for clients, in PEM.
pub const KEY_FILE: &str = "tls.key";

/// What holds for every gateway. The default is a gateway pod's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where clients connect.
    pub stream: SocketAddr,
    /// Where probes, metrics and the operator connect; never exposed.
    pub admin: SocketAddr,
    /// File with the digests of the API keys.
    pub keys_file: PathBuf,
    /// Directory with the credentials for Kafka.
    pub kafka_directory: PathBuf,
    /// Directory with the certificate for clients.
    pub tls_directory: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream: (Ipv4Addr::UNSPECIFIED, DEFAULT_STREAM_PORT).into(),
            admin: (Ipv4Addr::UNSPECIFIED, DEFAULT_ADMIN_PORT).into(),
            keys_file: [KEYS_MOUNT, KEYS_FILE].iter().collect(),
            kafka_directory: KAFKA_MOUNT.into(),
            tls_directory: TLS_MOUNT.into(),
        }
    }
}
