//! The Secret with what gateways log in to Kafka with, under the names of the files that they read.
//!
//! It exists although the endpoint may have named Secrets of its own namespace: those have layouts of their own, and
//! those of a `KafkaConnection` are in another namespace.

use super::metadata;
use crate::model::Endpoint;
use headgate_crds::names;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

/// The Secret, if there is anything to put in.
pub(super) fn kafka_secret(endpoint: &Endpoint) -> Option<Secret> {
    let files = &endpoint.kafka.files;
    let data = files.iter().map(|(name, content)| (name.to_owned(), ByteString(content.to_vec())));
    (!files.is_empty()).then(|| Secret {
        metadata: metadata::child(endpoint, names::kafka(&endpoint.name)),
        type_: Some("Opaque".to_owned()),
        data: Some(data.collect()),
        ..Secret::default()
    })
}
