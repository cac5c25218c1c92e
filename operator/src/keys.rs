//! The plan for an endpoint's API keys: which Secrets to write, what gateways accept, what the status says.
//!
//! Owns the life of a key: issued once, expiring, rotated with overlap, revoked, known by its digest only, or brought by
//! its owner. All that is remembered is in the key's own Secret and changes with it in one write, so that a plan that is
//! made again after a crash between any two writes goes on where the last one ended. Time and entropy are arguments;
//! nothing here may know a client, a clock or randomness. A key's text must never reach a verifier, a state, an event, a
//! sentence or `Debug`.
//!
//! | module | owns |
//! |---|---|
//! | `layout` | how a Secret with an issued key looks: written and read in one place |
//! | `issued` | what becomes of a key that Headgate issues |
//! | `mint` | new keys whose id nobody has |
//! | `brought` | keys that their owners bring in labelled Secrets |
//! | `ring` | what gateways accept: no id and no key twice |
//! | `tickets` | the key by which gateways recognise each other's tickets |

mod brought;
mod issued;
mod layout;
mod mint;
mod ring;
mod tickets;

pub use tickets::TicketPlan;

use crate::model;
use headgate_crds::names;
use headgate_crds::reasons::Reason;
use headgate_crds::types::KeyName;
use headgate_crds::v1alpha1::{KeyState, KeyStatus};
use headgate_wire::key::{KeyDigest, Verifier, VerifierFile};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use mint::Mint;
use ring::Ring;
use std::collections::BTreeSet;
use std::fmt;

/// Label of a Secret with a key that a user brings: the name of the endpoint. The label with the name of the key says
/// which of the endpoint's keys it is.
pub const LABEL_BRINGS_KEY_FOR: &str = "headgate.dev/brings-key-for";
/// Annotation of a key's Secret: when the key was issued or last replaced, RFC 3339.
pub const ANNOTATION_ISSUED_AT: &str = "headgate.dev/issued-at";
/// Annotation of a key's Secret: the value of the endpoint's rotate annotation that the key has followed.
pub const ANNOTATION_ROTATED_FOR: &str = "headgate.dev/rotated-for";
/// Annotation of a key's Secret: the value of the Secret's own rotate annotation that the key has followed.
pub const ANNOTATION_ROTATED_FOR_KEY: &str = "headgate.dev/rotated-for-key";
/// Annotation of a key's Secret: the keys that it held before and that are still accepted, as digests, in JSON.
pub const ANNOTATION_PREVIOUS: &str = "headgate.dev/previous";
/// Entry of a key's Secret, issued or brought, with the key.
pub const ENTRY_API_KEY: &str = "api-key";

/// Everything outside the endpoint on which its keys depend.
#[derive(Debug, Clone, Copy)]
pub struct KeyInputs<'a> {
    /// Secrets with the labels of this endpoint's keys, and whatever else has the name of one of their Secrets, whoever
    /// owns them.
    pub secrets: &'a [Secret],
    /// Secrets labelled [`LABEL_BRINGS_KEY_FOR`] with the name of this endpoint.
    pub brought: &'a [Secret],
    /// The Secret with the name of the one for tickets, whoever owns it.
    pub tickets: Option<&'a Secret>,
    /// The endpoint's annotation `headgate.dev/rotate`.
    pub rotate: Option<&'a str>,
    /// Where clients connect, if that is known.
    pub url: Option<&'a str>,
}

/// Fresh random bytes of the operating system, for one key.
#[derive(Clone, Copy)]
pub struct Entropy {
    /// For the public id.
    pub id: u64,
    /// For the secret.
    pub secret: [u8; 32],
}

/// What to write, and what holds once it is written.
#[derive(Clone, PartialEq, Default)]
pub struct KeyPlan {
    /// Writes of key Secrets. Those that create or replace come before the verifier is written, those that delete after.
    pub changes: Vec<SecretChange>,
    /// What gateways accept.
    pub verifiers: VerifierFile,
    /// One for each key of the endpoint, in the order of the spec.
    pub states: Vec<KeyStatus>,
    /// What to report once the changes are made.
    pub events: Vec<KeyEvent>,
    /// When the plan changes by itself: a key ends, or is due to be replaced.
    pub next_change: Option<Timestamp>,
    /// Keys whose Secret belongs to somebody else.
    pub conflicts: Vec<KeyName>,
    /// What keeps keys from being as the endpoint asks, in the order of the spec; conflicts are among it.
    pub problems: Vec<KeyProblem>,
    /// Name of the Secret that servicebinding.io consumers bind to: that of the first key that can be used.
    pub binding: Option<String>,
    /// The key by which gateways recognise each other's tickets.
    pub tickets: TicketPlan,
}

