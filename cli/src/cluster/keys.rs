//! The writes about keys: entries of `spec.auth.apiKeys`, the rotate annotation, and the deletion of a key's Secret.
//!
//! Owns what is written, and that nothing is written over somebody else's change or Secret. What the list becomes is
//! decided in `list`. No key passes through here: Secrets are read and answered as metadata.

mod list;

pub(crate) use list::{KeyListError, NewKey};

use super::access::{AccessError, key_name, secret_of, status_of};
use super::{Cluster, ClusterError, FIELD_MANAGER};
use headgate_crds::StreamEndpoint;
use headgate_crds::names::{self, ANNOTATION_ROTATE};
use headgate_crds::types::{EndpointName, KeyName, Text as _};
use headgate_crds::v1alpha1::KeyState;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

/// How often a change is tried again that somebody else was faster with.
const MAX_CONFLICTS: usize = 3;

/// Why a key was not issued, rotated or revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The cluster could not be asked, or said no.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The endpoint has no such key, or it has no Secret.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The list of keys cannot become what was asked for.
    #[error(transparent)]
    List(#[from] KeyListError),
    /// The key is somebody's own.
    #[error("the key {key} of {endpoint} is in the Secret {secret}, which is not Headgate's: change the key there")]
    NotOurs {
        /// Name of the endpoint.
        endpoint: String,
        /// Name of the key.
        key: String,
        /// Name of the Secret.
        secret: String,
    },
}

/// What a revocation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// The entry of the list is gone.
    Removed,
    /// The Secret of the only key was deleted, so that a new key is issued in its place.
    Replaced {
        /// Public id of the key that is no longer accepted.
        id: Option<String>,
    },
}

impl Cluster {
    /// Adds an entry to `spec.auth.apiKeys`. The implied key becomes an entry too, or it would be gone.
    pub(crate) async fn issue_key(&self, endpoint: &str, key: &NewKey) -> Result<(), KeyError> {
        self.change_list(endpoint, |spec| list::with(spec, key)).await
    }

    /// Asks for a new key in place of one that Headgate issued: an annotation of its Secret.
    pub(crate) async fn rotate_key(&self, endpoint: &StreamEndpoint, key: &str, nonce: &str) -> Result<(), KeyError> {
        let secret = issued_secret(endpoint, key)?;
        let action = format!("annotate the Secret {secret} in namespace {}", self.namespace());
        let secrets: Api<Secret> = self.objects();
        let patch = Patch::Merge(rotate(nonce));
        self.ask(&action, secrets.patch_metadata(&secret, &written_by_us(), &patch)).await?;
        Ok(())
    }

    /// Asks for new keys in place of all that Headgate issued: an annotation of the endpoint.
    pub(crate) async fn rotate_keys(&self, endpoint: &str, nonce: &str) -> Result<(), KeyError> {
        let action = format!("annotate the StreamEndpoint {endpoint} in namespace {}", self.namespace());
        let endpoints: Api<StreamEndpoint> = self.objects();
        let patch = Patch::Merge(rotate(nonce));
        self.ask(&action, endpoints.patch_metadata(endpoint, &written_by_us(), &patch)).await?;
        Ok(())
    }

    /// Takes a key away: its entry, or the Secret of the only key.
    pub(crate) async fn revoke_key(&self, name: &str, key: &str) -> Result<Revoked, KeyError> {
        let endpoint = self.endpoint(name).await?;
        let key = key_name(&endpoint, Some(key))?;
        if endpoint.spec.auth.keys().len() > 1 {
            self.change_list(name, |spec| list::without(spec, &key)).await?;
            return Ok(Revoked::Removed);
        }
        let secret = issued_secret(&endpoint, &key)?;
        self.delete_secret(&endpoint, &key, &secret).await?;
        Ok(Revoked::Replaced { id: status_of(&endpoint, &key).and_then(|status| status.id.clone()) })
    }

    /// Labels and annotations of a key's Secret; `None` if it is not there or may not be seen.
    pub(crate) async fn key_secret(&self, secret: &str) -> Option<PartialObjectMeta<Secret>> {
        self.ask("read a Secret", self.objects::<Secret>().get_metadata_opt(secret)).await.ok().flatten()
    }

    async fn change_list(
        &self,
        name: &str,
        change: impl Fn(&Value) -> Result<Vec<Value>, KeyListError>,
    ) -> Result<(), KeyError> {
        let action = format!("change spec.auth.apiKeys of the StreamEndpoint {name} in namespace {}", self.namespace());
        // As it is stored: fields of another version must survive.
        let kind = ApiResource::erase::<StreamEndpoint>(&());
        let endpoints: Api<DynamicObject> = Api::namespaced_with(self.client(), self.namespace(), &kind);
        let mut conflicts = 0;
        loop {
            self.endpoint(name).await?;
            let stored = self.ask(&action, endpoints.get(name)).await?;
            let keys = change(&stored.data["spec"])?;
            let patch = json!({
                "metadata": { "resourceVersion": stored.metadata.resource_version },
                "spec": { "auth": { "apiKeys": keys } },
            });
            match self.ask(&action, endpoints.patch(name, &written_by_us(), &Patch::Merge(patch))).await {
                Ok(_) => return Ok(()),
                Err(ClusterError::Conflict { .. }) if conflicts < MAX_CONFLICTS => conflicts += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn delete_secret(&self, endpoint: &StreamEndpoint, key: &str, secret: &str) -> Result<(), KeyError> {
        let secrets: Api<Secret> = self.objects();
        let action = format!("delete the Secret {secret} in namespace {}", self.namespace());
        let found = self.ask(&action, secrets.get_metadata(secret)).await?;
        let ours = found
            .owner_references()
            .iter()
            .any(|owner| owner.controller == Some(true) && Some(&owner.uid) == endpoint.metadata.uid.as_ref());
        if !ours {
            return Err(not_ours(endpoint, key, secret));
        }
        let seen = Preconditions { uid: found.uid(), resource_version: found.resource_version() };
        let parameters = DeleteParams { preconditions: Some(seen), ..DeleteParams::default() };
        self.ask(&action, secrets.delete(secret, &parameters)).await?;
        Ok(())
    }
}

fn written_by_us() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

fn rotate(nonce: &str) -> Value {
    json!({ "metadata": { "annotations": { ANNOTATION_ROTATE: nonce } } })
}

/// The Secret of a key that Headgate issued.
fn issued_secret(endpoint: &StreamEndpoint, key: &str) -> Result<String, KeyError> {
    let secret = secret_of(endpoint, key)?;
    let conflict = status_of(endpoint, key).is_some_and(|status| status.state == KeyState::Conflict);
    if conflict || !is_issued(endpoint, key, &secret) {
        return Err(not_ours(endpoint, key, &secret));
    }
    Ok(secret)
}

/// Whether the Secret has the name that only issued keys have.
pub(crate) fn is_issued(endpoint: &StreamEndpoint, key: &str, secret: &str) -> bool {
    let endpoint = EndpointName::unchecked(endpoint.name_any());
    names::key(&endpoint, &KeyName::unchecked(key.to_owned())) == secret
}

fn not_ours(endpoint: &StreamEndpoint, key: &str, secret: &str) -> KeyError {
    KeyError::NotOurs { endpoint: endpoint.name_any(), key: key.to_owned(), secret: secret.to_owned() }
}

#[cfg(test)]
mod tests;
