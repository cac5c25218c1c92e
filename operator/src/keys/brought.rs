//! Keys that their owners bring: in a labelled Secret, made by hand or by an external secret store.
//!
//! Must never accept what could be guessed or what gateways would take for something else, and never write such a Secret.

use super::{Context, Draft, ENTRY_API_KEY, LABEL_BRINGS_KEY_FOR, Rank, layout};
use crate::model;
use headgate_crds::names::LABEL_KEY;
use headgate_crds::types::SecretName;
use headgate_crds::v1alpha1::{KeyState, KeyStatus, SecretRef};
use headgate_wire::key::{KeyDigest, KeyShape, looks_like_jwt, shape};
use k8s_openapi::api::core::v1::Secret;

/// Fewest characters of a key: what is shorter could be guessed.
pub const MIN_BROUGHT_KEY_LENGTH: usize = 16;
/// Most characters of a key, so that every proxy takes the header that it comes in.
pub const MAX_BROUGHT_KEY_LENGTH: usize = 512;

/// What users bring for one key.
#[derive(Debug)]
pub(super) enum Brought {
    /// Nothing.
    Nothing,
    /// A key that can be used.
    Key(BroughtKey),
    /// A Secret without one, and why, as a sentence.
    Refused(String),
}

/// A key that somebody brought.
#[derive(Debug)]
pub(super) struct BroughtKey {
    secret: SecretName,
    /// Only keys in our form have a public part.
    id: Option<String>,
    digest: KeyDigest,
}

/// What is brought for a key. Of several Secrets the oldest counts, so that nobody can take a key over by adding one.
pub(super) fn find(context: &Context<'_>, key: &model::Key) -> Brought {
    let mut secrets: Vec<&Secret> =
        context.inputs.brought.iter().filter(|secret| brings(context, key, secret)).collect();
    secrets.sort_by_key(|secret| (secret.metadata.creation_timestamp.clone(), secret.metadata.name.clone()));
    let Some(secret) = secrets.first() else { return Brought::Nothing };
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    match (SecretName::new(name), read(secret)) {
        (Ok(name), Ok((id, digest))) => Brought::Key(BroughtKey { secret: name, id, digest }),
        (_, Err(fault)) => Brought::Refused(format!(
            "Secret {name} brings key {} in its entry {ENTRY_API_KEY}, which {fault}.",
            key.name.as_str()
        )),
        (Err(error), Ok(_)) => Brought::Refused(error.to_string()),
    }
}

/// What a key that somebody brings comes to.
pub(super) fn draft(context: &Context<'_>, key: &model::Key) -> Draft {
    let Brought::Key(brought) = find(context, key) else {
        return Draft::of(context.status(key, KeyState::Pending), Rank::Brought);
    };
    let id = brought.id.clone().unwrap_or_else(|| key.name.to_string());
    let status = KeyStatus {
        id: brought.id,
        secret_ref: Some(SecretRef { name: brought.secret }),
        ..context.status(key, KeyState::Active)
    };
    Draft { verifiers: vec![Context::verifier(key, id, brought.digest)], ..Draft::of(status, Rank::Brought) }
}

fn brings(context: &Context<'_>, key: &model::Key, secret: &Secret) -> bool {
    let label = |name: &str| secret.metadata.labels.as_ref()?.get(name).map(String::as_str);
    label(LABEL_BRINGS_KEY_FOR) == Some(context.endpoint.name.as_str())
        && label(LABEL_KEY) == Some(key.name.as_str())
        && secret.metadata.deletion_timestamp.is_none()
        // The Secret of a key that we issued cannot bring that key, or the one would make the other superfluous.
        && !layout::is_owned(secret, &context.endpoint.uid)
}

/// The public id and the digest, or what is wrong; never any part of the key.
fn read(secret: &Secret) -> Result<(Option<String>, KeyDigest), String> {
    let entry = secret.data.as_ref().and_then(|data| data.get(ENTRY_API_KEY));
    let text = std::str::from_utf8(&entry.ok_or("is missing: add it")?.0).map_err(|_| "is not text: correct it")?;
    // `kubectl create secret --from-file` keeps the line end of the file.
    let text = text.trim();
    let length = text.chars().count();
    if length < MIN_BROUGHT_KEY_LENGTH {
        return Err(format!(
            "has {length} characters and could be guessed: use at least {MIN_BROUGHT_KEY_LENGTH} random ones"
        ));
    }
    if length > MAX_BROUGHT_KEY_LENGTH {
        return Err(format!("has more than {MAX_BROUGHT_KEY_LENGTH} characters: use a shorter key"));
    }
    if text.contains(char::is_control) {
        return Err("contains a control character, which no header can carry: use another key".to_owned());
    }
    if looks_like_jwt(text) {
        return Err("has two dots, so that it would be taken for a token: use another key".to_owned());
    }
    match shape(text) {
        KeyShape::Issued { id } => Ok((Some(id.to_owned()), KeyDigest::of(text))),
        KeyShape::Brought => Ok((None, KeyDigest::of(text))),
        KeyShape::Mistyped => Err("begins like a key of Headgate with a wrong checksum: copy it again".to_owned()),
    }
}