/// One write of a key's Secret. Never a server-side apply: what is in a Secret that was not read must not be replaced.
#[derive(Clone, PartialEq)]
pub enum SecretChange {
    /// A new Secret; fails if there is one of that name.
    Create(Secret),
    /// A Secret as it should be, with the `resourceVersion` that was read; fails if it has changed since.
    Replace(Secret),
    /// A Secret of ours that is no longer wanted, as it was read: to be deleted only if `uid` and `resourceVersion` are
    /// still the same.
    Delete(Secret),
}

/// Something that happened to a key, for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEvent {
    /// [`Reason::KeyIssued`], [`Reason::KeyRotated`] or [`Reason::KeyRevoked`].
    pub reason: Reason,
    /// Name of the key.
    pub key: String,
    /// A sentence.
    pub message: String,
}

/// Something that keeps a key from being as the endpoint asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProblem {
    /// Name of the key.
    pub key: KeyName,
    /// [`Reason::SecretConflict`], [`Reason::SecretInvalid`] or [`Reason::RotationPending`].
    pub reason: Reason,
    /// A sentence that names the Secret and what to do.
    pub message: String,
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(…)")
    }
}

impl SecretChange {
    /// The Secret that is written or deleted.
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Create(secret) | Self::Replace(secret) | Self::Delete(secret) => secret,
        }
    }
}

impl fmt::Debug for SecretChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self {
            Self::Create(_) => "Create",
            Self::Replace(_) => "Replace",
            Self::Delete(_) => "Delete",
        };
        f.debug_tuple(verb).field(&self.secret().metadata.name.as_deref().unwrap_or_default()).finish()
    }
}

impl fmt::Debug for KeyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPlan")
            .field("changes", &self.changes)
            .field("verifiers", &self.verifiers)
            .field("states", &self.states)
            .field("events", &self.events)
            .field("next_change", &self.next_change)
            .field("problems", &self.problems)
            .field("binding", &self.binding)
            .field("tickets", &self.tickets)
            .finish_non_exhaustive()
    }
}

/// What to do about the keys of an endpoint.
///
/// `entropy` is asked for every key that has to be made, that of tickets last; its answers must never repeat.
pub fn plan(
    endpoint: &model::Endpoint,
    inputs: &KeyInputs<'_>,
    now: Timestamp,
    entropy: &mut dyn FnMut() -> Entropy,
) -> KeyPlan {
    let context = Context { endpoint, inputs, now };
    let mut mint = Mint::new(&context, &mut *entropy);
    let drafts: Vec<Draft> = endpoint.auth.keys().iter().map(|key| draft(&context, key, &mut mint)).collect();
    let mut plan = merge(drafts);
    for secret in context.unwanted() {
        plan.events.push(layout::revoked(secret));
        plan.changes.push(SecretChange::Delete(secret.clone()));
    }
    plan.next_change = plan.next_change.filter(|change| *change > now);
    plan.tickets = tickets::plan(&context, entropy);
    plan
}

/// What one key asks for, before it is known whether another key is in its way.
#[derive(Debug)]
struct Draft {
    status: KeyStatus,
    rank: Rank,
    /// The key itself first, then those before it.
    verifiers: Vec<Verifier>,
    change: Option<SecretChange>,
    event: Option<KeyEvent>,
    problem: Option<KeyProblem>,
    next_change: Option<Timestamp>,
}

/// Which of two keys that are the same is accepted: the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Issued,
    Digest,
    Brought,
}

/// What every step is given.
#[derive(Debug, Clone, Copy)]
struct Context<'a> {
    endpoint: &'a model::Endpoint,
    inputs: &'a KeyInputs<'a>,
    now: Timestamp,
}

