//! The only reader: everything outside a `StreamEndpoint` on which its reconcile depends.
//!
//! Owns what is read and from where: the truth is read from the API server each time, because a stale answer could take
//! an endpoint's permission away; only other endpoints, which decide who came first, come from the watch. Something that
//! is not there is data, not an error. Must never judge what it finds, nor read a Secret that validation did not ask for.

mod children;
mod cluster_tokens;
mod pods;

pub(crate) use pods::{MAX_ASKED, ask};

use crate::api_server::{RequestError, is_forbidden};
use crate::controller::Context;
use crate::credentials::Secrets;
use crate::model::SecretLocation;
use crate::probe::GatewayPod;
use crate::references::{References, neighbours};
use crate::resources::Existing;
use crate::validate::wanted_secrets;
use futures_util::future::join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use headgate_crds::names::ANNOTATION_DEFAULT_CONNECTION;
use headgate_crds::reasons::Reason;
use headgate_crds::types::EndpointName;
use headgate_crds::{KafkaConnection, StreamEndpoint, names};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Label that the API server gives every Namespace.
const LABEL_NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// How long the first reconcile waits for the watches of all namespaces.
const MAX_SETTLING: Duration = Duration::from_secs(10);
/// Requests that one step of one reconcile has under way at once.
const MAX_CONCURRENT: usize = 8;

/// What an endpoint points at, and what it has.
#[derive(Debug, Clone)]
pub struct Dereferenced {
    /// What its validity depends on.
    pub references: References,
    /// Its children, whoever owns them.
    pub existing: Existing,
    /// Its gateway pods, with their own reports.
    pub pods: Vec<GatewayPod>,
}

/// Something that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DereferenceError {
    /// The API server refused.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A connection that was stored under other rules. It is not taken for missing, which would end streams.
    #[error("failed to read KafkaConnection {name}: it is not what this version of the operator understands")]
    Connection {
        /// Its name.
        name: String,
    },
}

impl DereferenceError {
    /// The word for it in conditions, events and metrics.
    pub fn reason(&self) -> Reason {
        match self {
            // Whatever the API server means by it: the endpoint is not to blame for what is read.
            Self::Request(error) if error.reason != Reason::OperatorForbidden => Reason::ApiServerError,
            Self::Request(error) => error.reason,
            Self::Connection { .. } => Reason::ApiServerError,
        }
    }

    /// Whether it may succeed without anybody's change.
    pub fn retry(&self) -> bool {
        !self.reason().needs_change()
    }
}

/// Reads everything.
///
/// # Errors
///
/// The first request that failed.
pub async fn dereference(endpoint: &StreamEndpoint, context: &Context) -> Result<Dereferenced, DereferenceError> {
    let (references, (existing, pods)) =
        tokio::try_join!(Box::pin(references(endpoint, context)), Box::pin(own(endpoint, context)))?;
    Ok(Dereferenced { references, existing, pods })
}

/// What the endpoint points at.
async fn references(endpoint: &StreamEndpoint, context: &Context) -> Result<References, DereferenceError> {
    let namespace = endpoint.namespace().unwrap_or_default();
    let (namespace_labels, connections, others, cluster_tokens) = tokio::try_join!(
        namespace_labels(&namespace, context),
        connections(endpoint, context),
        other_endpoints(endpoint, context),
        cluster_tokens::read(endpoint, context)
    )?;
    let earlier = neighbours(endpoint, &others);
    let mut references = References { namespace_labels, connections, secrets: None, cluster_tokens, earlier };
    let wanted = wanted_secrets(endpoint, &references);
    references.secrets = Some(secrets(wanted, context).await?);
    Ok(references)
}

/// What belongs to the endpoint. One whose name its children cannot have has none.
async fn own(endpoint: &StreamEndpoint, context: &Context) -> Result<(Existing, Vec<GatewayPod>), DereferenceError> {
    let Ok(name) = names::endpoint(&endpoint.name_any()) else { return Ok((Existing::default(), Vec::new())) };
    let own = Own { name, endpoint, context };
    Ok(tokio::try_join!(children::read(&own), pods::read(&own))?)
}

/// An endpoint whose children are read.
struct Own<'a> {
    name: EndpointName,
    endpoint: &'a StreamEndpoint,
    context: &'a Context,
}

/// Labels of a namespace. A Role in a namespace can allow to read that one; where it does not, an operator that looks after
/// single namespaces knows the name only.
pub(crate) async fn namespace_labels(
    namespace: &str,
    context: &Context,
) -> Result<BTreeMap<String, String>, DereferenceError> {
    let mut labels = match Api::<Namespace>::all(context.client.clone()).get_metadata(namespace).await {
        Ok(read) => read.metadata.labels.unwrap_or_default(),
        Err(error) if is_forbidden(&error) && !context.installation.cluster_wide() => BTreeMap::new(),
        Err(error) => return Err(RequestError::new("get", format!("Namespace {namespace}"), &error).into()),
    };
    labels.insert(LABEL_NAMESPACE_NAME.to_owned(), namespace.to_owned());
    Ok(labels)
}

