//! `spec.auth`: the keys of the endpoint.
//!
//! Must never turn a mode into a weaker one: a mode that the gateway does not have yields no model at all.

use super::{Parsed, Problems, Reported};
use crate::model::{Authentication, Key};
use headgate_crds::types::KeyHash;
use headgate_crds::v1alpha1 as api;
use headgate_wire::key::{KeyDigest, Permission};

/// How clients prove who they are.
pub(super) fn parse(auth: &api::Auth, problems: &mut Problems) -> Parsed<Authentication> {
    let keys: Vec<_> = auth.keys().iter().enumerate().map(|(index, key)| self::key(index, key, problems)).collect();
    match auth.mode {
        api::AuthMode::ApiKey => keys.into_iter().collect::<Parsed<_>>().map(Authentication::ApiKeys),
        api::AuthMode::None => Ok(Authentication::Anonymous),
        // Reported by `offered`.
        api::AuthMode::Oidc | api::AuthMode::ApiKeyOrOidc => Err(Reported),
    }
}

fn key(index: usize, key: &api::ApiKey, problems: &mut Problems) -> Parsed<Key> {
    let field = |name: &str| format!("spec.auth.apiKeys[{index}].{name}");
    let name = problems.text(field("name"), &key.name);
    let digest = key.key_hash.as_ref().map(|hash| digest(&field("keyHash"), hash, problems));
    Ok(Key {
        name: name?,
        permissions: key.permissions.iter().map(|permission| self::permission(*permission)).collect(),
        expires_at: key.expires_at.as_ref().map(|time| time.0),
        digest: digest.transpose()?,
    })
}

fn digest(field: &str, hash: &KeyHash, problems: &mut Problems) -> Parsed<KeyDigest> {
    let hash = problems.text(field, hash)?;
    hash.parse().map_err(|error: headgate_wire::key::InvalidDigest| {
        problems.invalid(field, error.to_string());
        Reported
    })
}

fn permission(permission: api::Permission) -> Permission {
    match permission {
        api::Permission::Read => Permission::Read,
        api::Permission::Publish => Permission::Publish,
    }
}
