//! What becomes of a key that Headgate issues.
//!
//! Owns when a key is made, kept and replaced. A key that can be read is never made again, only replaced on purpose, and
//! then the Secret takes the new key, the digest of the old one and the reason for it in one write.

use super::layout::{self, Content, Held, MAX_PREVIOUS, Previous};
use super::mint::Mint;
use super::{
    ANNOTATION_ROTATED_FOR_KEY, Context, Draft, KeyEvent, KeyProblem, Rank, SecretChange, later, whole_seconds,
};
use crate::model;
use headgate_crds::names::{self, ANNOTATION_ROTATE};
use headgate_crds::reasons::Reason;
use headgate_crds::types::{SecretName, Text as _};
use headgate_crds::v1alpha1::{KeyState, KeyStatus, SecretRef};
use headgate_wire::key::{KeyDigest, Verifier};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How long a replaced key is accepted where the endpoint does not say, in seconds: one day, as the API's own default.
pub const DEFAULT_OVERLAP_SECONDS: u32 = 86_400;
/// Longest value of a rotate annotation that is kept as it is, in bytes; of a longer one the digest is kept.
const MAX_NONCE_LENGTH: usize = 253;

/// What an issued key comes to.
pub(super) fn draft(context: &Context<'_>, key: &model::Key, mint: &mut Mint<'_>) -> Draft {
    let Some(secret) = context.secret(&key.name) else {
        return if context.has_expired(key) {
            plain(context, key, KeyState::Expired)
        } else {
            first(context, key, mint)
        };
    };
    if !context.is_ours(secret) {
        return conflict(context, key, secret);
    }
    if secret.metadata.deletion_timestamp.is_some() {
        let message = format!("Secret {} is being deleted; a new key is issued once it is gone.", name(context, key));
        return with_problem(plain(context, key, KeyState::Pending), Reason::Progressing, message);
    }
    match layout::read(secret, context.now) {
        Content::Key(held) => kept(context, key, (secret, held), mint),
        Content::Absent if context.has_expired(key) => plain(context, key, KeyState::Expired),
        Content::Absent => refilled(context, key, secret, mint),
        Content::Unusable => {
            let message = format!(
                "The entry {} of Secret {} is not a key of Headgate; restore it, or delete the Secret to get a new key.",
                super::ENTRY_API_KEY,
                name(context, key)
            );
            let draft = overlapping(plain(context, key, KeyState::Pending), key, &alive(context, secret));
            with_problem(draft, Reason::SecretInvalid, message)
        }
    }
}

/// The first key, in a Secret of its own.
fn first(context: &Context<'_>, key: &model::Key, mint: &mut Mint<'_>) -> Draft {
    let Some(held) = fresh(context, None, mint) else { return no_entropy(context, key) };
    let secret = layout::new(context, &key.name, &held);
    let event = issued(context, key, &held);
    Draft { change: Some(SecretChange::Create(secret)), event: Some(event), ..accepted(context, key, &held) }
}

/// A key for a Secret of ours that has lost its own: whoever removed the entry asks for a new key.
fn refilled(context: &Context<'_>, key: &model::Key, secret: &Secret, mint: &mut Mint<'_>) -> Draft {
    if secret.immutable == Some(true) {
        return immutable(plain(context, key, KeyState::Pending), context, key);
    }
    let Some(held) = fresh(context, Some(secret), mint) else { return no_entropy(context, key) };
    let held = Held { previous: alive(context, secret), ..held };
    let event = issued(context, key, &held);
    let change = replacement(context, key, &held, secret);
    Draft { change, event: Some(event), ..accepted(context, key, &held) }
}

