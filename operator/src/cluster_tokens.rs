//! Tokens of the cluster's own ServiceAccounts: who issues them, and the keys that check them.
//!
//! Owns what the API server's two documents about them mean (ServiceAccount issuer discovery: OpenID Connect Discovery 1.0
//! and RFC 7517). Pure. The keys come out in one form, whichever replica of the API server has answered, so that a pod is
//! told of new keys only. Must never let through more than a gateway reads, nor a key that is not public.

use headgate_crds::types::IssuerUrl;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Path of the document that names the issuer.
pub const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
/// Path of the keys. The document names another one where the issuer is not the API server; this one has the same keys.
pub const KEY_SET_PATH: &str = "/openid/v1/jwks";

/// Most bytes of a document. A key has half a kilobyte.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;
/// Most keys: as many as a gateway reads.
const MAX_KEYS: usize = 64;
/// Members of a key that are secret (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1). No API server has them; none gets further.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Who issues the tokens, and the keys that check them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTokens {
    /// The claim `iss` of every token.
    pub issuer: IssuerUrl,
    /// JSON Web Key Set.
    pub keys: String,
}

/// Why the tokens of the cluster cannot be checked. The text goes on after "the tokens of this cluster's ServiceAccounts
/// cannot be checked".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The API server has no such documents, because its issuer is not a URL.
    #[error("the API server does not say who issues them")]
    NotServed,
    /// A document is larger than any honest one.
    #[error("the API server's answer about them has more than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge,
    /// Not what the specifications say.
    #[error("the API server's answer about them cannot be understood")]
    Malformed,
    /// The issuer is not an https URL.
    #[error("their issuer is not an https URL")]
    Issuer,
    /// None, or more than a gateway reads.
    #[error("the API server has no key for them, or more than {MAX_KEYS}")]
    Keys,
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Map<String, Value>>,
}

impl ClusterTokens {
    /// What the two documents say.
    ///
    /// # Errors
    ///
    /// Why they are of no use.
    pub fn read(configuration: &str, key_set: &str) -> Result<Self, Unusable> {
        if configuration.len().max(key_set.len()) > MAX_DOCUMENT_BYTES {
            return Err(Unusable::TooLarge);
        }
        let Configuration { issuer } = serde_json::from_str(configuration).map_err(|_| Unusable::Malformed)?;
        let KeySet { mut keys } = serde_json::from_str(key_set).map_err(|_| Unusable::Malformed)?;
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(Unusable::Keys);
        }
        for key in &mut keys {
            key.retain(|member, _| !PRIVATE_MEMBERS.contains(&member.as_str()));
        }
        let mut keys: Vec<Value> = keys.into_iter().map(Value::Object).collect();
        keys.sort_by_cached_key(ToString::to_string);
        keys.dedup();
        Ok(Self {
            issuer: IssuerUrl::new(&issuer).map_err(|_| Unusable::Issuer)?,
            keys: json!({ "keys": keys }).to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURATION: &str = r#"{"issuer":"https://kubernetes.default.svc.cluster.local",
        "jwks_uri":"https://192.0.2.2:6443/openid/v1/jwks","response_types_supported":["id_token"]}"#;

    fn keys(ids: &[&str]) -> String {
        let key = |id: &&str| json!({"use": "sig", "kty": "RSA", "kid": id, "alg": "RS256", "n": "AQAB", "e": "AQAB"});
        json!({"keys": ids.iter().map(key).collect::<Vec<_>>()}).to_string()
    }

    #[test]
    fn an_api_server_says_who_issues_its_tokens_and_with_which_keys() {
        let read = ClusterTokens::read(CONFIGURATION, &keys(&["a"])).unwrap();
        assert_eq!(read.issuer, "https://kubernetes.default.svc.cluster.local");
        assert_eq!(serde_json::from_str::<Value>(&read.keys).unwrap()["keys"][0]["kid"], "a");
    }

    #[test]
    fn replicas_of_an_api_server_that_order_their_keys_differently_say_the_same() {
        let read = |ids: &[&str]| ClusterTokens::read(CONFIGURATION, &keys(ids)).unwrap();
        assert_eq!(read(&["a", "b", "c"]), read(&["c", "a", "b", "a"]));
        assert_ne!(read(&["a", "b"]), read(&["a"]));
    }

    #[test]
    fn no_private_part_of_a_key_goes_any_further() {
        let key = json!({"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB", "d": "c2VjcmV0", "p": "c2VjcmV0"});
        let read = ClusterTokens::read(CONFIGURATION, &json!({ "keys": [key] }).to_string()).unwrap();
        assert!(read.keys.contains("AQAB") && !read.keys.contains("c2VjcmV0"), "{}", read.keys);
    }

    #[test]
    fn what_no_gateway_could_use_is_refused() {
        let many: Vec<String> = (0..=MAX_KEYS).map(|id| id.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let padded = |text: String| text + &" ".repeat(MAX_DOCUMENT_BYTES);
        for (configuration, key_set, why) in [
            (CONFIGURATION.to_owned(), "<html>".to_owned(), Unusable::Malformed),
            ("{}".to_owned(), keys(&["a"]), Unusable::Malformed),
            (CONFIGURATION.to_owned(), r#"{"keys":["a"]}"#.to_owned(), Unusable::Malformed),
            (CONFIGURATION.to_owned(), keys(&[]), Unusable::Keys),
            (CONFIGURATION.to_owned(), keys(&many), Unusable::Keys),
            (CONFIGURATION.replace("https", "http"), keys(&["a"]), Unusable::Issuer),
            (r#"{"issuer":"kubernetes/serviceaccount"}"#.to_owned(), keys(&["a"]), Unusable::Issuer),
            (padded(CONFIGURATION.to_owned()), keys(&["a"]), Unusable::TooLarge),
            (CONFIGURATION.to_owned(), padded(keys(&["a"])), Unusable::TooLarge),
        ] {
            assert_eq!(ClusterTokens::read(&configuration, &key_set), Err(why), "{configuration} {key_set}");
        }
    }
}
