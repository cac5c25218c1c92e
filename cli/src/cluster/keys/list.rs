//! What `spec.auth.apiKeys` becomes when a key is added or taken away. Pure, on the list as it is stored.

use headgate_crds::types::KeyName;
use headgate_crds::v1alpha1::ApiKey;
use headgate_wire::key::KeyDigest;
use jiff::Timestamp;
use serde_json::{Value, json};

/// A key to add.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewKey {
    /// Its name.
    pub(crate) name: KeyName,
    /// What it allows, in the words of manifests.
    pub(crate) permissions: Vec<&'static str>,
    /// When it ends.
    pub(crate) expires_at: Option<Timestamp>,
    /// Digest of a key that exists already; else Headgate issues one.
    pub(crate) digest: Option<KeyDigest>,
}

/// Why the list cannot become what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyListError {
    /// A mode without keys.
    #[error("auth.mode {0} has no keys: set spec.auth.mode to ApiKey or ApiKeyOrOIDC first")]
    NoKeys(String),
    /// The name is taken.
    #[error("there is a key \"{0}\" already: replace it with headgate keys rotate, or choose another name")]
    Exists(String),
    /// Somebody else took it away.
    #[error("there is no key \"{0}\" any more")]
    Gone(String),
}

impl NewKey {
    /// The entry as a manifest has it.
    pub(crate) fn entry(&self) -> Value {
        let mut entry = json!({ "name": self.name, "permissions": self.permissions });
        if let Some(time) = self.expires_at {
            entry["expiresAt"] = json!(time.to_string());
        }
        if let Some(digest) = self.digest {
            entry["keyHash"] = json!(digest.to_string());
        }
        entry
    }
}

/// The list with one more key.
pub(super) fn with(spec: &Value, key: &NewKey) -> Result<Vec<Value>, KeyListError> {
    let mut keys = present(spec)?;
    if keys.iter().any(|entry| entry["name"] == *key.name.as_str()) {
        return Err(KeyListError::Exists(key.name.to_string()));
    }
    keys.push(key.entry());
    Ok(keys)
}

/// The list without one of several keys.
pub(super) fn without(spec: &Value, key: &str) -> Result<Vec<Value>, KeyListError> {
    let mut keys = present(spec)?;
    let before = keys.len();
    keys.retain(|entry| entry["name"] != *key);
    // The last one stays: without a list there would be the implied key, which nobody asked for.
    if keys.len() == before || keys.is_empty() {
        return Err(KeyListError::Gone(key.to_owned()));
    }
    Ok(keys)
}

/// The entries that are there, or the implied one.
fn present(spec: &Value) -> Result<Vec<Value>, KeyListError> {
    let auth = &spec["auth"];
    let mode = auth["mode"].as_str().unwrap_or_default();
    if !matches!(mode, "ApiKey" | "ApiKeyOrOIDC") {
        return Err(KeyListError::NoKeys(mode.to_owned()));
    }
    Ok(match auth["apiKeys"].as_array() {
        Some(keys) if !keys.is_empty() => keys.clone(),
        _ => vec![json!(ApiKey::implied())],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> NewKey {
        NewKey { name: KeyName::new(name).unwrap(), permissions: vec!["Read"], expires_at: None, digest: None }
    }

    fn spec(keys: &Value) -> Value {
        json!({ "auth": { "mode": "ApiKey", "apiKeys": keys } })
    }

    #[test]
    fn the_implied_key_stays_when_another_is_added() {
        let keys = with(&json!({ "auth": { "mode": "ApiKey" } }), &key("web")).unwrap();
        let implied = json!({ "name": "default", "permissions": ["Read"] });
        assert_eq!(json!(keys), json!([implied, { "name": "web", "permissions": ["Read"] }]));
    }

    #[test]
    fn other_entries_stay_as_they_are_whatever_version_wrote_them() {
        let other = json!({ "name": "etl", "permissions": ["Publish"], "ofALaterVersion": { "a": 1 } });
        let keys = with(&spec(&json!([other])), &key("web")).unwrap();
        assert_eq!(keys[0], other);
        let keys = without(&spec(&json!([other, { "name": "web" }])), "web").unwrap();
        assert_eq!(json!(keys), json!([other]));
    }

    #[test]
    fn expiry_and_digest_are_written_as_manifests_write_them() {
        let digest = KeyDigest::of("k");
        let new = NewKey {
            expires_at: Some("2027-01-01T00:00:00Z".parse().unwrap()),
            digest: Some(digest),
            permissions: vec!["Read", "Publish"],
            ..key("own")
        };
        let expected = json!({ "name": "own", "permissions": ["Read", "Publish"],
            "expiresAt": "2027-01-01T00:00:00Z", "keyHash": digest.to_string() });
        assert_eq!(new.entry(), expected);
    }

    #[test]
    fn a_name_that_is_taken_a_mode_without_keys_and_a_key_that_is_gone_are_refused() {
        let taken = with(&spec(&json!([{ "name": "web" }])), &key("web"));
        assert_eq!(taken, Err(KeyListError::Exists("web".to_owned())));
        assert!(matches!(with(&json!({ "auth": { "mode": "OIDC" } }), &key("web")), Err(KeyListError::NoKeys(_))));
        assert!(without(&spec(&json!([{ "name": "a" }, { "name": "b" }])), "web").is_err());
        assert!(without(&spec(&json!([{ "name": "web" }])), "web").is_err(), "the last one");
    }
}
