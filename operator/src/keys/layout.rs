//! How the Secret of an issued key looks.
//!
//! Owns its entries (a Provisioned Service of servicebinding.io), labels and annotations, written and read here only. What
//! others have added to the Secret stays. Must never change the bytes of a key that is there.

use super::{
    ANNOTATION_ISSUED_AT, ANNOTATION_PREVIOUS, ANNOTATION_ROTATED_FOR, ANNOTATION_ROTATED_FOR_KEY, Context,
    ENTRY_API_KEY, KeyEvent, whole_seconds,
};
use crate::build::metadata::owner;
use headgate_crds::StreamEndpoint;
use headgate_crds::names::{self, LABEL_KEY};
use headgate_crds::reasons::Reason;
use headgate_crds::types::KeyName;
use headgate_wire::key::{KEY_ID_LENGTH, KeyDigest, KeyShape, shape};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Most keys before the present one that are accepted beside it.
pub(super) const MAX_PREVIOUS: usize = 8;

/// What servicebinding.io calls the type and the provider of the service.
const SERVICE: &str = "headgate";
const ENTRY_TYPE: &str = "type";
const ENTRY_PROVIDER: &str = "provider";
const ENTRY_URI: &str = "uri";
const ENTRY_HOST: &str = "host";
const ENTRY_PORT: &str = "port";
const ENTRY_USERNAME: &str = "username";
const ENTRY_PASSWORD: &str = "password";

/// What the Secret of an issued key says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// The key.
    pub(super) text: String,
    /// When it was made.
    pub(super) issued_at: Timestamp,
    /// Value of the endpoint's rotate annotation that it has followed.
    pub(super) rotated_for: Option<String>,
    /// Value of its own rotate annotation that it has followed.
    pub(super) rotated_for_key: Option<String>,
    /// The keys before it that are still accepted.
    pub(super) previous: Vec<Previous>,
}

/// A key that was replaced and is accepted for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Previous {
    /// Public id.
    pub(super) id: String,
    /// SHA-256; the key itself is gone.
    pub(super) digest: KeyDigest,
    /// When it is no longer accepted.
    pub(super) ends_at: Timestamp,
}

/// What the entry with the key holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing, so that a new key may be put there.
    Absent,
    /// Something that is not a key of ours.
    Unusable,
    /// A key of ours.
    Key(Held),
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("id", &self.id()).field("previous", &self.previous).finish_non_exhaustive()
    }
}

impl Held {
    /// The public part of the key.
    pub(super) fn id(&self) -> &str {
        match shape(&self.text) {
            KeyShape::Issued { id } => id,
            KeyShape::Mistyped | KeyShape::Brought => "",
        }
    }

    /// The key as one that was replaced.
    pub(super) fn ending(&self, ends_at: Timestamp) -> Previous {
        Previous { id: self.id().to_owned(), digest: KeyDigest::of(&self.text), ends_at }
    }
}

/// What a Secret of ours says. `now` stands in for a time of issue that nobody has kept.
pub(super) fn read(secret: &Secret, now: Timestamp) -> Content {
    let Some(text) = entry(secret).filter(|bytes| !bytes.is_empty()) else { return Content::Absent };
    let text = std::str::from_utf8(text).ok().filter(|text| matches!(shape(text), KeyShape::Issued { .. }));
    let Some(text) = text else { return Content::Unusable };
    let created = secret.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    Content::Key(Held {
        text: text.to_owned(),
        issued_at: annotation(secret, ANNOTATION_ISSUED_AT).and_then(|at| at.parse().ok()).unwrap_or(created),
        rotated_for: annotation(secret, ANNOTATION_ROTATED_FOR).map(str::to_owned),
        rotated_for_key: annotation(secret, ANNOTATION_ROTATED_FOR_KEY).map(str::to_owned),
        previous: previous(secret),
    })
}

/// The keys before, as far as they can be read: what is not well-formed is not accepted.
pub(super) fn previous(secret: &Secret) -> Vec<Previous> {
    let list: Option<Vec<Previous>> =
        annotation(secret, ANNOTATION_PREVIOUS).and_then(|text| serde_json::from_str(text).ok());
    let well_formed =
        |key: &Previous| key.id.len() == KEY_ID_LENGTH && key.id.bytes().all(|b| b.is_ascii_alphanumeric());
    list.into_iter().flatten().filter(well_formed).take(MAX_PREVIOUS).collect()
}

/// Every public id in a Secret.
pub(super) fn ids(secret: &Secret) -> Vec<String> {
    let text = entry(secret).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let present = text.and_then(|text| match shape(text.trim()) {
        KeyShape::Issued { id } => Some(id.to_owned()),
        KeyShape::Mistyped | KeyShape::Brought => None,
    });
    present.into_iter().chain(previous(secret).into_iter().map(|key| key.id)).collect()
}