/// A key that is there: replaced if that is due, else only what surrounds it is kept in order.
fn kept(context: &Context<'_>, key: &model::Key, found: (&Secret, Held), mint: &mut Mint<'_>) -> Draft {
    let (secret, held) = found;
    let held = Held { previous: alive(context, secret), ..held };
    let due = !context.has_expired(key) && is_due(context, secret, &held);
    let overlap = overlap(context);
    if due && secret.immutable == Some(true) {
        return immutable(accepted(context, key, &held), context, key);
    }
    if due && overlap > 0 && held.previous.len() >= MAX_PREVIOUS {
        let message = format!(
            "Key {} is replaced once the first of the {MAX_PREVIOUS} keys before it has ended.",
            key.name.as_str()
        );
        let draft = accepted(context, key, &held);
        let change = replacement(context, key, &held, secret);
        return with_problem(Draft { change, ..draft }, Reason::RotationPending, message);
    }
    if due && let Some(new) = fresh(context, Some(secret), mint) {
        let ends_at = later(whole_seconds(context.now), overlap);
        let mut previous = held.previous.clone();
        if overlap > 0 {
            previous.push(held.ending(ends_at));
        }
        let new = Held { previous, ..new };
        let event = replaced(context, key, (&held, &new), ends_at);
        let change = replacement(context, key, &new, secret);
        return Draft { change, event: Some(event), ..accepted(context, key, &new) };
    }
    let change = replacement(context, key, &held, secret);
    Draft { change, ..accepted(context, key, &held) }
}

/// Whether the key has to be replaced: by its age, or because somebody asks.
fn is_due(context: &Context<'_>, secret: &Secret, held: &Held) -> bool {
    let old = (context.endpoint.rotation)
        .is_some_and(|rotation| later(held.issued_at, rotation.after_seconds) <= context.now);
    let asked = |nonce: Option<String>, followed: &Option<String>| nonce.is_some() && nonce != *followed;
    old || asked(nonce(context.inputs.rotate), &held.rotated_for)
        || asked(nonce(layout::annotation(secret, ANNOTATION_ROTATE)), &held.rotated_for_key)
}

/// A new key that has followed every request to replace it.
fn fresh(context: &Context<'_>, secret: Option<&Secret>, mint: &mut Mint<'_>) -> Option<Held> {
    let followed = secret.and_then(|secret| layout::annotation(secret, super::ANNOTATION_ROTATED_FOR));
    let followed_by_key = secret.and_then(|secret| layout::annotation(secret, ANNOTATION_ROTATED_FOR_KEY));
    let asked_of_key = secret.and_then(|secret| nonce(layout::annotation(secret, ANNOTATION_ROTATE)));
    Some(Held {
        text: mint.key()?,
        issued_at: whole_seconds(context.now),
        rotated_for: nonce(context.inputs.rotate).or_else(|| followed.map(str::to_owned)),
        rotated_for_key: asked_of_key.or_else(|| followed_by_key.map(str::to_owned)),
        previous: Vec::new(),
    })
}

/// A request to replace a key, as it is remembered; an empty one is none.
fn nonce(value: Option<&str>) -> Option<String> {
    let value = value.filter(|value| !value.is_empty())?;
    Some(if value.len() > MAX_NONCE_LENGTH { KeyDigest::of(value).to_string() } else { value.to_owned() })
}

fn overlap(context: &Context<'_>) -> u32 {
    context.endpoint.rotation.map_or(DEFAULT_OVERLAP_SECONDS, |rotation| rotation.overlap_seconds)
}

/// The keys before that have not ended.
fn alive(context: &Context<'_>, secret: &Secret) -> Vec<Previous> {
    layout::previous(secret).into_iter().filter(|previous| previous.ends_at > context.now).collect()
}

/// The Secret with what it should hold, if that is not what it holds.
fn replacement(context: &Context<'_>, key: &model::Key, held: &Held, secret: &Secret) -> Option<SecretChange> {
    let mut wanted = layout::written(context, &key.name, held, secret);
    // The API server refuses any other data; the addresses in it may be out of date then, the key is not.
    if secret.immutable == Some(true) {
        wanted.data.clone_from(&secret.data);
    }
    if wanted == *secret {
        return None;
    }
    wanted.metadata.managed_fields = None;
    Some(SecretChange::Replace(wanted))
}

