//! Namespaces of single tests, with the strictest rules for pods that Kubernetes knows.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use super::Cluster;
use crate::kafka::unique;

impl Cluster {
    /// A new namespace whose name begins with `purpose` and that enforces the Pod Security Standard "restricted".
    pub async fn create_namespace(&self, purpose: &str) -> Result<String> {
        let name = unique(&format!("{purpose}-{}", std::process::id()));
        let namespace: Namespace = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } },
        }))?;
        let api: Api<Namespace> = Api::all(self.client().await?);
        api.create(&PostParams::default(), &namespace).await.context("cannot create a namespace")?;
        Ok(name)
    }

    /// Begins to delete a namespace with everything in it.
    pub async fn delete_namespace(&self, name: &str) -> Result<()> {
        let api: Api<Namespace> = Api::all(self.client().await?);
        api.delete(name, &DeleteParams::default()).await.context("cannot delete a namespace")?;
        Ok(())
    }

    /// Gives `work` a namespace of its own. It is deleted when that is done; after a panic it stays for inspection.
    pub async fn with_namespace<T>(&self, purpose: &str, work: impl AsyncFnOnce(&str) -> Result<T>) -> Result<T> {
        let name = self.create_namespace(purpose).await?;
        let outcome = work(&name).await;
        self.delete_namespace(&name).await?;
        outcome
    }
}
