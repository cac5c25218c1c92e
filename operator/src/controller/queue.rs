//! What wakes the controllers: one stream of objects to look at, made of everything that may concern them.
//!
//! Owns the watches, each of which goes on by itself when it breaks. Must never decide what a change means; a reconcile
//! finds that out.

use super::{Context, pulse, watches};
use crate::api_server::message;
use crate::gateway_api::HttpRoute;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt as _};
use headgate_crds::{KafkaConnection, StreamEndpoint, names};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;
use kube::api::Api;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{ReconcileReason, ReconcileRequest};
use kube::runtime::reflector::{ObjectRef, Store, reflector, store::Writer};
use kube::runtime::{WatchStreamExt as _, watcher};
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::mpsc;

/// An endpoint, whether or not it is understood.
pub(crate) type Endpoint = DeserializeGuard<StreamEndpoint>;
/// A connection, whether or not it is understood.
pub(crate) type Connection = DeserializeGuard<KafkaConnection>;
/// What a controller is asked to look at, and why. Watches never fail; they begin anew.
pub(crate) type Request<K> = Result<ReconcileRequest<K>, Infallible>;

/// Wakes the controller of the endpoints of one namespace, or of all.
pub(crate) struct EndpointQueue {
    pub(crate) context: Arc<Context>,
    /// Namespace; `None` = all.
    pub(crate) namespace: Option<String>,
    /// The endpoints of the namespace.
    pub(crate) endpoints: Store<Endpoint>,
    /// Every connection.
    pub(crate) connections: Store<Connection>,
    /// Connections that have to be looked at because of an endpoint or a Secret. When it is full, their resync does it.
    pub(crate) wake: mpsc::Sender<ObjectRef<Connection>>,
}

impl EndpointQueue {
    /// The queue. `writer` fills [`endpoints`](Self::endpoints).
    pub(crate) fn requests(self, writer: Writer<Endpoint>) -> impl Stream<Item = Request<Endpoint>> + Send + 'static {
        let queue = Arc::new(self);
        let mut sources = vec![
            queue.endpoints(writer),
            queue.child::<ServiceAccount>("ServiceAccount"),
            queue.child::<ConfigMap>("ConfigMap"),
            queue.child::<Service>("Service"),
            queue.child::<Deployment>("Deployment"),
            queue.child::<PodDisruptionBudget>("PodDisruptionBudget"),
            queue.child::<NetworkPolicy>("NetworkPolicy"),
            queue.child::<Ingress>("Ingress"),
            queue.http_routes(),
            queue.secrets(),
            queue.connections(),
            reason("KafkaState", pulse::changes(Arc::clone(&queue.context), queue.namespace.clone())),
        ];
        if queue.context.installation.cluster_wide() {
            sources.push(queue.namespaces());
        }
        stream::select_all(sources).map(Ok)
    }

    /// Endpoints themselves, and those that are in conflict with them.
    fn endpoints(self: &Arc<Self>, writer: Writer<Endpoint>) -> Requests {
        let watch = watcher(self.api::<Endpoint>(), watcher::Config::default()).default_backoff();
        let changed = reflector(writer, watch).touched_objects();
        let queue = Arc::clone(self);
        reason(
            "StreamEndpoint",
            heard(changed, &self.context, "StreamEndpoint").flat_map(move |endpoint| {
                queue.wake(watches::connections_of_endpoint(&endpoint, &queue.connections.state()));
                let mut concerned = watches::of_endpoint(&endpoint, &queue.known_endpoints());
                concerned.push(ObjectRef::from_obj(&endpoint));
                stream::iter(concerned)
            }),
        )
    }

    /// Children that the operator made, by their metadata, which is all that memory is spent on.
    fn child<K>(self: &Arc<Self>, kind: &'static str) -> Requests
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + 'static,
    {
        let ours = format!("{}={}", names::LABEL_MANAGED_BY, names::MANAGED_BY);
        let watch = watcher(self.api::<PartialObjectMeta<K>>(), watcher::Config::default().labels(&ours));
        let changed = heard(watch.default_backoff().touched_objects(), &self.context, kind);
        reason(kind, changed.flat_map(|child| stream::iter(watches::of_child(&child.metadata))))
    }

    /// HTTPRoutes, as soon as the cluster has any. Until then endpoints that want one only know that there are none.
    fn http_routes(self: &Arc<Self>) -> Requests {
        let queue = Arc::clone(self);
        let present = async move {
            queue.context.optional_apis.http_route_present().await;
            let everyone = queue.known_endpoints();
            let everyone = everyone.iter().map(|endpoint| ObjectRef::from_obj(&**endpoint)).collect::<Vec<_>>();
            reason("GatewayApi", stream::iter(everyone)).chain(queue.child::<HttpRoute>("HTTPRoute"))
        };
        stream::once(present).flatten().boxed()
    }

    /// All Secrets: those that we made, and those that users made for us, which have no label of ours.
    fn secrets(self: &Arc<Self>) -> Requests {
        let watch = watcher(self.api::<PartialObjectMeta<Secret>>(), watcher::Config::default());
        let changed = heard(watch.default_backoff().touched_objects(), &self.context, "Secret");
        let queue = Arc::clone(self);
        reason(
            "Secret",
            changed.flat_map(move |secret| {
                let (endpoints, connections) = (queue.known_endpoints(), queue.connections.state());
                queue.wake(watches::connections_of_secret(&secret.metadata, &connections));
                stream::iter(watches::of_secret(&secret.metadata, &endpoints, &connections))
            }),
        )
    }

    fn connections(self: &Arc<Self>) -> Requests {
        let api = Api::<Connection>::all(self.context.client.clone());
        let watch = watcher(api, watcher::Config::default()).default_backoff();
        let changed = heard(watch.touched_objects(), &self.context, "KafkaConnection");
        let queue = Arc::clone(self);
        let concerned = move |connection: Connection| watches::of_connection(&connection, &queue.known_endpoints());
        reason("KafkaConnection", changed.flat_map(move |connection| stream::iter(concerned(connection))))
    }

    fn namespaces(self: &Arc<Self>) -> Requests {
        let api = Api::<PartialObjectMeta<Namespace>>::all(self.context.client.clone());
        let watch = watcher(api, watcher::Config::default()).default_backoff();
        let changed = heard(watch.touched_objects(), &self.context, "Namespace");
        let queue = Arc::clone(self);
        let concerned = move |namespace: PartialObjectMeta<Namespace>| {
            let name = namespace.metadata.name.unwrap_or_default();
            watches::of_namespace(&name, &queue.known_endpoints())
        };
        reason("Namespace", changed.flat_map(move |namespace| stream::iter(concerned(namespace))))
    }

    fn wake(&self, connections: Vec<ObjectRef<Connection>>) {
        for connection in connections {
            let _ = self.wake.try_send(connection);
        }
    }

    fn known_endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.endpoints.state()
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let client = self.context.client.clone();
        match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }
}

