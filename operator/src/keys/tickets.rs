//! The key by which the gateways of one endpoint recognise each other's tickets.
//!
//! Owns its life: random bytes in a Secret of their own, made once and then kept, whatever happens to keys. Who deletes the
//! Secret, or spoils it, ends the tickets that are under way and has the pods replaced, because they must agree. Must never put the bytes
//! anywhere else, nor into `Debug`.

use super::{Context, Entropy, SecretChange, layout};
use crate::build::metadata::owner;
use crate::credentials::hexadecimal;
use crate::settings::TICKET_KEY_FILE;
use headgate_crds::names;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Bytes of the key, as many as HMAC-SHA-256 has use for (RFC 2104 section 3).
const KEY_BYTES: usize = 32;

/// What to do about the Secret of the key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TicketPlan {
    /// Whether gateways mount the Secret.
    pub is_wanted: bool,
    /// One write of the Secret. A deletion comes after everything else.
    pub change: Option<SecretChange>,
    /// SHA-256 of the key in hexadecimal digits, which nobody can guess; absent = the endpoint has no tickets, or somebody
    /// else has the Secret.
    pub digest: Option<String>,
}

/// The key is made where there is none, and left alone where there is one.
pub(super) fn plan(context: &Context<'_>, entropy: &mut dyn FnMut() -> Entropy) -> TicketPlan {
    let is_wanted = context.endpoint.auth.has_tickets();
    let found = context.inputs.tickets;
    let ours = found.filter(|secret| layout::is_owned(secret, &context.endpoint.uid));
    let is_going = found.is_some_and(|secret| secret.metadata.deletion_timestamp.is_some());
    let (change, digest) = match (is_wanted, found, ours) {
        (true, None, _) => {
            let secret = written(context, &empty(context), entropy().secret.to_vec());
            let digest = digest(&secret);
            (Some(SecretChange::Create(secret)), digest)
        }
        (true, Some(_), Some(secret)) if is_going => (None, digest(secret)),
        (true, Some(_), Some(secret)) => kept(context, secret, entropy),
        (false, Some(_), Some(secret)) if !is_going => (Some(SecretChange::Delete(secret.clone())), None),
        // Whoever applies refuses what is not ours, as with every other child.
        _ => (None, None),
    };
    TicketPlan { is_wanted, change, digest }
}

/// A Secret of ours, in which only what is wrong is put right, and the digest of its key.
fn kept(
    context: &Context<'_>,
    secret: &Secret,
    entropy: &mut dyn FnMut() -> Entropy,
) -> (Option<SecretChange>, Option<String>) {
    let key = key(secret).filter(|key| key.len() == KEY_BYTES).map(<[u8]>::to_vec);
    let mut wanted = written(context, secret, key.unwrap_or_else(|| entropy().secret.to_vec()));
    let digest = digest(&wanted);
    let change = (wanted != *secret).then(|| {
        wanted.metadata.managed_fields = None;
        SecretChange::Replace(wanted)
    });
    (change, digest)
}

fn key(secret: &Secret) -> Option<&[u8]> {
    secret.data.as_ref()?.get(TICKET_KEY_FILE).map(|bytes| bytes.0.as_slice())
}

fn digest(secret: &Secret) -> Option<String> {
    key(secret).map(|key| hexadecimal(&Sha256::digest(key)))
}

fn empty(context: &Context<'_>) -> Secret {
    let endpoint = context.endpoint;
    Secret {
        metadata: ObjectMeta {
            name: Some(names::tickets(&endpoint.name)),
            namespace: Some(endpoint.namespace.to_string()),
            owner_references: Some(vec![owner(endpoint)]),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

/// The Secret with this key and our labels; what others have added stays.
fn written(context: &Context<'_>, secret: &Secret, key: Vec<u8>) -> Secret {
    let mut secret = secret.clone();
    let labels = secret.metadata.labels.get_or_insert_with(BTreeMap::new);
    labels.extend(names::labels(&context.endpoint.name, context.endpoint.app.as_str()));
    secret.data.get_or_insert_with(BTreeMap::new).insert(TICKET_KEY_FILE.to_owned(), ByteString(key));
    secret
}
