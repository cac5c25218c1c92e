//! What every test with a control plane relies on. Nothing of the product is tested here.

use std::time::Duration;

use headgate_tests::cluster::Cluster;
use headgate_tests::wait::eventually_ok;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;

const DEADLINE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_control_plane_serves_its_api_and_its_controllers_work() {
    let cluster = Cluster::start(0).await.unwrap();
    let version = cluster.client().await.unwrap().apiserver_version().await.unwrap();
    assert!(version.git_version.starts_with('v'), "{version:?}");
    let outcome = cluster.with_namespace("controllers", async |namespace| {
        // A controller makes it, not the API server.
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client().await?, namespace);
        let account = async || Ok(accounts.get("default").await?);
        eventually_ok("the default service account", DEADLINE, account).await
    });
    outcome.await.unwrap();
}

#[tokio::test]
async fn kubectl_speaks_to_the_cluster_and_quotes_its_refusals() {
    let cluster = Cluster::start(0).await.unwrap();
    let manifest = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept"},"data":{"word":"yes"}}"#;
    cluster.apply(manifest).await.unwrap();
    let word = cluster.kubectl(&["get", "configmap", "kept", "--output", "jsonpath={.data.word}"]).await.unwrap();
    assert_eq!(word, "yes");
    let error = cluster.kubectl(&["get", "configmap", "lost"]).await.unwrap_err().to_string();
    assert!(error.contains("\"lost\" not found"), "{error}");
}
