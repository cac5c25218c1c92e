//! What the API server itself says about a manifest: a server-side apply that stores nothing.

use super::{Cluster, ClusterError, FIELD_MANAGER};
use headgate_crds::{KafkaConnection, StreamEndpoint};
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Resource as _};
use serde_json::Value;

/// HTTP status of an object that breaks a rule of its kind.
const INVALID: u16 = 422;

/// One thing that the API server refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Path of the field; empty if the whole object is meant.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) message: String,
}

impl Cluster {
    /// Everything that the API server refuses about a manifest of ours. An error says that it could not be asked.
    pub(crate) async fn dry_run(&self, manifest: &Value) -> Result<Vec<Refusal>, ClusterError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, name) = (text(&manifest["kind"]), text(&manifest["metadata"]["name"]));
        let api: Api<DynamicObject> = if kind == KafkaConnection::kind(&()) {
            Api::all_with(self.client(), &ApiResource::erase::<KafkaConnection>(&()))
        } else {
            let namespace = manifest["metadata"]["namespace"].as_str().unwrap_or(self.namespace());
            Api::namespaced_with(self.client(), namespace, &ApiResource::erase::<StreamEndpoint>(&()))
        };
        // Forced, because a field that another manager owns is no fault of the manifest.
        let parameters = PatchParams {
            dry_run: true,
            force: true,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
        };
        match api.patch(&name, &parameters, &Patch::Apply(manifest)).await {
            Ok(_) => Ok(Vec::new()),
            Err(kube::Error::Api(status)) if status.code == INVALID || status.code == 400 => Ok(refusals(&status)),
            Err(error) => Err(ClusterError::judge(&format!("apply {kind} {name} as a dry run"), error)),
        }
    }
}

fn refusals(status: &kube::core::Status) -> Vec<Refusal> {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let named = causes.iter().map(|cause| Refusal { path: cause.field.clone(), message: cause.message.clone() });
    if causes.is_empty() {
        vec![Refusal { path: String::new(), message: status.message.clone() }]
    } else {
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake::{self, ApiServer};
    use serde_json::json;

    const ENDPOINT: &str = "/apis/headgate.dev/v1alpha1/namespaces/shop/streamendpoints/orders";

    #[tokio::test]
    async fn a_manifest_is_applied_as_a_dry_run_only() {
        let server = ApiServer::new();
        server.then("PATCH", ENDPOINT, fake::endpoint("shop", "orders"));
        let mut manifest = fake::endpoint("shop", "orders");
        manifest["metadata"].as_object_mut().unwrap().remove("namespace");
        assert_eq!(server.cluster("shop").dry_run(&manifest).await.unwrap(), []);
        let writes = server.writes();
        assert_eq!(writes.len(), 1);
        for parameter in ["dryRun=All", "force=true", "fieldValidation=Strict", "fieldManager=headgate-cli"] {
            assert!(writes[0].line.contains(parameter), "{}", writes[0].line);
        }
        assert_eq!(writes[0].body, manifest);
    }

    #[tokio::test]
    async fn every_cause_is_told_with_its_field() {
        let server = ApiServer::new();
        let causes =
            json!([{ "field": "spec.topic", "message": "topic cannot be changed", "reason": "FieldValueInvalid" }]);
        let status = json!({ "kind": "Status", "status": "Failure", "code": 422, "message": "is invalid", "details": { "causes": causes } });
        server.only("PATCH", ENDPOINT, 422, status);
        let refused = server.cluster("shop").dry_run(&fake::endpoint("shop", "orders")).await.unwrap();
        let expected = Refusal { path: "spec.topic".to_owned(), message: "topic cannot be changed".to_owned() };
        assert_eq!(refused, [expected]);
        server.refuse("PATCH", ENDPOINT, 403, "streamendpoints is forbidden");
        let error = server.cluster("shop").dry_run(&fake::endpoint("shop", "orders")).await.unwrap_err().to_string();
        assert!(error.starts_with("not allowed to apply StreamEndpoint orders as a dry run"), "{error}");
    }
}
