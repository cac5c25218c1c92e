//! Our image in a pod: what every test with a running gateway relies on.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use headgate_tests::cluster::Cluster;
use headgate_tests::gateway::{config, get};
use headgate_tests::images;
use headgate_tests::kafka::RealKafka;
use headgate_tests::wait::eventually_ok;
use headgate_wire::endpoints::{CONFIG_FILE, CONFIG_MOUNT};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use serde_json::json;

const DEADLINE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_gateway_in_a_pod_reaches_the_kafka_of_the_tests() {
    let cluster = Cluster::shared().await.unwrap();
    cluster.load_our_images().await.unwrap();
    let kafka = RealKafka::start_at(cluster.host().await.unwrap(), &[]).await.unwrap();
    kafka.create_topic("orders", 1, &[]).await.unwrap();
    let outcome = cluster.with_namespace("gateway", async |namespace| {
        cluster.apply(&manifests(namespace, &kafka.bootstrap())?).await?;
        let admin = SocketAddr::new(pod_address(cluster.client().await?, namespace).await?, 9090);
        let answer = async |path: &str| -> Result<()> {
            let (status, body) = get(admin, path, &[]).await?;
            ensure!(status == 200, "{path} answers {status}: {body}");
            Ok(())
        };
        let live = eventually_ok("the gateway to live", DEADLINE, async || answer("/livez").await);
        live.await.context(cluster.kubectl(&["describe", "pods", "--namespace", namespace]).await?)?;
        let ready = eventually_ok("the gateway to read the topic", DEADLINE, async || answer("/readyz").await);
        ready.await.context(cluster.kubectl(&["logs", "gateway", "--namespace", namespace]).await?)
    });
    outcome.await.unwrap();
}

async fn pod_address(client: Client, namespace: &str) -> Result<std::net::IpAddr> {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    eventually_ok("the pod to have an address", DEADLINE, async || {
        let status = pods.get("gateway").await?.status.context("it has no status")?;
        Ok(status.pod_ip.context("it has no address")?.parse()?)
    })
    .await
}

fn manifests(namespace: &str, bootstrap: &str) -> Result<String> {
    let mut gateway = config(bootstrap, "orders");
    gateway.listeners = serde_json::from_value(json!({ "stream": "0.0.0.0:8080", "admin": "0.0.0.0:9090" }))?;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "gateway", "namespace": namespace },
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "automountServiceAccountToken": false,
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "gateway", "image": images::GATEWAY,
                "args": ["--config", format!("{CONFIG_MOUNT}/{CONFIG_FILE}")],
                "securityContext": { "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                     "capabilities": { "drop": ["ALL"] } },
                "volumeMounts": [{ "name": "config", "mountPath": CONFIG_MOUNT }],
            }],
            "volumes": [{ "name": "config", "configMap": { "name": "gateway" } }],
        },
    });
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "gateway", "namespace": namespace },
        "data": { CONFIG_FILE: serde_json::to_string(&gateway)? },
    });
    Ok(json!({ "apiVersion": "v1", "kind": "List", "items": [config, pod] }).to_string())
}
