//! What gateways accept.
//!
//! Owns that no id and no key is in the file twice: a gateway refuses such a file as a whole, and would go on with the one
//! that it had before, revoked keys and all.

use super::{Draft, KeyProblem};
use headgate_crds::reasons::Reason;
use headgate_crds::v1alpha1::KeyState;
use headgate_wire::key::{KeyDigest, Verifier};
use std::collections::{BTreeSet, HashMap};

/// The verifiers so far.
#[derive(Debug, Default)]
pub(super) struct Ring {
    ids: BTreeSet<String>,
    names_by_digest: HashMap<KeyDigest, String>,
}

impl Ring {
    /// The verifiers of a draft that can be accepted beside those of all drafts before it.
    pub(super) fn admit(&mut self, draft: &mut Draft) -> Vec<Verifier> {
        let verifiers = std::mem::take(&mut draft.verifiers);
        let mut accepted = Vec::with_capacity(verifiers.len());
        for (position, verifier) in verifiers.into_iter().enumerate() {
            match self.insert(verifier) {
                Ok(verifier) => accepted.push(verifier),
                Err(other) if position == 0 && draft.status.state != KeyState::Pending => refuse(draft, &other),
                // One of the keys before: it is accepted already, under a name that may be its own.
                Err(_) => {}
            }
        }
        accepted
    }

    /// The verifier with an id that is free, or the name of the key that it repeats.
    fn insert(&mut self, mut verifier: Verifier) -> Result<Verifier, String> {
        if let Some(name) = self.names_by_digest.get(&verifier.digest) {
            return Err(name.clone());
        }
        if self.ids.contains(&verifier.id) {
            verifier.id.clone_from(&verifier.name);
        }
        // A name can be the id of another key. Neither ids that we make nor names have a dot in them.
        while !self.ids.insert(verifier.id.clone()) {
            verifier.id.push('.');
        }
        self.names_by_digest.insert(verifier.digest, verifier.name.clone());
        Ok(verifier)
    }
}

fn refuse(draft: &mut Draft, other: &str) {
    let name = draft.status.name.clone();
    let place = match &draft.status.secret_ref {
        Some(secret) => format!("the key in Secret {}", secret.name.as_str()),
        None => "its keyHash".to_owned(),
    };
    let message = format!(
        "Key {name} cannot be told from key {other}, because {place} is the same; give every key a value of its own."
    );
    draft.status.state = KeyState::Pending;
    draft.problem = Some(KeyProblem { key: name, reason: Reason::SecretInvalid, message });
}