fn accepted(context: &Context<'_>, key: &model::Key, held: &Held) -> Draft {
    let state = if held.previous.is_empty() { KeyState::Active } else { KeyState::Rotating };
    let status = KeyStatus {
        id: Some(held.id().to_owned()),
        secret_ref: Some(secret_ref(context, key)),
        last_rotated_at: Some(Time(whole_seconds(held.issued_at))),
        ..context.status(key, state)
    };
    let next_rotation = context.endpoint.rotation.map(|rotation| later(held.issued_at, rotation.after_seconds));
    let draft = Draft {
        verifiers: vec![Context::verifier(key, held.id().to_owned(), KeyDigest::of(&held.text))],
        next_change: next_rotation.filter(|at| *at > context.now),
        ..Draft::of(status, Rank::Issued)
    };
    overlapping(draft, key, &held.previous)
}

/// A draft with the keys before, each until its own end or the key's, whichever is first.
fn overlapping(mut draft: Draft, key: &model::Key, previous: &[Previous]) -> Draft {
    for previous in previous {
        let verifier = Context::verifier(key, previous.id.clone(), previous.digest);
        let end = verifier.expires_at.map_or(previous.ends_at, |end| end.min(previous.ends_at));
        draft.verifiers.push(Verifier { expires_at: Some(end), ..verifier });
        draft.next_change = draft.next_change.into_iter().chain([previous.ends_at]).min();
    }
    draft
}

fn plain(context: &Context<'_>, key: &model::Key, state: KeyState) -> Draft {
    Draft::of(context.status(key, state), Rank::Issued)
}

fn with_problem(draft: Draft, reason: Reason, message: String) -> Draft {
    let problem = KeyProblem { key: draft.status.name.clone(), reason, message };
    Draft { problem: Some(problem), ..draft }
}

fn conflict(context: &Context<'_>, key: &model::Key, secret: &Secret) -> Draft {
    let name = name(context, key);
    let endpoint = &context.endpoint.name;
    if layout::is_left_over(secret, endpoint.as_str(), &context.endpoint.uid) {
        let message = format!(
            "Secret {name} belongs to an earlier StreamEndpoint {endpoint}; once it is removed, the key is issued."
        );
        return with_problem(plain(context, key, KeyState::Pending), Reason::Progressing, message);
    }
    let message = format!(
        "Secret {name} was not made by Headgate for this endpoint and is left alone; rename or delete it, or rename key {}.",
        key.name
    );
    with_problem(plain(context, key, KeyState::Conflict), Reason::SecretConflict, message)
}

fn immutable(draft: Draft, context: &Context<'_>, key: &model::Key) -> Draft {
    let name = name(context, key);
    let message = format!("Secret {name} is immutable, so that it cannot take a new key; delete it to get one.");
    with_problem(draft, Reason::SecretInvalid, message)
}

fn no_entropy(context: &Context<'_>, key: &model::Key) -> Draft {
    let message = format!("No new key could be made for key {}; the operator tries again.", key.name.as_str());
    with_problem(plain(context, key, KeyState::Pending), Reason::Progressing, message)
}

fn issued(context: &Context<'_>, key: &model::Key, held: &Held) -> KeyEvent {
    let message = format!("Key {} ({}) is issued in Secret {}.", key.name, held.id(), name(context, key));
    KeyEvent { reason: Reason::KeyIssued, key: key.name.to_string(), message }
}

fn replaced(context: &Context<'_>, key: &model::Key, keys: (&Held, &Held), ends_at: Timestamp) -> KeyEvent {
    let (old, new) = keys;
    let message = format!(
        "Key {} is replaced by {} in Secret {}; {} is accepted until {ends_at}.",
        key.name,
        new.id(),
        name(context, key),
        old.id()
    );
    KeyEvent { reason: Reason::KeyRotated, key: key.name.to_string(), message }
}

fn name(context: &Context<'_>, key: &model::Key) -> String {
    names::key(&context.endpoint.name, &key.name)
}

fn secret_ref(context: &Context<'_>, key: &model::Key) -> SecretRef {
    SecretRef { name: SecretName::unchecked(name(context, key)) }
}