/// The connection that the endpoint names, or else all that are marked as default; none if it has a cluster of its own.
async fn connections(endpoint: &StreamEndpoint, context: &Context) -> Result<Vec<KafkaConnection>, DereferenceError> {
    let kafka = &endpoint.spec.kafka;
    let api = Api::<DeserializeGuard<KafkaConnection>>::all(context.client.clone());
    if let Some(reference) = &kafka.connection_ref {
        let read = api.get_opt(&reference.name).await;
        let read =
            read.map_err(|error| RequestError::new("get", format!("KafkaConnection {}", reference.name), &error))?;
        return read.map(understood).into_iter().collect();
    }
    if kafka.bootstrap_servers.is_some() {
        return Ok(Vec::new());
    }
    let read = api.list(&ListParams::default()).await;
    let read = read.map_err(|error| RequestError::new("list", "KafkaConnections", &error))?;
    read.items.into_iter().filter(is_default).map(understood).collect()
}

fn is_default(connection: &DeserializeGuard<KafkaConnection>) -> bool {
    connection.annotations().get(ANNOTATION_DEFAULT_CONNECTION).is_some_and(|value| value == "true")
}

fn understood(connection: DeserializeGuard<KafkaConnection>) -> Result<KafkaConnection, DereferenceError> {
    connection.0.map_err(|invalid| DereferenceError::Connection { name: invalid.metadata.name.unwrap_or_default() })
}

/// The endpoints that this one could be in conflict with: those of its namespace, and those of its host name.
async fn other_endpoints(
    endpoint: &StreamEndpoint,
    context: &Context,
) -> Result<Vec<StreamEndpoint>, DereferenceError> {
    let hostname = endpoint.spec.public_access.hostname.as_ref();
    let matters = |other: &StreamEndpoint| {
        let same_host = hostname.is_some() && other.spec.public_access.hostname.as_ref() == hostname;
        (same_host || other.metadata.namespace == endpoint.metadata.namespace)
            && other.metadata.uid != endpoint.metadata.uid
    };
    let understood = visible_endpoints(context).await?;
    let others = understood.iter().filter_map(|other| other.0.as_ref().ok());
    Ok(others.filter(|other| matters(other)).cloned().collect())
}

/// Every endpoint in the namespaces that are watched: from the watches where they run, or else from the API server.
pub(crate) async fn visible_endpoints(
    context: &Context,
) -> Result<Vec<Arc<DeserializeGuard<StreamEndpoint>>>, DereferenceError> {
    if let Some(stores) = context.watched.endpoints.get() {
        context.watched.settled.get_or_init(async || settle(stores).await).await;
        return Ok(stores.iter().flat_map(Store::state).collect());
    }
    let client = || context.client.clone();
    let apis: Vec<Api<_>> = match context.installation.watch_namespaces.as_slice() {
        [] => vec![Api::all(client())],
        namespaces => namespaces.iter().map(|namespace| Api::namespaced(client(), namespace)).collect(),
    };
    let mut endpoints = Vec::new();
    for api in apis {
        let read = api.list(&ListParams::default()).await;
        let read = read.map_err(|error| RequestError::new("list", "StreamEndpoints", &error))?;
        endpoints.extend(read.items.into_iter().map(Arc::new));
    }
    Ok(endpoints)
}

/// Waits until every watch has seen what there was when it began, so that an endpoint does not take for free what another
/// one has. A namespace that cannot be watched must not keep the others waiting for ever.
async fn settle(stores: &[Store<DeserializeGuard<StreamEndpoint>>]) {
    let ready = join_all(stores.iter().map(Store::wait_until_ready));
    if timeout(MAX_SETTLING, ready).await.is_err() {
        tracing::warn!("not every namespace can be watched; conflicts with their endpoints are noticed later");
    }
}

/// The content of these Secrets. One that is forbidden is as one that is missing.
pub(crate) async fn secrets(
    wanted: impl IntoIterator<Item = SecretLocation>,
    context: &Context,
) -> Result<Secrets, RequestError> {
    let read = |location: SecretLocation| async move {
        let api = Api::<Secret>::namespaced(context.client.clone(), &location.namespace);
        match api.get_opt(&location.name).await {
            Ok(secret) => Ok((location, secret.map(Into::into))),
            Err(error) if is_forbidden(&error) => Ok((location, None)),
            Err(error) => {
                Err(RequestError::new("get", format!("Secret {}/{}", location.namespace, location.name), &error))
            }
        }
    };
    stream::iter(wanted).map(read).buffer_unordered(MAX_CONCURRENT).try_collect().await
}
