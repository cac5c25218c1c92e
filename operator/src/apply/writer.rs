//! The requests that change children: the only place from which they are sent.
//!
//! Owns the field manager, that nothing is written which is already so, and that nothing foreign is touched.

use super::difference::{contains, hash};
use super::{ApplyError, FIELD_MANAGER, Owner, Ownership};
use crate::api_server::RequestError;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

/// Annotation with the hash of the object as it was last applied. It changes when something is no longer wanted, which
/// the object itself cannot show.
pub const ANNOTATION_APPLIED_HASH: &str = "headgate.dev/applied-hash";

/// HTTP status with which the API server refuses an object that breaks its rules.
const UNPROCESSABLE: u16 = 422;

/// Kinds that an endpoint can have as children.
pub(super) trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + Debug
{
}

impl<K> Child for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + Debug
{
}

/// Which version of an object a deletion is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// The one that was read.
    AsRead,
    /// Any of this object.
    Any,
}

/// Writes the children of one endpoint.
#[derive(Clone)]
pub(super) struct Writer<'a> {
    pub(super) client: &'a Client,
    pub(super) owner: &'a Owner,
}

impl Writer<'_> {
    /// The child as it is wanted: as it exists, if that is so already, or as the API server answers.
    pub(super) async fn apply<K: Child>(&self, wanted: K, existing: Option<&K>) -> Result<K, ApplyError> {
        let (mut wanted, object) = (prepare(&wanted)?, object(&wanted));
        if let Some(existing) = existing {
            self.check(existing)?;
            if contains(&to_value(existing)?, &wanted) {
                return Ok(existing.clone());
            }
            // Not what somebody may have put in its place since.
            wanted["metadata"]["uid"] = json!(existing.uid());
        }
        let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
        tracing::info!(object, "applying");
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let applied = match (self.api::<K>().patch(name, &parameters, &Patch::Apply(&wanted)).await, existing) {
            (Err(kube::Error::Api(refusal)), Some(existing)) if refusal.code == UNPROCESSABLE => {
                self.restore(existing, wanted).await
            }
            (applied, _) => applied,
        };
        applied.map_err(|error| RequestError::new("patch", object, &error).into())
    }

    /// Makes our own child what is wanted where applying is refused as invalid: an entry of somebody else in a list stays
    /// then, and may stand in the way of ours, as another port of the same name does. This replaces lists as a whole.
    async fn restore<K: Child>(&self, existing: &K, mut wanted: Value) -> Result<K, kube::Error> {
        wanted["metadata"]["resourceVersion"] = existing.resource_version().into();
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        self.api::<K>().patch(&existing.name_any(), &parameters, &Patch::Merge(&wanted)).await
    }

    /// Like [`apply`](Self::apply) for a child that is not always wanted. One that is not wanted is left to
    /// [`prune`](Self::prune).
    pub(super) async fn apply_optional<K: Child>(
        &self,
        wanted: Option<K>,
        existing: Option<&K>,
    ) -> Result<Option<K>, ApplyError> {
        match wanted {
            Some(wanted) => self.apply(wanted, existing).await.map(Some),
            None => Ok(None),
        }
    }

    /// Deletes a child that is not wanted any more.
    pub(super) async fn prune<K: Child>(&self, wanted: bool, existing: Option<&K>) -> Result<(), ApplyError> {
        match existing {
            Some(existing) if !wanted => self.delete(existing, Version::AsRead).await,
            _ => Ok(()),
        }
    }

    /// Deletes an object if it is ours and not gone already.
    pub(super) async fn delete<K: Child>(&self, existing: &K, version: Version) -> Result<(), ApplyError> {
        let metadata = existing.meta();
        let ours = self.owner.ownership(metadata) == Ownership::Ours;
        if !ours || metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let object = object(existing);
        tracing::info!(object, "deleting");
        let resource_version = metadata.resource_version.clone().filter(|_| version == Version::AsRead);
        let preconditions = Preconditions { uid: metadata.uid.clone(), resource_version };
        let parameters = DeleteParams::background().preconditions(preconditions);
        match self.api::<K>().delete(&existing.name_any(), &parameters).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = RequestError::new("delete", object, &error);
                if error.is_not_found() { Ok(()) } else { Err(error.into()) }
            }
        }
    }

    /// Makes the Secret of a key, or of that of tickets, which is never applied: what is in one that nobody has read must not be replaced.
    pub(super) async fn create(&self, secret: &Secret) -> Result<(), ApplyError> {
        let object = object(secret);
        tracing::info!(object, "creating");
        let created = self.api::<Secret>().create(&post(), secret).await;
        created.map(drop).map_err(|error| RequestError::new("create", object, &error).into())
    }

    /// Replaces such a Secret, if it is still as it was read.
    pub(super) async fn replace(&self, secret: &Secret) -> Result<(), ApplyError> {
        self.check(secret)?;
        let object = object(secret);
        tracing::info!(object, "replacing");
        let replaced = self.api::<Secret>().replace(&secret.name_any(), &post(), secret).await;
        replaced.map(drop).map_err(|error| RequestError::new("update", object, &error).into())
    }

    /// Sets annotations of a pod, if it is still there.
    pub(super) async fn annotate(&self, name: &str, uid: &str, annotations: Value) -> Result<(), ApplyError> {
        let patch = json!({"metadata": {"uid": uid, "annotations": annotations}});
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match self.api::<Pod>().patch_metadata(name, &parameters, &Patch::Merge(&patch)).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = RequestError::new("patch", format!("Pod {name}"), &error);
                // Gone, or another one already.
                if error.is_not_found() || error.is_conflict() { Ok(()) } else { Err(error.into()) }
            }
        }
    }

    /// Whether an object is ours; the error says whose it is.
    pub(super) fn check<K: Child>(&self, existing: &K) -> Result<(), ApplyError> {
        let object = || object(existing);
        match self.owner.ownership(existing.meta()) {
            Ownership::Ours => Ok(()),
            Ownership::Former => Err(ApplyError::Former { object: object() }),
            Ownership::Foreign => {
                Err(ApplyError::Foreign { object: object(), secret: K::kind(&()) == Secret::kind(&()) })
            }
        }
    }

    fn api<K: Child>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.owner.namespace)
    }
}

/// The object to apply, with its hash.
fn prepare<K: Child>(wanted: &K) -> Result<Value, ApplyError> {
    let hash = hash(&to_value(wanted)?);
    let mut wanted = wanted.clone();
    wanted.annotations_mut().insert(ANNOTATION_APPLIED_HASH.to_owned(), hash);
    // Server-side apply refuses it.
    let metadata: &mut ObjectMeta = wanted.meta_mut();
    metadata.managed_fields = None;
    to_value(&wanted)
}

fn to_value<K: Child>(object: &K) -> Result<Value, ApplyError> {
    serde_json::to_value(object).map_err(|_| ApplyError::Unwritable { object: self::object(object) })
}

fn object<K: Child>(object: &K) -> String {
    format!("{} {}", K::kind(&()), object.name_any())
}

fn post() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}
