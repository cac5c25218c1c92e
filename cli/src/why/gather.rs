//! Everything that can be seen of an endpoint. What may not be seen is named instead.

use crate::cluster::port_forward::PortForward;
use crate::cluster::{Cluster, ClusterError, LIST_LIMIT};
use headgate_crds::names::ANNOTATION_DEFAULT_CONNECTION;
use headgate_crds::reasons::ConditionType;
use headgate_crds::{KafkaConnection, StreamEndpoint};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

/// What was found.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// The endpoint.
    pub(crate) endpoint: StreamEndpoint,
    /// Its gateway pods.
    pub(crate) pods: Vec<Pod>,
    /// Events of its namespace.
    pub(crate) events: Vec<Event>,
    /// Its connection, if it uses one that may be seen.
    pub(crate) connection: Option<KafkaConnection>,
    /// What could not be read, as sentences.
    pub(crate) unseen: Vec<String>,
}

/// Reads the endpoint, and if it is not ready, what may explain that.
pub(crate) async fn gather(cluster: &Cluster, name: &str) -> Result<Evidence, ClusterError> {
    let endpoint = cluster.endpoint(name).await?;
    let mut evidence =
        Evidence { endpoint, pods: Vec::new(), events: Vec::new(), connection: None, unseen: Vec::new() };
    let selector = PortForward::selector(name);
    let pods: Api<Pod> = cluster.objects();
    let listed = ListParams::default().labels(&selector).limit(LIST_LIMIT);
    match cluster.ask("list its gateway pods", pods.list(&listed)).await {
        Ok(list) => evidence.pods = list.items,
        Err(error) => evidence.unseen.push(error.to_string()),
    }
    if is_ready(&evidence.endpoint) {
        return Ok(evidence);
    }
    let events: Api<Event> = cluster.objects();
    match cluster.ask("list the events of its namespace", events.list(&ListParams::default().limit(LIST_LIMIT))).await {
        Ok(list) => evidence.events = list.items,
        Err(error) => evidence.unseen.push(error.to_string()),
    }
    match connection(cluster, &evidence.endpoint).await {
        Ok(connection) => evidence.connection = connection,
        // Only the platform team sees connections; what tenants need is in the conditions.
        Err(ClusterError::Forbidden { .. } | ClusterError::NotFound { .. }) => {}
        Err(error) => evidence.unseen.push(error.to_string()),
    }
    Ok(evidence)
}

fn is_ready(endpoint: &StreamEndpoint) -> bool {
    let conditions = endpoint.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == ConditionType::Ready.as_str());
    ready.any(|condition| condition.status == "True") && crate::cluster::is_current(endpoint)
}

async fn connection(cluster: &Cluster, endpoint: &StreamEndpoint) -> Result<Option<KafkaConnection>, ClusterError> {
    let kafka = &endpoint.spec.kafka;
    let connections: Api<KafkaConnection> = Api::all(cluster.client());
    match (&kafka.connection_ref, &kafka.bootstrap_servers) {
        (Some(reference), _) => {
            let action = format!("read the KafkaConnection {}", reference.name);
            cluster.ask(&action, connections.get_opt(&reference.name)).await
        }
        (None, Some(_)) => Ok(None),
        (None, None) => {
            let listed = ListParams::default().limit(LIST_LIMIT);
            let all = cluster.ask("list the KafkaConnections", connections.list(&listed)).await?;
            let mut defaults = all.items.into_iter().filter(|connection| {
                connection.annotations().get(ANNOTATION_DEFAULT_CONNECTION).is_some_and(|value| value == "true")
            });
            Ok(defaults.next())
        }
    }
}
