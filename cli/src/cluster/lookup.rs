//! StreamEndpoints by name, and what was probably meant by a name that is not there.

use super::{Cluster, ClusterError, LIST_LIMIT};
use headgate_crds::StreamEndpoint;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, ResourceExt};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// Most names that an error lists.
const MAX_NAMES: usize = 10;
/// Most single letters in which a mistyped name differs from the right one.
const MAX_DISTANCE: usize = 3;
/// How often an endpoint is read while something is waited for.
const POLL_PERIOD: Duration = Duration::from_millis(500);

impl Cluster {
    /// The StreamEndpoint of this name.
    pub(crate) async fn endpoint(&self, name: &str) -> Result<StreamEndpoint, ClusterError> {
        let action = format!("read the StreamEndpoint {name} in namespace {}", self.namespace());
        match self.ask(&action, self.objects().get(name)).await {
            Err(ClusterError::NotFound { .. }) => Err(self.missing(name).await),
            answer => answer,
        }
    }

    /// Every StreamEndpoint of the namespace, or of all namespaces.
    pub(crate) async fn endpoints(&self, everywhere: bool) -> Result<Vec<StreamEndpoint>, ClusterError> {
        let (api, place) = if everywhere {
            (Api::all(self.client()), "all namespaces".to_owned())
        } else {
            (self.objects(), format!("namespace {}", self.namespace()))
        };
        let limit = ListParams::default().limit(LIST_LIMIT);
        match self.ask(&format!("list the StreamEndpoints of {place}"), api.list(&limit)).await {
            Ok(list) => Ok(list.items),
            Err(ClusterError::NotFound { .. }) => Err(ClusterError::NotInstalled),
            Err(error) => Err(error),
        }
    }

    /// The only StreamEndpoint of the namespace.
    pub(crate) async fn only_endpoint(&self) -> Result<StreamEndpoint, ClusterError> {
        let mut all = self.endpoints(false).await?;
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => Ok(only),
            (last, _) => {
                let names: Vec<String> = all.iter().chain(&last).map(ResourceExt::name_any).collect();
                let message = match last {
                    None => format!("namespace {} has no StreamEndpoint", self.namespace()),
                    Some(_) => format!("namespace {} has several: name one of {}", self.namespace(), listed(&names)),
                };
                Err(ClusterError::NotFound { action: "choose a StreamEndpoint".to_owned(), message })
            }
        }
    }

    /// What `seen` finds in the endpoint as soon as it finds something; `None` after `patience`.
    pub(crate) async fn until<T>(
        &self,
        name: &str,
        patience: Duration,
        mut seen: impl FnMut(&StreamEndpoint) -> Option<T>,
    ) -> Result<Option<T>, ClusterError> {
        let deadline = Instant::now() + patience;
        let mut ticks = interval(POLL_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if timeout_at(deadline, ticks.tick()).await.is_err() {
                return Ok(None);
            }
            match timeout_at(deadline, self.endpoint(name)).await {
                Err(_) => return Ok(None),
                // An API server that restarts is no answer to what is waited for.
                Ok(Err(ClusterError::Unreachable { .. })) => {}
                Ok(Err(error)) => return Err(error),
                Ok(Ok(endpoint)) => {
                    if let Some(found) = seen(&endpoint) {
                        return Ok(Some(found));
                    }
                }
            }
        }
    }

    async fn missing(&self, name: &str) -> ClusterError {
        let names = match self.names(&self.objects()).await {
            Ok(objects) => objects.into_iter().map(|(_, name)| name).collect(),
            Err(ClusterError::NotFound { .. }) => return ClusterError::NotInstalled,
            Err(_) => Vec::new(),
        };
        let near = did_you_mean(name, names.iter().map(String::as_str));
        let hint = match (near, names.is_empty()) {
            (Some(near), _) => near,
            (None, none) => match self.elsewhere(name).await {
                Some(place) => place,
                None if none => "; there is none at all: choose another with --namespace".to_owned(),
                None => format!("; it has {}", listed(&names)),
            },
        };
        ClusterError::NoEndpoint { name: name.to_owned(), namespace: self.namespace().to_owned(), hint }
    }

    /// The namespaces that have an endpoint of this name, as far as they may be seen.
    async fn elsewhere(&self, name: &str) -> Option<String> {
        let all = self.names(&Api::all(self.client())).await.ok()?;
        let found: Vec<String> = all.into_iter().filter(|(_, other)| other == name).map(|(place, _)| place).collect();
        (!found.is_empty()).then(|| format!("; use --namespace with {}", listed(&found)))
    }

    /// Namespace and name of every endpoint that `api` lists.
    async fn names(&self, api: &Api<StreamEndpoint>) -> Result<Vec<(String, String)>, ClusterError> {
        let limit = ListParams::default().limit(LIST_LIMIT);
        let list = self.ask("list StreamEndpoints", api.list_metadata(&limit)).await?;
        let name =
            |object: &PartialObjectMeta<StreamEndpoint>| (object.namespace().unwrap_or_default(), object.name_any());
        Ok(list.items.iter().map(name).collect())
    }
}

