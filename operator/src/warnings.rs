//! What an endpoint may ask for and its author has probably not meant: said where manifests are read, never refused.
//!
//! Owns the sentences, and when each is due. Must never repeat what `validate` refuses.

use headgate_crds::v1alpha1::StreamEndpointSpec;
use std::fmt;

/// Something that works as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// Path of the field, like `spec.auth.oidc.publish`.
    pub field: &'static str,
    /// What follows from it, and what to write if that is not meant.
    pub message: &'static str,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

const ANY_SERVICE_ACCOUNT: Warning = Warning {
    field: "spec.auth.oidc.kubernetes",
    message: "every ServiceAccount of the cluster may read, because each can ask for a token with these audiences: name \
              whom you mean with required, for example {claim: kubernetes.io.namespace, values: [shop]} or \
              {claim: sub, values: ['system:serviceaccount:shop:reader']}",
};

const PUBLISH_WITHOUT_EFFECT: Warning = Warning {
    field: "spec.auth.oidc.publish",
    message: "has no effect, because gateways of this version take no messages from clients: remove it, or leave it for \
              a later version",
};

/// What is probably not meant, in the order of the fields. For a spec that `validate` accepts.
pub fn warnings(spec: &StreamEndpointSpec) -> Vec<Warning> {
    let Some(oidc) = &spec.auth.oidc else { return Vec::new() };
    let is_any_account = oidc.kubernetes.is_some() && oidc.required.is_empty() && !spec.public_access.anonymous;
    let due = [(is_any_account, ANY_SERVICE_ACCOUNT), (!oidc.publish.is_empty(), PUBLISH_WITHOUT_EFFECT)];
    due.into_iter().filter(|(is_due, _)| *is_due).map(|(_, warning)| warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn fields(oidc: &Value, anonymous: bool) -> Vec<&'static str> {
        let spec = json!({
            "app": "orders", "topic": "shop.orders", "auth": { "mode": "OIDC", "oidc": oidc },
            "publicAccess": { "anonymous": anonymous },
        });
        warnings(&serde_json::from_value(spec).unwrap()).into_iter().map(|warning| warning.field).collect()
    }

    #[test]
    fn tokens_of_every_service_account_are_warned_of_unless_some_are_named_or_anybody_may_read() {
        let every = json!({ "kubernetes": {}, "audiences": ["orders"] });
        assert_eq!(fields(&every, false), ["spec.auth.oidc.kubernetes"]);
        assert_eq!(fields(&every, true), [""; 0]);
        let required = json!([{ "claim": "kubernetes.io.namespace", "values": ["shop"] }]);
        assert_eq!(fields(&json!({ "kubernetes": {}, "audiences": ["orders"], "required": required }), false), [""; 0]);
        let provider = json!({ "issuerURL": "https://id.example.com", "audiences": ["orders"] });
        assert_eq!(fields(&provider, false), [""; 0]);
    }

    #[test]
    fn rules_for_publishing_are_warned_of_while_nobody_can_publish() {
        let publish = json!([{ "claim": "groups", "values": ["writers"] }]);
        let oidc = json!({ "issuerURL": "https://id.example.com", "audiences": ["orders"], "publish": publish });
        assert_eq!(fields(&oidc, false), ["spec.auth.oidc.publish"]);
    }
}
