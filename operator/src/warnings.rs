//! What an endpoint may ask for and its author has probably not meant: said where manifests are read, never refused.
//!
//! Owns the sentences, and when each is due. Must never repeat what `validate` refuses.

use headgate_crds::v1alpha1::{ApiKey, Filter, Oidc, RequiredClaim, StreamEndpointSpec};
use jiff::Timestamp;
use std::fmt;

/// Something that works as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Path of the field, like `spec.auth.oidc.publish`.
    pub field: String,
    /// What follows from it, and what to write if that is not meant.
    pub message: &'static str,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

const ANY_SERVICE_ACCOUNT: &str = "every ServiceAccount of the cluster may read, because each can ask for a token with these audiences: name whom you \
     mean with required, for example {claim: kubernetes.io.namespace, values: [shop]} or \
     {claim: sub, values: ['system:serviceaccount:shop:reader']}";
const PUBLISH_WITHOUT_EFFECT: &str = "has no effect, because gateways of this version take no messages from clients: remove it, or leave it for a later \
     version";
const SLASH_OF_A_REALM: &str = "ends in a slash, and issuers of Keycloak do not: compare it with iss in a token, and remove the slash if there is none";
const NOT_A_PATH: &str = "is looked for by its whole name, then by its path with dots: write realm_access.roles, not realm_access/roles, and no \
     index, because one member of a list is enough";
const NO_WILDCARD: &str =
    "is compared whole, so that * means itself only: list the values, or remove the entry if any will do";
const EXPIRED: &str = "is in the past, so that nobody can use the key: set a later time, or remove the key";
const DATA: &str = "compares the attribute data, which no event has, because data are not looked into: filter by an attribute such as \
     subject or type";

/// What is probably not meant, in the order of the fields. For a spec that `validate` accepts, looked at at `now`.
pub fn warnings(spec: &StreamEndpointSpec, now: Timestamp) -> Vec<Warning> {
    let mut found = Found::default();
    found.filters("spec.stream", &spec.stream.filters);
    for (index, key) in spec.auth.api_keys.iter().enumerate() {
        found.key(&format!("spec.auth.apiKeys[{index}]"), key, now);
    }
    if let Some(oidc) = &spec.auth.oidc {
        found.tokens(oidc, spec.public_access.anonymous);
    }
    found.warnings
}

#[derive(Default)]
struct Found {
    warnings: Vec<Warning>,
}

impl Found {
    fn add(&mut self, is_due: bool, field: &str, message: &'static str) {
        if is_due {
            self.warnings.push(Warning { field: field.to_owned(), message });
        }
    }

    fn key(&mut self, field: &str, key: &ApiKey, now: Timestamp) {
        let is_over = key.expires_at.as_ref().is_some_and(|end| end.0 <= now);
        self.add(is_over, &format!("{field}.expiresAt"), EXPIRED);
        self.filters(field, &key.filters);
    }

    fn tokens(&mut self, oidc: &Oidc, anonymous: bool) {
        let issuer = oidc.issuer_url.as_ref().map(AsRef::as_ref).unwrap_or_default();
        let is_realm = issuer.contains("/realms/") && issuer.ends_with('/');
        self.add(is_realm, "spec.auth.oidc.issuerURL", SLASH_OF_A_REALM);
        let is_any_account = oidc.kubernetes.is_some() && oidc.required.is_empty() && !anonymous;
        self.add(is_any_account, "spec.auth.oidc.kubernetes", ANY_SERVICE_ACCOUNT);
        self.claims("required", &oidc.required);
        self.add(!oidc.publish.is_empty(), "spec.auth.oidc.publish", PUBLISH_WITHOUT_EFFECT);
        for (index, filter) in oidc.filters.iter().enumerate() {
            let field = format!("spec.auth.oidc.filters[{index}]");
            self.add(filter.attribute.as_ref() == "data", &format!("{field}.attribute"), DATA);
            self.add(is_no_path(filter.claim.as_ref()), &format!("{field}.claim"), NOT_A_PATH);
        }
    }

    fn claims(&mut self, list: &str, claims: &[RequiredClaim]) {
        for (index, wanted) in claims.iter().enumerate() {
            let field = format!("spec.auth.oidc.{list}[{index}]");
            self.add(is_no_path(wanted.claim.as_ref()), &format!("{field}.claim"), NOT_A_PATH);
            self.add(wanted.values.iter().any(|value| value.contains('*')), &format!("{field}.values"), NO_WILDCARD);
        }
    }