/// Whether the status describes the spec as it is now.
pub(crate) fn is_current(endpoint: &StreamEndpoint) -> bool {
    let observed = endpoint.status.as_ref().and_then(|status| status.observed_generation);
    observed >= endpoint.metadata.generation
}

/// `: did you mean …?`, if a known word is close.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let (distance, near) = known.map(|other| (strsim::damerau_levenshtein(word, other), other)).min()?;
    let close = distance <= MAX_DISTANCE.min(word.chars().count() / 2);
    close.then(|| format!(": did you mean {near}?"))
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(MAX_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > MAX_NAMES { format!("{shown} and {} more", names.len() - MAX_NAMES) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake::{ApiServer, endpoint};
    use serde_json::json;

    const ONE: &str = "/apis/headgate.dev/v1alpha1/namespaces/shop/streamendpoints/ordres";
    const LIST: &str = "/apis/headgate.dev/v1alpha1/namespaces/shop/streamendpoints";
    const EVERYWHERE: &str = "/apis/headgate.dev/v1alpha1/streamendpoints";

    async fn error(server: &ApiServer) -> String {
        server.cluster("shop").endpoint("ordres").await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_mistyped_name_is_told_with_the_one_that_was_probably_meant() {
        let server = ApiServer::new();
        server.missing("GET", ONE);
        server.list("GET", LIST, [endpoint("shop", "orders"), endpoint("shop", "sensors")]);
        assert_eq!(error(&server).await, "namespace shop has no StreamEndpoint \"ordres\": did you mean orders?");
    }

    #[tokio::test]
    async fn a_name_of_another_namespace_is_told_with_that_namespace() {
        let server = ApiServer::new();
        server.missing("GET", ONE);
        server.list("GET", LIST, []);
        server.list("GET", EVERYWHERE, [endpoint("web", "ordres"), endpoint("web", "other")]);
        assert_eq!(error(&server).await, "namespace shop has no StreamEndpoint \"ordres\"; use --namespace with web");
    }

    #[tokio::test]
    async fn a_tenant_who_sees_one_namespace_learns_what_it_has() {
        let server = ApiServer::new();
        server.missing("GET", ONE);
        server.list("GET", LIST, [endpoint("shop", "sensors")]);
        server.refuse("GET", EVERYWHERE, 403, "no");
        assert_eq!(error(&server).await, "namespace shop has no StreamEndpoint \"ordres\"; it has sensors");
    }

    #[tokio::test]
    async fn a_cluster_without_the_kinds_is_told_apart() {
        let server = ApiServer::new();
        server.missing("GET", ONE);
        server.missing("GET", LIST);
        assert!(error(&server).await.starts_with("this cluster has no Headgate"));
    }

    #[tokio::test]
    async fn without_a_name_the_only_endpoint_is_meant() {
        let server = ApiServer::new();
        server.list("GET", LIST, [endpoint("shop", "orders")]);
        assert_eq!(server.cluster("shop").only_endpoint().await.unwrap().name_any(), "orders");
        server.list("GET", LIST, [endpoint("shop", "orders"), endpoint("shop", "sensors")]);
        let error = server.cluster("shop").only_endpoint().await.unwrap_err().to_string();
        assert!(error.ends_with("namespace shop has several: name one of orders, sensors"), "{error}");
    }

    #[test]
    fn a_status_of_an_earlier_generation_is_not_current() {
        let at = |generation: i64, observed: serde_json::Value| {
            let mut value = endpoint("shop", "orders");
            value["metadata"]["generation"] = json!(generation);
            value["status"] = json!({ "observedGeneration": observed });
            is_current(&serde_json::from_value(value).unwrap())
        };
        assert!(at(3, json!(3)));
        assert!(!at(4, json!(3)));
        assert!(!at(1, json!(null)));
    }
}
