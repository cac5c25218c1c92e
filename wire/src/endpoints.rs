//! Names on the wire: paths, ports, subprotocols, mount paths and environment variables.
//!
//! Owns strings only; whoever serves or calls one of these uses the constant.

/// Where clients connect, if nothing else is configured.
pub const DEFAULT_STREAM_PORT: u16 = 8080;
/// Where probes, metrics and the operator connect; never exposed.
pub const DEFAULT_ADMIN_PORT: u16 = 9090;

/// Alias of a gateway's own app, as older clients know it.
pub const ALIAS_PATH: &str = "ws";
/// Second path segment of `POST /{app}/tickets`; no channel can be called so.
pub const TICKETS_PATH: &str = "tickets";
/// First path segments that have a meaning of their own, so no app may be called so: the alias, and what the admin port
/// serves, so that a proxy can put both ports under one host.
pub const RESERVED_APPS: [&str; 8] =
    [ALIAS_PATH, "metrics", "livez", "readyz", "healthz", "status", "liveness", "readiness"];

/// CloudEvents WebSocket protocol binding 1.0.2, section 3.1: one structured JSON event per text frame.
pub const SUBPROTOCOL_CLOUDEVENTS: &str = "cloudevents.json";
/// Our own envelope with cursors, gaps and in-band requests.
pub const SUBPROTOCOL_HEADGATE: &str = "headgate.v1";
/// Prefix of the subprotocol that carries a bearer token, as the Kubernetes API server reads it.
pub const SUBPROTOCOL_BEARER_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// Where the operator mounts `gateway.yaml`.
pub const CONFIG_MOUNT: &str = "/etc/headgate/config";
/// Where the operator mounts the verifier Secret.
pub const KEYS_MOUNT: &str = "/etc/headgate/keys";
/// Name of the digests file inside [`KEYS_MOUNT`].
pub const KEYS_FILE: &str = "keys.json";
/// Name of the configuration file inside [`CONFIG_MOUNT`].
pub const CONFIG_FILE: &str = "gateway.yaml";

/// CloudEvents `type` of a plain Kafka record, if the endpoint names none.
pub const DEFAULT_EVENT_TYPE: &str = "dev.headgate.record.v1";
/// CloudEvents `type` of a record without a value (a deletion in a compacted topic).
pub const TOMBSTONE_EVENT_TYPE: &str = "dev.headgate.tombstone.v1";
/// CloudEvents `type` by which a client that speaks plain CloudEvents learns what it missed.
pub const GAP_EVENT_TYPE: &str = "dev.headgate.gap.v1";