    fn filters(&mut self, field: &str, filters: &[Filter]) {
        for (index, filter) in filters.iter().enumerate() {
            self.add(compares_data(filter), &format!("{field}.filters[{index}]"), DATA);
        }
    }
}

/// Names with a URL before them are whole, whatever is in them.
fn is_no_path(claim: &str) -> bool {
    !claim.contains("://") && (claim.contains(['/', '[']) || claim.starts_with('$'))
}

fn compares_data(filter: &Filter) -> bool {
    match filter {
        Filter::Exact(texts) | Filter::Prefix(texts) | Filter::Suffix(texts) => texts.contains_key("data"),
        Filter::All(nested) | Filter::Any(nested) => nested.iter().any(compares_data),
        Filter::Not(nested) => compares_data(nested),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn fields(auth: &Value, anonymous: bool) -> Vec<String> {
        let spec = json!({
            "app": "orders", "topic": "shop.orders", "auth": auth, "publicAccess": { "anonymous": anonymous },
            "stream": { "filters": [{ "exact": { "type": "sale" } }] },
        });
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        warnings(&serde_json::from_value(spec).unwrap(), now).into_iter().map(|warning| warning.field).collect()
    }

    fn tokens(oidc: &Value, anonymous: bool) -> Vec<String> {
        fields(&json!({ "mode": "OIDC", "oidc": oidc }), anonymous)
    }

    #[test]
    fn tokens_of_every_service_account_are_warned_of_unless_some_are_named_or_anybody_may_read() {
        let every = json!({ "kubernetes": {}, "audiences": ["orders"] });
        assert_eq!(tokens(&every, false), ["spec.auth.oidc.kubernetes"]);
        assert_eq!(tokens(&every, true), [""; 0]);
        let required = json!([{ "claim": "kubernetes.io.namespace", "values": ["shop"] }]);
        assert_eq!(tokens(&json!({ "kubernetes": {}, "audiences": ["orders"], "required": required }), false), [""; 0]);
        let provider = json!({ "issuerURL": "https://id.example.com/", "audiences": ["orders"] });
        assert_eq!(tokens(&provider, false), [""; 0]);
    }

    #[test]
    fn rules_for_publishing_are_warned_of_while_nobody_can_publish() {
        let publish = json!([{ "claim": "groups", "values": ["writers"] }]);
        let oidc = json!({ "issuerURL": "https://id.example.com", "audiences": ["orders"], "publish": publish });
        assert_eq!(tokens(&oidc, false), ["spec.auth.oidc.publish"]);
    }

    #[test]
    fn claims_that_only_look_like_paths_wildcards_and_the_slash_of_a_realm_are_warned_of() {
        let claim = |claim: &str, value: &str| json!({ "claim": claim, "values": [value] });
        let filter = |attribute: &str, claim: &str| json!({ "attribute": attribute, "claim": claim });
        let oidc = json!({
            "issuerURL": "https://id.example.com/realms/shop/", "audiences": ["orders"],
            "required": [claim("realm_access/roles", "a"), claim("realm_access.roles", "*"), claim("https://a.b/c", "d")],
            "filters": [filter("data", "tenant"), filter("subject", "$.customer"), filter("region", "groups[0]")],
        });
        let expected = [
            "issuerURL",
            "required[0].claim",
            "required[1].values",
            "filters[0].attribute",
            "filters[1].claim",
            "filters[2].claim",
        ];
        assert_eq!(tokens(&oidc, false), expected.map(|field| format!("spec.auth.oidc.{field}")));
    }

    #[test]
    fn a_key_that_has_ended_and_one_that_asks_for_what_events_do_not_have_are_warned_of() {
        let keys = json!([
            { "name": "old", "expiresAt": "2020-01-01T00:00:00Z" },
            { "name": "new", "expiresAt": "2030-01-01T00:00:00Z", "filters": [{ "exact": { "subject": "a" } }] },
            { "name": "lost", "filters": [{ "not": { "any": [{ "prefix": { "data": "a" } }] } }] },
        ]);
        let expected = ["spec.auth.apiKeys[0].expiresAt", "spec.auth.apiKeys[2].filters[0]"];
        assert_eq!(fields(&json!({ "mode": "ApiKey", "apiKeys": keys }), false), expected);
    }
}
