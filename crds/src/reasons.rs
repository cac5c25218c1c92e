//! The vocabulary of conditions, events, metrics and the CLI.
//!
//! Owns each word once, with what to do about it. Must never decide which one applies; the operator's status does.

use std::fmt;

macro_rules! words {
    (
        $(#[doc = $doc:literal])+
        $name:ident, $method:ident: $what:literal;
        $($(#[doc = $variant_doc:literal])+ $variant:ident => $text:literal,)+
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[doc = $variant_doc])+ $variant,)+
        }

        impl $name {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as conditions, events and metrics carry it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                }
            }

            /// When it is used, in one sentence.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($variant_doc),+).trim_ascii(),)+
                }
            }

            #[doc = $what]
            pub const fn $method(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The value that a condition, event or metric carries as this word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Type of a condition.
    ConditionType, meaning: "What it means, in one sentence, that the condition is true.";
    /// Always there.
    Ready => "A client can connect now, at the generation that was observed.",
    /// From the Deployment.
    Available => "Enough gateway pods accept clients.",
    /// From the gateway pods.
    KafkaReady => "The topic exists and can be read.",
    /// From the keys' Secrets.
    CredentialsReady => "Every key that the endpoint lists can be used.",
    /// From the route, Ingress or Service.
    Exposed => "The stream can be reached from where the endpoint asks for.",
    /// Only while true (kstatus).
    Reconciling => "The operator is still working on this generation.",
    /// Only while true (kstatus).
    Stalled => "The operator cannot go on without a change by somebody.",
    /// Only while true.
    ReconciliationPaused => "The operator leaves the children of the endpoint alone.",
}

impl ConditionType {
    /// Whether the condition is left out while it is not true, as kstatus expects of abnormal conditions.
    pub const fn only_while_true(self) -> bool {
        matches!(self, Self::Reconciling | Self::Stalled | Self::ReconciliationPaused)
    }
}

words! {
    /// Why a condition is what it is, or why an event happened.
    Reason, remedy: "What to do about it, in one sentence.";

    /// Clients can connect.
    Serving => "Nothing to do.",
    /// The operator has just begun or goes on.
    Progressing => "Wait; the message says for what.",
    /// `spec.stopped` is set.
    Stopped => "Set spec.stopped: false to start the gateway pods again.",
    /// The pause annotation is set.
    PausedByUser => "Remove the annotation headgate.dev/pause-reconciliation to let the operator go on.",

    /// The schema could not refuse it, and yet it cannot work.
    InvalidSpec => "Correct the fields that the message names.",
    /// The connection or the topic is missing, or is not for this namespace; which of them is not told.
    TopicNotAllowed => "Ask the platform team to allow the topic for this namespace in a KafkaConnection, or correct spec.topic and spec.kafka.",
    /// No connection is named, and none is marked as default.
    NoDefaultConnection => "Set spec.kafka, or ask the platform team to annotate one KafkaConnection with headgate.dev/default-connection.",
    /// More than one connection is marked as default.
    SeveralDefaultConnections => "Set spec.kafka.connectionRef, or ask the platform team to leave the annotation headgate.dev/default-connection on one KafkaConnection only.",
    /// The endpoint asks for more than the connection's guardrails allow.
    GuardrailExceeded => "Change the field that the message names, or ask the platform team to widen the guardrails of the KafkaConnection.",
    /// Another endpoint has this host name and path.
    HostnameConflict => "Choose another app or hostname; the endpoint that came first keeps them.",
    /// Another endpoint of the namespace serves this app.
    AppConflict => "Choose another app; the endpoint that came first keeps it.",

    /// A Secret in the endpoint's namespace does not exist.
    SecretNotFound => "Create the Secret that the message names, in the namespace of the endpoint.",
    /// A Secret lacks an entry, or its content cannot be used.
    SecretInvalid => "Correct the entry of the Secret that the message names.",
    /// A Secret with the name of ours belongs to somebody else.
    SecretConflict => "Rename or delete the Secret that the message names, or rename the key; it is never overwritten.",
    /// An object with the name of a child of ours belongs to somebody else.
    ChildConflict => "Rename or delete the object that the message names, or rename the endpoint; it is never overwritten.",
    /// The API server does not say how tokens of its ServiceAccounts are checked, or in a way that gateways cannot use.
    ClusterTokensUnusable => "Ask the platform team to give the API server an https URL as service-account-issuer, or set auth.oidc.issuerURL instead of kubernetes.",
    /// A quota or limit range refuses a child.
    QuotaExceeded => "Raise the quota of the namespace, or lower spec.replicas or spec.pod.resources.",
    /// An admission policy refuses a child.
    AdmissionDenied => "Change what the message names, or ask the platform team about the policy.",
    /// The operator may not do what it has to.
    OperatorForbidden => "Ask the platform team to install the operator's roles for this namespace.",
    /// The API server did not answer as expected.
    ApiServerError => "Wait; the operator tries again.",

    /// Enough gateway pods are ready.
    ReplicasReady => "Nothing to do.",
    /// Too few gateway pods are ready.
    ReplicasUnavailable => "Look at the gateway pods' events and logs.",
    /// New gateway pods are starting.
    RolloutInProgress => "Wait; old pods serve until new ones do.",
    /// New gateway pods do not become ready.
    RolloutFailed => "Look at the newest gateway pod's events and logs, and correct spec.pod or the Secrets that it mounts.",

    /// The topic is read.
    KafkaReachable => "Nothing to do.",
    /// No gateway pod has said anything about Kafka yet.
    KafkaNotProbed => "Wait until a gateway pod is up.",
    /// No broker answers.
    KafkaUnreachable => "Check the bootstrap servers, the network policies and the brokers.",
    /// The brokers' certificate is not accepted, or ours is not.
    TlsFailed => "Check tls.caSecretRef and tls.clientCertSecretRef against the brokers' listeners.",
    /// The log-in fails.
    AuthenticationFailed => "Check sasl.mechanism and the credentials in the Secret.",
    /// The user may not read the topic.
    AuthorizationFailed => "Grant the Kafka user Describe and Read on the topic, and Write on the topic of stream.publish.",
    /// The topic does not exist.
    TopicNotFound => "Create the topic, or correct spec.topic.",

    /// Gateways have no keys of the identity provider, so that they cannot check tokens.
    ProviderUnavailable => "Check auth.oidc.issuerURL, auth.oidc.caSecretRef and the network policies between the gateway pods and the provider.",

    /// Every key is issued.
    KeysIssued => "Nothing to do.",
    /// The mode has no keys.
    KeysNotUsed => "Nothing to do.",
    /// A key has expired.
    KeyExpired => "Set a later expiresAt, or remove the key.",
    /// A key is older than the rotation asks for, and its replacement is still being made.
    RotationPending => "Wait; the message says for which key.",

    /// No exposure was asked for.
    ClusterLocal => "Nothing to do.",
    /// Every Gateway has accepted the route, or the Ingress or Service has an address.
    RouteAccepted => "Nothing to do.",
    /// The Gateway, Ingress or load balancer has not answered yet.
    RoutePending => "Wait; if it stays, check that the controller of the Gateway or Ingress class runs.",
    /// No listener of the Gateway fits.
    NoMatchingParent => "Check publicAccess.gateway.parentRefs and publicAccess.hostname against the Gateway's listeners.",
    /// The Gateway does not take routes from this namespace.
    RefNotPermitted => "Ask the platform team to allow routes from this namespace in the Gateway's listener.",
    /// The Gateway refuses the route for another reason.
    RouteRejected => "Read the Gateway's answer in the message.",
    /// The cluster has no Gateway API.
    GatewayApiMissing => "Ask the platform team to install the Gateway API, or choose another publicAccess.exposure.",
    /// The certificate is not there yet.
    CertificatePending => "Wait for the certificate, or create the Secret in publicAccess.tls.secretRef.",

    /// A connection can be used.
    ConnectionAccepted => "Nothing to do.",

    /// A key was issued.
    KeyIssued => "Hand the key in the Secret to the client team.",
    /// A key was replaced.
    KeyRotated => "Hand the new key to the client team before the old one ends.",
    /// A key was removed, and its connections are being closed.
    KeyRevoked => "Nothing to do.",
}

