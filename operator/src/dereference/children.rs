//! The children of an endpoint, by their names, whoever owns them.
//!
//! Must never decide whose they are: `apply` does, right before it writes.

use super::{MAX_CONCURRENT, Own};
use crate::api_server::RequestError;
use crate::gateway_api::HttpRoute;
use crate::keys::LABEL_BRINGS_KEY_FOR;
use crate::resources::Existing;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use headgate_crds::names;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// Reads all of them at once.
pub(super) async fn read(own: &Own<'_>) -> Result<Existing, RequestError> {
    let gateway = names::gateway(&own.name);
    let (verifier, kafka, public) = (names::verifier(&own.name), names::kafka(&own.name), names::public(&own.name));
    let tickets = names::tickets(&own.name);
    let (
        mounted,
        (service, public_service, deployment),
        (disruption_budget, network_policy, ingress, http_route),
        (keys, brought_keys, tickets),
    ) = tokio::try_join!(
        async { tokio::try_join!(own.get(&gateway), own.get(&gateway), own.get(&verifier), own.get(&kafka)) },
        async { tokio::try_join!(own.get(&gateway), own.get(&public), own.get(&gateway)) },
        async { tokio::try_join!(own.get(&gateway), own.get(&gateway), own.get(&gateway), http_route(own, &gateway)) },
        async { tokio::try_join!(issued_keys(own), brought_keys(own), own.get(&tickets)) },
    )?;
    let (service_account, config_map, verifier, kafka) = mounted;
    Ok(Existing {
        service_account,
        config_map,
        verifier,
        kafka,
        service,
        deployment,
        disruption_budget,
        network_policy,
        http_route,
        ingress,
        public_service,
        keys,
        brought_keys,
        tickets,
    })
}

async fn http_route(own: &Own<'_>, name: &str) -> Result<Option<HttpRoute>, RequestError> {
    if own.context.optional_apis.http_route() { own.get(name).await } else { Ok(None) }
}

/// Secrets with the labels of this endpoint's keys, and whatever else has the name that one of them would have.
async fn issued_keys(own: &Own<'_>) -> Result<Vec<Secret>, RequestError> {
    let selector = format!("{}={},{}", names::LABEL_ENDPOINT, own.name, names::LABEL_KEY);
    let mut secrets = own.list_secrets(&selector).await?;
    let listed: BTreeSet<String> = secrets.iter().map(ResourceExt::name_any).collect();
    let keys = own.endpoint.spec.auth.keys();
    let named = keys.iter().map(|key| names::key(&own.name, &key.name)).filter(|name| !listed.contains(name));
    let read = |name: String| async move { own.get::<Secret>(&name).await };
    let unlabelled: Vec<_> =
        stream::iter(named.collect::<Vec<_>>()).map(read).buffered(MAX_CONCURRENT).try_collect().await?;
    secrets.extend(unlabelled.into_iter().flatten());
    Ok(secrets)
}

async fn brought_keys(own: &Own<'_>) -> Result<Vec<Secret>, RequestError> {
    own.list_secrets(&format!("{LABEL_BRINGS_KEY_FOR}={}", own.name)).await
}

impl Own<'_> {
    /// An object of the endpoint's namespace, or `None` if there is none of that name.
    async fn get<K>(&self, name: &str) -> Result<Option<K>, RequestError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    {
        let read = self.api::<K>().get_opt(name).await;
        read.map_err(|error| RequestError::new("get", format!("{} {name}", K::kind(&())), &error))
    }

    async fn list_secrets(&self, selector: &str) -> Result<Vec<Secret>, RequestError> {
        let read = self.api::<Secret>().list(&ListParams::default().labels(selector)).await;
        Ok(read.map_err(|error| RequestError::new("list", "Secrets", &error))?.items)
    }

    /// Objects of the endpoint's namespace.
    pub(super) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.context.client.clone(), &self.endpoint.namespace().unwrap_or_default())
    }
}