/// Whether the endpoint with this uid controls the Secret.
pub(super) fn is_owned(secret: &Secret, uid: &str) -> bool {
    !uid.is_empty() && owners(secret).any(|owner| owner.controller == Some(true) && owner.uid == uid)
}

/// Whether it was made for an endpoint of this name that is gone, so that garbage collection will remove it.
pub(super) fn is_left_over(secret: &Secret, name: &str, uid: &str) -> bool {
    let kind = StreamEndpoint::kind(&());
    owners(secret)
        .any(|owner| owner.controller == Some(true) && owner.kind == kind && owner.name == name && owner.uid != uid)
}

fn owners(secret: &Secret) -> impl Iterator<Item = &OwnerReference> {
    secret.metadata.owner_references.iter().flatten()
}

/// Value of an annotation.
pub(super) fn annotation<'s>(secret: &'s Secret, name: &str) -> Option<&'s str> {
    secret.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

fn entry(secret: &Secret) -> Option<&[u8]> {
    secret.data.as_ref()?.get(ENTRY_API_KEY).map(|bytes| bytes.0.as_slice())
}

/// A Secret for a key that has none.
pub(super) fn new(context: &Context<'_>, key: &KeyName, held: &Held) -> Secret {
    let endpoint = context.endpoint;
    let empty = Secret {
        metadata: ObjectMeta {
            name: Some(names::key(&endpoint.name, key)),
            namespace: Some(endpoint.namespace.to_string()),
            owner_references: Some(vec![owner(endpoint)]),
            ..ObjectMeta::default()
        },
        type_: Some(names::SECRET_TYPE_API_KEY.to_owned()),
        ..Secret::default()
    };
    written(context, key, held, &empty)
}

/// A Secret of ours as it should be: what is ours in it is set, what others have added stays.
pub(super) fn written(context: &Context<'_>, key: &KeyName, held: &Held, secret: &Secret) -> Secret {
    let mut secret = secret.clone();
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.extend(names::labels(&context.endpoint.name, context.endpoint.app.as_str()));
    labels.insert(LABEL_KEY.to_owned(), key.to_string());
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert(ANNOTATION_ISSUED_AT.to_owned(), whole_seconds(held.issued_at).to_string());
    let previous = (!held.previous.is_empty()).then(|| serde_json::to_string(&held.previous).ok()).flatten();
    set(annotations, ANNOTATION_PREVIOUS, previous);
    set(annotations, ANNOTATION_ROTATED_FOR, held.rotated_for.clone());
    set(annotations, ANNOTATION_ROTATED_FOR_KEY, held.rotated_for_key.clone());
    let data = secret.data.get_or_insert_default();
    let (uri, host, port) = context.inputs.url.and_then(address).map_or_else(Default::default, |(uri, host, port)| {
        (Some(uri.to_owned()), Some(host.to_owned()), Some(port.to_owned()))
    });
    for (name, value) in [
        (ENTRY_TYPE, Some(SERVICE.to_owned())),
        (ENTRY_PROVIDER, Some(SERVICE.to_owned())),
        (ENTRY_URI, uri),
        (ENTRY_HOST, host),
        (ENTRY_PORT, port),
        (ENTRY_USERNAME, Some(held.id().to_owned())),
        (ENTRY_PASSWORD, Some(held.text.clone())),
        (ENTRY_API_KEY, Some(held.text.clone())),
    ] {
        set(data, name, value.map(|text| ByteString(text.into_bytes())));
    }
    secret
}

fn set<V>(map: &mut BTreeMap<String, V>, name: &str, value: Option<V>) {
    match value {
        Some(value) => map.insert(name.to_owned(), value),
        None => map.remove(name),
    };
}

/// The URL, its host without brackets, and its port, which the scheme implies if it is not written.
fn address(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let implied = if scheme == "wss" { "443" } else { "80" };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        _ => (authority, implied),
    };
    Some((url, host.trim_start_matches('[').trim_end_matches(']'), port))
}

/// The event of a Secret that is deleted.
pub(super) fn revoked(secret: &Secret) -> KeyEvent {
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let key = secret.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_KEY)).map_or(name, String::as_str);
    let message = format!("The key in Secret {name} is no longer accepted, and the Secret is deleted.");
    KeyEvent { reason: Reason::KeyRevoked, key: key.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_of_every_kind_of_url_are_found() {
        for (url, host, port) in [
            ("ws://orders-gateway.shop.svc.cluster.local:8080/orders", "orders-gateway.shop.svc.cluster.local", "8080"),
            ("wss://streams.example.com/orders", "streams.example.com", "443"),
            ("ws://192.0.2.1/orders", "192.0.2.1", "80"),
            ("ws://[2001:db8::1]:8080/orders", "2001:db8::1", "8080"),
            ("wss://[2001:db8::1]/orders", "2001:db8::1", "443"),
        ] {
            assert_eq!(address(url), Some((url, host, port)));
        }
        assert_eq!(address("orders"), None);
    }
}
