//! Nodes that fail and come back, as the tests of outages need them. Nothing of the product is tested here.

use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use headgate_tests::cluster::Cluster;
use headgate_tests::wait::eventually_ok;
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

/// Kubernetes waits twenty seconds before it believes that a node is gone.
const NOTICED: Duration = Duration::from_mins(2);

#[tokio::test]
async fn three_nodes_are_ready() {
    let cluster = Cluster::shared().await.unwrap();
    cluster.ensure_running().await.unwrap();
    assert_eq!(conditions(&cluster).await.unwrap(), ["node1", "node2", "node3"].map(|name| owned((name, "True"))));
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

/// Waits for the condition of node2; those of the others must stay as they are all the time.
async fn ready_is(cluster: &Cluster, wanted: &str) -> Result<()> {
    let outcome = eventually_ok(format!("the condition Ready of node2 to be {wanted}"), NOTICED, async || {
        let [first, second, third] = &conditions(cluster).await?[..] else { bail!("there are not three nodes") };
        if let Some((name, condition)) = [first, third].into_iter().find(|other| other.1 != "True") {
            return Ok(Err(anyhow!("another node was disturbed too: {name} is {condition}")));
        }
        ensure!(second.1 == wanted, "it is {}", second.1);
        Ok(Ok(()))
    });
    outcome.await?
}

/// The names of the nodes and their conditions Ready.
async fn conditions(cluster: &Cluster) -> Result<Vec<(String, String)>> {
    let nodes: Api<Node> = Api::all(cluster.client().await?);
    let nodes = nodes.list(&ListParams::default()).await?.items;
    let ready = |node: &Node| {
        let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.find(|condition| condition.type_ == "Ready").map(|condition| condition.status.clone())
    };
    Ok(nodes.iter().map(|node| (node.name_any(), ready(node).unwrap_or_default())).collect())
}

fn owned((name, condition): (&str, &str)) -> (String, String) {
    (name.to_owned(), condition.to_owned())
}
