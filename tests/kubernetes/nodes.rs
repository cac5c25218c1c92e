//! Nodes that fail and come back, as the tests of outages need them. Nothing of the product is tested here.

use std::time::Duration;

use anyhow::{Result, ensure};
use headgate_tests::cluster::Cluster;
use headgate_tests::wait::eventually_ok;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;

/// Kubernetes waits twenty seconds before it believes that a node is gone.
const NOTICED: Duration = Duration::from_mins(2);

#[tokio::test]
async fn two_nodes_are_ready() {
    let cluster = Cluster::shared().await.unwrap();
    let nodes: Api<Node> = Api::all(cluster.client().await.unwrap());
    let nodes = nodes.list(&ListParams::default()).await.unwrap();
    let ready = |node: &Node| {
        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.filter(|condition| condition.type_ == "Ready").any(|condition| condition.status == "True")
    };
    assert!(nodes.items.iter().filter(|node| ready(node)).count() >= 2, "{nodes:?}");
}

#[tokio::test]
async fn a_node_that_is_cut_off_is_noticed_and_comes_back() {
    let cluster = Cluster::exclusive().await.unwrap();
    cluster.cut_node("node2").await.unwrap();
    ready_is(&cluster, "Unknown").await.unwrap();
    cluster.heal_node("node2").await.unwrap();
    ready_is(&cluster, "True").await.unwrap();
}

#[tokio::test]
async fn a_node_without_power_is_noticed_and_boots_again() {
    let cluster = Cluster::exclusive().await.unwrap();
    cluster.stop_node("node2").await.unwrap();
    ready_is(&cluster, "Unknown").await.unwrap();
    cluster.start_node("node2").await.unwrap();
    ready_is(&cluster, "True").await.unwrap();
}

async fn ready_is(cluster: &Cluster, wanted: &str) -> Result<()> {
    eventually_ok(format!("the condition Ready of node2 to be {wanted}"), NOTICED, async || {
        let condition = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
        let ready = cluster.kubectl(&["get", "node", "node2", "--output", condition]).await?;
        ensure!(ready == wanted, "it is {ready}");
        Ok(())
    })
    .await
}
