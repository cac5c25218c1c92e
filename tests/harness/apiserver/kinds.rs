//! The kinds that the server knows, with what matters about each.
//!
//! Owns the table. Must never know a kind that the operator does not use: a request for another one is a mistake that a
//! test should see.

/// One kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version, the only one that is served.
    pub version: &'static str,
    /// Name in paths.
    pub plural: &'static str,
    /// Name in manifests.
    pub name: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether the status is a subresource, which nothing but a write of it changes.
    pub status: bool,
    /// Whether a change of the spec raises `metadata.generation`.
    pub generation: bool,
    /// Whether the kind comes from a CRD: lists then say the kind of every item.
    pub custom: bool,
}

impl Kind {
    /// `group/version`, as manifests write it.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether this is a kind of ours.
    pub fn is_ours(&self) -> bool {
        self.group == headgate_crds::GROUP
    }
}

const fn builtin(group: &'static str, version: &'static str, plural: &'static str, name: &'static str) -> Kind {
    Kind { group, version, plural, name, namespaced: true, status: false, generation: false, custom: false }
}

const fn with_spec(kind: Kind) -> Kind {
    Kind { generation: true, ..kind }
}

const fn with_status(kind: Kind) -> Kind {
    Kind { status: true, ..kind }
}

const fn cluster_scoped(kind: Kind) -> Kind {
    Kind { namespaced: false, ..kind }
}

const fn custom(kind: Kind) -> Kind {
    Kind { custom: true, ..kind }
}

/// Group of the Gateway API, which a cluster may lack.
pub const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// Every kind.
pub static KINDS: &[Kind] = &[
    cluster_scoped(with_status(builtin("", "v1", "namespaces", "Namespace"))),
    builtin("", "v1", "configmaps", "ConfigMap"),
    builtin("", "v1", "secrets", "Secret"),
    with_status(builtin("", "v1", "services", "Service")),
    builtin("", "v1", "serviceaccounts", "ServiceAccount"),
    with_status(builtin("", "v1", "pods", "Pod")),
    with_status(with_spec(builtin("apps", "v1", "deployments", "Deployment"))),
    with_status(with_spec(builtin("apps", "v1", "replicasets", "ReplicaSet"))),
    with_status(with_spec(builtin("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"))),
    with_spec(builtin("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")),
    with_status(with_spec(builtin("networking.k8s.io", "v1", "ingresses", "Ingress"))),
    custom(with_status(with_spec(builtin(GATEWAY_API, "v1", "httproutes", "HTTPRoute")))),
    builtin("coordination.k8s.io", "v1", "leases", "Lease"),
    builtin("events.k8s.io", "v1", "events", "Event"),
    custom(with_status(with_spec(builtin("headgate.dev", "v1alpha1", "streamendpoints", "StreamEndpoint")))),
    cluster_scoped(custom(with_status(with_spec(builtin(
        "headgate.dev",
        "v1alpha1",
        "kafkaconnections",
        "KafkaConnection",
    ))))),
];

/// Stands for a group in rights to paths that lead to no resource (`nonResourceURLs`).
pub const PATHS: &str = "nonResourceURLs";

/// Documents of the server about the tokens of its ServiceAccounts. They are no objects and in no list.
pub static DOCUMENTS: &[Kind] = &[
    cluster_scoped(builtin(PATHS, "v1", "/.well-known/openid-configuration", "OpenIDConfiguration")),
    cluster_scoped(builtin(PATHS, "v1", "/openid/v1/jwks", "JSONWebKeySet")),
];

/// The kind with this name in paths.
pub fn by_plural(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| (kind.group, kind.version, kind.plural) == (group, version, plural))
}

/// The kind with this name in manifests.
pub fn by_name(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|known| known.name == name)
}