/// Wakes the controller of the connections: their own changes, and what the endpoints' watches `heard` of that concerns
/// them. `writer` keeps them for everybody.
pub(crate) fn connection_requests(
    context: &Arc<Context>,
    writer: Writer<Connection>,
    woken: mpsc::Receiver<ObjectRef<Connection>>,
) -> impl Stream<Item = Request<Connection>> + Send + 'static {
    let api = Api::<Connection>::all(context.client.clone());
    let watch = watcher(api, watcher::Config::default()).default_backoff();
    let changed = heard(reflector(writer, watch).touched_objects(), context, "KafkaConnection");
    let changed = changed.map(|connection| ObjectRef::from_obj(&connection));
    let woken = stream::unfold(woken, async |mut woken| woken.recv().await.map(|connection| (connection, woken)));
    stream::select(reason("KafkaConnection", changed), reason("Endpoint", woken)).map(Ok)
}

/// Requests for one kind of object, all for the same reason.
type Requests<K = Endpoint> = BoxStream<'static, ReconcileRequest<K>>;

fn reason<K>(why: &'static str, objects: impl Stream<Item = ObjectRef<K>> + Send + 'static) -> Requests<K>
where
    K: Resource<DynamicType = ()> + Send + 'static,
{
    let reason = move || ReconcileReason::Custom { reason: why.to_owned() };
    objects.map(move |obj_ref| ReconcileRequest { obj_ref, reason: reason() }).boxed()
}

/// What a watch saw. That it broke is counted and logged; it has begun anew by itself.
fn heard<T: Send + 'static>(
    watch: impl Stream<Item = Result<T, watcher::Error>> + Send + 'static,
    context: &Arc<Context>,
    kind: &'static str,
) -> impl Stream<Item = T> + Send + 'static {
    let metrics = context.metrics.clone();
    watch.filter_map(move |seen| {
        let seen = seen.map_err(|error| {
            metrics.watch_failed(kind);
            tracing::warn!(kind, reason = watch_failure(&error), "a watch broke; it begins anew");
        });
        std::future::ready(seen.ok())
    })
}

/// Why a watch broke, without the objects that it was about.
fn watch_failure(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => message(error),
        watcher::Error::WatchError(status) => status.message.clone(),
        watcher::Error::NoResourceVersion => "the API server named no resourceVersion".to_owned(),
    }
}
