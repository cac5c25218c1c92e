//! Version `v1alpha1` of the API.
//!
//! Owns the two kinds and every type in them: what a user may write, with its bounds, defaults, rules and manual. Must
//! never contain behaviour beyond small questions about a value ("does this mode take keys?").
#![expect(unreachable_pub, reason = "KubeSchema repeats each type, with its `pub`, inside a function")]

mod access;
mod auth;
mod connection;
mod endpoint;
mod filter;
mod kafka;
mod limits;
mod oidc;
mod pod;
mod reference;
mod status;
mod stream;

pub use access::{Exposure, GatewayExposure, IngressExposure, ParentRef, PublicAccess, PublicTls, QueryCredentials};
pub use auth::{ApiKey, Auth, AuthMode, Permission, Rotation};
pub use connection::{
    Allowed, AnonymousAccess, ConnectionSasl, ConnectionTls, Guardrails, KafkaConnection, KafkaConnectionSpec,
    NamespaceCredentialsRef, NamespaceMatch, NamespacedCaSecretRef, NamespacedSecretRef,
};
pub use endpoint::{StreamEndpoint, StreamEndpointSpec};
pub use filter::{Comparisons, Filter, MAX_COMPARISONS, MAX_FILTER_DEPTH, MAX_NESTED_FILTERS};
pub use kafka::{Isolation, Kafka, KafkaSasl, KafkaTls, SaslMechanism};
pub use limits::Limits;
pub use oidc::{ClaimFilter, KubernetesTokens, Oidc, RequiredClaim, SigningAlgorithm};
pub use pod::{Pod, Resources};
pub use reference::{CaSecretRef, ConnectionRef, SecretRef};
pub use status::{Binding, KafkaConnectionStatus, KeyState, KeyStatus, StreamEndpointStatus};
pub use stream::{Format, Publish, Replay, SlowClient, Start, Stream};