impl Reason {
    /// Whether only somebody's change can help, so that trying again is useless.
    pub const fn needs_change(self) -> bool {
        matches!(
            self,
            Self::InvalidSpec
                | Self::TopicNotAllowed
                | Self::NoDefaultConnection
                | Self::SeveralDefaultConnections
                | Self::GuardrailExceeded
                | Self::HostnameConflict
                | Self::AppConflict
                | Self::SecretNotFound
                | Self::SecretInvalid
                | Self::SecretConflict
                | Self::ChildConflict
                | Self::ClusterTokensUnusable
                | Self::AdmissionDenied
                | Self::OperatorForbidden
                | Self::GatewayApiMissing
        )
    }

    /// Whether it withdraws a permission: what already runs is taken away, instead of being left as it is, because
    /// nobody may go on reading what the platform team does not allow.
    pub const fn withdraws(self) -> bool {
        matches!(self, Self::TopicNotAllowed | Self::GuardrailExceeded | Self::NoDefaultConnection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_are_unique_and_are_what_kubernetes_accepts() {
        let words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
        for word in words.into_iter().chain(ConditionType::ALL.iter().map(|condition| condition.as_str())) {
            assert!(word.starts_with(|c: char| c.is_ascii_uppercase()), "{word}");
            assert!(word.chars().all(|c| c.is_ascii_alphanumeric()), "{word}");
        }
    }

    #[test]
    fn what_withdraws_a_permission_needs_a_change_by_somebody() {
        let withdrawing: Vec<_> = Reason::ALL.iter().filter(|reason| reason.withdraws()).collect();
        assert!(withdrawing.contains(&&Reason::TopicNotAllowed));
        assert!(withdrawing.iter().all(|reason| reason.needs_change()), "{withdrawing:?}");
    }

    #[test]
    fn every_remedy_is_one_sentence() {
        for reason in Reason::ALL {
            let remedy = reason.remedy();
            assert!(remedy.ends_with('.') && !remedy.trim_end_matches('.').contains(". "), "{reason}: {remedy}");
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
    }
}