impl<'a> Context<'a> {
    /// The Secret that a key of ours has, or would have, whoever owns it.
    fn secret(&self, key: &KeyName) -> Option<&'a Secret> {
        let name = names::key(&self.endpoint.name, key);
        self.inputs.secrets.iter().find(|secret| secret.metadata.name.as_deref() == Some(name.as_str()))
    }

    /// Whether Headgate made the Secret, for this endpoint.
    fn is_ours(&self, secret: &Secret) -> bool {
        layout::is_owned(secret, &self.endpoint.uid) && secret.type_.as_deref() == Some(names::SECRET_TYPE_API_KEY)
    }

    /// Secrets of ours that belong to no key that Headgate issues any more.
    fn unwanted(&self) -> impl Iterator<Item = &'a Secret> {
        let context = *self;
        let wanted: BTreeSet<String> = (self.endpoint.auth.keys().iter())
            .filter(|key| context.issues(key))
            .map(|key| names::key(&context.endpoint.name, &key.name))
            .collect();
        self.inputs.secrets.iter().filter(move |secret| {
            context.is_ours(secret)
                && secret.metadata.deletion_timestamp.is_none()
                && !secret.metadata.name.as_ref().is_some_and(|name| wanted.contains(name))
        })
    }

    /// Whether the key is, or stays, one that Headgate issued. A brought key that cannot be used replaces none.
    fn issues(&self, key: &model::Key) -> bool {
        key.digest.is_none()
            && match brought::find(self, key) {
                brought::Brought::Nothing => true,
                brought::Brought::Key(_) => false,
                brought::Brought::Refused(_) => self.secret(&key.name).is_some_and(|secret| self.is_ours(secret)),
            }
    }

    fn has_expired(&self, key: &model::Key) -> bool {
        key.expires_at.is_some_and(|end| end <= self.now)
    }

    /// The status of a key about which nothing else is known yet.
    fn status(&self, key: &model::Key, state: KeyState) -> KeyStatus {
        let state = if self.has_expired(key) && state != KeyState::Conflict { KeyState::Expired } else { state };
        let expires_at = key.expires_at.map(|end| Time(whole_seconds(end)));
        KeyStatus { name: key.name.clone(), id: None, state, secret_ref: None, expires_at, last_rotated_at: None }
    }

    fn verifier(key: &model::Key, id: String, digest: KeyDigest) -> Verifier {
        Verifier {
            id,
            name: key.name.to_string(),
            digest,
            permissions: key.permissions.iter().copied().collect(),
            expires_at: key.expires_at,
            filters: key.filters.clone(),
        }
    }
}

fn draft(context: &Context<'_>, key: &model::Key, mint: &mut Mint<'_>) -> Draft {
    let mut draft = if let Some(digest) = key.digest {
        known_by_digest(context, key, digest)
    } else if context.issues(key) {
        issued::draft(context, key, mint)
    } else {
        brought::draft(context, key)
    };
    if let (None, brought::Brought::Refused(message), None) = (&draft.problem, brought::find(context, key), &key.digest)
    {
        draft.problem = Some(KeyProblem { key: key.name.clone(), reason: Reason::SecretInvalid, message });
    }
    draft.next_change = draft.next_change.into_iter().chain(key.expires_at).filter(|at| *at > context.now).min();
    draft
}

fn known_by_digest(context: &Context<'_>, key: &model::Key, digest: KeyDigest) -> Draft {
    Draft {
        verifiers: vec![Context::verifier(key, key.name.to_string(), digest)],
        ..Draft::of(context.status(key, KeyState::Active), Rank::Digest)
    }
}

impl Draft {
    fn of(status: KeyStatus, rank: Rank) -> Self {
        Self { status, rank, verifiers: Vec::new(), change: None, event: None, problem: None, next_change: None }
    }
}

/// One plan of all drafts. Two keys that are the same are accepted once, or gateways would refuse all of them.
fn merge(drafts: Vec<Draft>) -> KeyPlan {
    let mut order: Vec<usize> = (0..drafts.len()).collect();
    order.sort_by_key(|index| drafts[*index].rank);
    let mut drafts: Vec<(Draft, Vec<Verifier>)> = drafts.into_iter().map(|draft| (draft, Vec::new())).collect();
    let mut ring = Ring::default();
    for index in order {
        let (draft, accepted) = &mut drafts[index];
        *accepted = ring.admit(draft);
    }
    let mut plan = KeyPlan::default();
    for (draft, accepted) in drafts {
        plan.add(draft, accepted);
    }
    plan
}

impl KeyPlan {
    fn add(&mut self, draft: Draft, accepted: Vec<Verifier>) {
        let usable = matches!(draft.status.state, KeyState::Active | KeyState::Rotating);
        if usable && draft.rank == Rank::Issued && self.binding.is_none() {
            self.binding = draft.status.secret_ref.as_ref().map(|secret| secret.name.to_string());
        }
        if draft.status.state == KeyState::Conflict {
            self.conflicts.push(draft.status.name.clone());
        }
        self.states.push(draft.status);
        self.verifiers.keys.extend(accepted);
        self.changes.extend(draft.change);
        self.events.extend(draft.event);
        self.problems.extend(draft.problem);
        self.next_change = self.next_change.into_iter().chain(draft.next_change).min();
    }
}

/// Kubernetes writes times in whole seconds; what is finer would differ from what is read back.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// A moment so many seconds later, or the end of time.
fn later(time: Timestamp, seconds: u32) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
