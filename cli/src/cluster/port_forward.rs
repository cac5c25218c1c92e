//! A way to the gateway pods through the API server, for whoever is not within the cluster.
//!
//! One connection is one pod. When it ends, the next one goes to the next pod that is ready; what was missed meanwhile is
//! the business of the cursor.

use super::{ClusterError, LIST_LIMIT};
use headgate_crds::StreamEndpoint;
use headgate_crds::names::{GATEWAY, LABEL_ENDPOINT, LABEL_NAME};
use headgate_wire::endpoints::DEFAULT_STREAM_PORT;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// Gateway pods behind the API server.
pub(crate) struct PortForward {
    pods: Api<Pod>,
    endpoint: String,
    /// The pod of the last connection.
    last: Option<String>,
}

/// Why no connection to a gateway pod came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortForwardError {
    /// The API server says no, which will not change by itself.
    #[error(transparent)]
    Forbidden(ClusterError),
    /// The API server does not answer, or has lost the pod.
    #[error(transparent)]
    Unavailable(ClusterError),
    /// No gateway pod is ready.
    #[error("no gateway pod of {0} is ready: see headgate why {0}")]
    NoPod(String),
    /// The connection came about without what was asked for.
    #[error("the API server did not forward the port of pod {0}")]
    NoPort(String),
}

impl PortForward {
    /// A way to the gateway pods of `endpoint`.
    pub(crate) fn new(pods: Api<Pod>, endpoint: &StreamEndpoint) -> Self {
        Self { pods, endpoint: endpoint.name_any(), last: None }
    }

    /// Label selector of the gateway pods of an endpoint.
    pub(crate) fn selector(endpoint: &str) -> String {
        format!("{LABEL_NAME}={GATEWAY},{LABEL_ENDPOINT}={endpoint}")
    }

    /// A connection to a ready gateway pod, another one than last time if there is one. The caller sets the deadline.
    pub(crate) async fn open(&mut self) -> Result<Forwarded, PortForwardError> {
        let selected = ListParams::default().labels(&Self::selector(&self.endpoint)).limit(LIST_LIMIT);
        let pods = self.pods.list(&selected).await.map_err(|error| judge("list the gateway pods", error))?;
        let Some(pod) = next_pod(&pods.items, self.last.as_deref()) else {
            return Err(PortForwardError::NoPod(self.endpoint.clone()));
        };
        self.last = Some(pod.clone());
        let forwarding = self.pods.portforward(&pod, &[DEFAULT_STREAM_PORT]).await;
        let mut forwarder = forwarding.map_err(|error| judge(&format!("forward a port of pod {pod}"), error))?;
        let stream = forwarder.take_stream(DEFAULT_STREAM_PORT);
        let failure = forwarder.take_error(DEFAULT_STREAM_PORT);
        match (stream, failure) {
            (Some(stream), Some(failure)) => Ok(Forwarded { stream, failure: Some(Box::pin(failure)), pod }),
            _ => Err(PortForwardError::NoPort(pod)),
        }
    }
}

fn judge(action: &str, error: kube::Error) -> PortForwardError {
    match ClusterError::judge(action, error) {
        error @ (ClusterError::Forbidden { .. } | ClusterError::Unauthorized { .. }) => {
            PortForwardError::Forbidden(error)
        }
        error => PortForwardError::Unavailable(error),
    }
}

/// The ready pod whose name comes after that of `last`; from the end it begins anew.
fn next_pod(pods: &[Pod], last: Option<&str>) -> Option<String> {
    let mut names: Vec<String> = pods.iter().filter(|pod| accepts_clients(pod)).map(ResourceExt::name_any).collect();
    names.sort();
    names.iter().find(|name| Some(name.as_str()) > last).or(names.first()).cloned()
}

fn accepts_clients(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

type Failure = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// The bytes of one connection to a gateway pod. It ends as soon as the API server says that the pod is gone.
pub(crate) struct Forwarded {
    stream: DuplexStream,
    failure: Option<Failure>,
    pod: String,
}

impl Forwarded {
    /// The pod at the other end.
    pub(crate) fn pod(&self) -> &str {
        &self.pod
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // What has arrived comes before the news that nothing else will.
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, into) {
            return Poll::Ready(read);
        }
        if let Some(failure) = &mut self.failure
            && let Poll::Ready(said) = failure.as_mut().poll(context)
        {
            self.failure = None;
            // Nothing said is the normal end, which the stream itself tells.
            if let Some(said) = said {
                return Poll::Ready(Err(io::Error::other(said)));
            }
        }
        Poll::Pending
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake::{self, ApiServer};
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn pod(name: &str, ready: &str) -> Value {
        let conditions = json!([{ "type": "Ready", "status": ready }]);
        json!({ "metadata": { "name": name }, "status": { "conditions": conditions } })
    }

    fn pods(values: &[Value]) -> Vec<Pod> {
        values.iter().map(|value| serde_json::from_value(value.clone()).unwrap()).collect()
    }

    #[test]
    fn connections_go_from_one_ready_pod_to_the_next() {
        let mut leaving = pod("d", "True");
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let pods = pods(&[pod("c", "True"), pod("b", "False"), pod("a", "True"), leaving]);
        let mut last = None;
        let mut visited = Vec::new();
        for _ in 0..3 {
            last = next_pod(&pods, last.as_deref());
            visited.extend(last.clone());
        }
        assert_eq!(visited, ["a", "c", "a"]);
    }

    #[test]
    fn the_selector_is_that_of_the_deployment() {
        let name = headgate_crds::names::endpoint("orders").unwrap();
        assert_eq!(PortForward::selector("orders"), headgate_crds::names::selector_text(&name));
    }

    #[tokio::test]
    async fn without_a_ready_pod_it_says_where_to_look() {
        let server = ApiServer::new();
        server.list("GET", "/api/v1/namespaces/shop/pods", [pod("a", "False")]);
        let endpoint = serde_json::from_value(fake::endpoint("shop", "orders")).unwrap();
        let mut forward = PortForward::new(server.cluster("shop").objects(), &endpoint);
        let error = forward.open().await.map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "no gateway pod of orders is ready: see headgate why orders");
        server.refuse("GET", "/api/v1/namespaces/shop/pods", 403, "pods is forbidden");
        assert!(matches!(forward.open().await, Err(PortForwardError::Forbidden(_))));
    }

    #[tokio::test]
    async fn a_pod_that_is_gone_ends_the_connection_although_its_stream_stays_open() {
        let (stream, mut other_end) = tokio::io::duplex(64);
        other_end.write_all(b"x").await.unwrap();
        let failure: Failure = Box::pin(std::future::ready(Some("lost connection to pod".to_owned())));
        let mut forwarded = Forwarded { stream, failure: Some(failure), pod: "a".to_owned() };
        assert_eq!(forwarded.read_u8().await.unwrap(), b'x');
        let error = forwarded.read_u8().await.unwrap_err();
        assert_eq!(error.to_string(), "lost connection to pod");
    }
}
