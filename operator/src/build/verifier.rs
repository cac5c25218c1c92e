//! The Secret with what gateways check credentials with: the only one with anything about keys and tokens that they see.
//!
//! Nothing in it opens anything. It is a Secret all the same, because it says who has access.

use super::metadata;
use crate::model::{Endpoint, TokenKeys};
use crate::settings::{KEY_SET_FILE, PROVIDER_CA_FILE};
use headgate_crds::names;
use headgate_wire::endpoints::KEYS_FILE;
use headgate_wire::key::VerifierFile;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use std::collections::BTreeMap;

/// Name and content of the files that gateways read again when they change.
pub(super) type Files = BTreeMap<&'static str, Vec<u8>>;

/// The files. Writing the digests cannot fail; if it did, the file would be empty, and gateways go on with the keys that
/// they know, or refuse to start. It is there without keys too, so that pods stay as they are when the first one comes.
pub(super) fn files(endpoint: &Endpoint, verifiers: &VerifierFile) -> Files {
    let mut files = Files::from([(KEYS_FILE, serde_json::to_vec_pretty(verifiers).unwrap_or_default())]);
    let Some(tokens) = endpoint.auth.tokens() else { return files };
    if let TokenKeys::Cluster(Some(keys)) = &tokens.keys {
        files.insert(KEY_SET_FILE, keys.clone().into_bytes());
    }
    if let Some(authority) = &tokens.authority {
        files.insert(PROVIDER_CA_FILE, authority.0.clone());
    }
    files
}

/// The Secret.
pub(super) fn verifier(endpoint: &Endpoint, files: Files) -> Secret {
    let data = files.into_iter().map(|(name, content)| (name.to_owned(), ByteString(content)));
    Secret {
        metadata: metadata::child(endpoint, names::verifier(&endpoint.name)),
        type_: Some("Opaque".to_owned()),
        data: Some(data.collect()),
        ..Secret::default()
    }
}
