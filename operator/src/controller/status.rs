//! The one write of a status.
//!
//! Owns the field manager of statuses, so that neither the children's nor anybody else's fields are ever touched. Must
//! never write a status that is already so: every write wakes every watcher, ourselves among them.

use crate::api_server::RequestError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use serde::Serialize;
use serde_json::json;

/// Field manager of statuses.
pub const STATUS_FIELD_MANAGER: &str = "headgate-operator-status";

/// Makes `status` the status of the object with this metadata. An object that is gone, or that is another one of the
/// same name by now, needs none.
///
/// # Errors
///
/// What the API server answers.
pub(crate) async fn write<K, S>(client: &kube::Client, metadata: &ObjectMeta, status: &S) -> Result<(), RequestError>
where
    K: Resource<DynamicType = ()>,
    S: Serialize + Sync,
{
    let name = metadata.name.as_deref().unwrap_or_default();
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = match &metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let identity = ObjectMeta { name: metadata.name.clone(), uid: metadata.uid.clone(), ..ObjectMeta::default() };
    let patch = json!({
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": identity, "status": status,
    });
    let parameters = PatchParams::apply(STATUS_FIELD_MANAGER).force();
    // The answer is not needed, and might not be understood.
    match api.patch_status(name, &parameters, &Patch::Apply(patch)).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let error = RequestError::new("patch", format!("the status of {} {name}", resource.kind), &error);
            if error.is_not_found() || error.is_conflict() { Ok(()) } else { Err(error) }
        }
    }
}
