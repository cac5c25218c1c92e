//! The Secret with the digests of the keys: the only one with anything about keys that gateway pods see.

use super::metadata;
use crate::model::Endpoint;
use headgate_crds::names;
use headgate_wire::endpoints::KEYS_FILE;
use headgate_wire::key::VerifierFile;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

/// The file that gateways read. Writing it cannot fail; if it did, the file would be empty, and gateways go on with the
/// keys that they know, or refuse to start.
pub(super) fn text(verifiers: &VerifierFile) -> Vec<u8> {
    serde_json::to_vec_pretty(verifiers).unwrap_or_default()
}

/// The Secret. It is there without keys too, so that pods stay as they are when the first one comes.
pub(super) fn verifier(endpoint: &Endpoint, text: Vec<u8>) -> Secret {
    Secret {
        metadata: metadata::child(endpoint, names::verifier(&endpoint.name)),
        type_: Some("Opaque".to_owned()),
        data: Some([(KEYS_FILE.to_owned(), ByteString(text))].into()),
        ..Secret::default()
    }
}
