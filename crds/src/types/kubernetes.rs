//! Names of Kubernetes objects.
//!
//! Owns the limits that Kubernetes itself sets. Must never derive a name; `names` does.

text_types! {
    /// Name of a `StreamEndpoint`: short enough that the names of its pods and of its keys' Secrets are never cut.
    EndpointName {
        kind: "name of a StreamEndpoint",
        length: 1..=38,
        pattern: "^[a-z]([-a-z0-9]*[a-z0-9])?$",
        remedy: "begin with a letter and use at most 38 lower-case letters, digits and '-', without dots",
    }

    /// Name of a Secret.
    SecretName {
        kind: "Secret name",
        length: 1..=253,
        pattern: r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        remedy: "use lower-case letters, digits, '-' and '.', as Kubernetes does",
    }

    /// Key within a Secret's data.
    DataKey {
        kind: "key of a Secret",
        length: 1..=253,
        pattern: "^[-._a-zA-Z0-9]+$",
        remedy: "use letters, digits, '-', '_' and '.', as Kubernetes does",
    }

    /// Name of a Kubernetes object.
    ObjectName {
        kind: "object name",
        length: 1..=253,
        pattern: r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        remedy: "use lower-case letters, digits, '-' and '.', as Kubernetes does",
    }

    /// Name of a namespace.
    NamespaceName {
        kind: "namespace name",
        length: 1..=63,
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        remedy: "use lower-case letters, digits and '-', as Kubernetes does",
    }
}
