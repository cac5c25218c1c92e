//! What the server says about the tokens of its ServiceAccounts: the two documents of issuer discovery.
//!
//! Owns their content. They are read like objects, with rights, faults and a place in the log, and never written.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::Answer;
use super::kinds::PATHS;
use super::request::{Call, Verb};

/// Path of the keys.
const KEY_SET: &str = "/openid/v1/jwks";

/// The documents by path.
#[derive(Debug, Clone)]
pub struct Documents(BTreeMap<&'static str, Value>);

impl Default for Documents {
    fn default() -> Self {
        let configuration = json!({
            "issuer": "https://kubernetes.default.svc.cluster.local",
            "jwks_uri": "https://192.0.2.1:6443/openid/v1/jwks",
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        let mut documents = Self(BTreeMap::from([("/.well-known/openid-configuration", configuration)]));
        documents.sign_with(&["one"]);
        documents
    }
}

impl Documents {
    /// From now on tokens are signed with keys of these ids.
    pub fn sign_with(&mut self, ids: &[&str]) {
        let key = |id: &&str| json!({"use": "sig", "kty": "RSA", "kid": id, "alg": "RS256", "n": "AQAB", "e": "AQAB"});
        self.0.insert(KEY_SET, json!({"keys": ids.iter().map(key).collect::<Vec<_>>()}));
    }

    /// A server whose issuer is no URL has no documents.
    pub fn remove(&mut self) {
        self.0.clear();
    }

    /// The answer to a call about a document; none for every other call.
    pub(super) fn answer(&self, call: &Call) -> Option<Result<Answer, String>> {
        if call.kind.group != PATHS {
            return None;
        }
        Some(match (call.verb, self.0.get(call.kind.plural)) {
            (Verb::Get, Some(document)) => Ok(Answer::object(200, document.clone())),
            (Verb::Get, None) => Ok(Answer::failure(404, "NotFound", "404 page not found")),
            (verb, _) => Err(format!("{verb} is not possible")),
        })
    }
}
