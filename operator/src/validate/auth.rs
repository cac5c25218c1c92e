//! `spec.auth`: the mode, and the keys of the endpoint.
//!
//! Must never turn a mode into a weaker one: a mode without what it needs yields no model at all.

use super::{Parsed, Problems, Reported, filters, tokens};
use crate::model::{Authentication, Key, Tokens};
use crate::references::References;
use headgate_crds::types::KeyHash;
use headgate_crds::v1alpha1 as api;
use headgate_wire::key::{KeyDigest, Permission};

/// How clients prove who they are.
pub(super) fn parse(auth: &api::Auth, references: &References, problems: &mut Problems) -> Parsed<Authentication> {
    let keys: Vec<_> = auth.keys().iter().enumerate().map(|(index, key)| self::key(index, key, problems)).collect();
    let keys: Parsed<Vec<Key>> = keys.into_iter().collect();
    let tokens = auth.oidc.as_ref().map(|oidc| tokens::parse(oidc, references, problems));
    // That it is missing is reported by `schema`.
    let tokens: Parsed<Tokens> = tokens.unwrap_or(Err(Reported));
    Ok(match auth.mode {
        api::AuthMode::ApiKey => Authentication::ApiKeys(keys?),
        api::AuthMode::Oidc => Authentication::Tokens(tokens?),
        api::AuthMode::ApiKeyOrOidc => Authentication::ApiKeysOrTokens(keys?, tokens?),
        api::AuthMode::None => Authentication::Anonymous,
    })
}

fn key(index: usize, key: &api::ApiKey, problems: &mut Problems) -> Parsed<Key> {
    let field = |name: &str| format!("spec.auth.apiKeys[{index}].{name}");
    let name = problems.text(field("name"), &key.name);
    let digest = key.key_hash.as_ref().map(|hash| digest(&field("keyHash"), hash, problems));
    let filters = filters::parse(&field("filters"), &key.filters, problems);
    Ok(Key {
        name: name?,
        permissions: key.permissions.iter().map(|permission| self::permission(*permission)).collect(),
        expires_at: key.expires_at.as_ref().map(|time| time.0),
        digest: digest.transpose()?,
        filters: filters?,
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
