//! Runs the controllers until told to stop.
//!
//! Owns what surrounds every reconcile: its span, its time, its permit, and when it is tried again. Must never end by
//! itself, and never give up work halfway when it is told to stop.

use super::queue::{Connection, Endpoint, EndpointQueue, Request, connection_requests};
use super::{Context, ReconcileError, backoff::spread, reconcile};
use crate::connection;
use crate::metrics::{Controller, ReconcileResult};
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt as _};
use kube::runtime::controller::{Action, Config, Error, applier};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, info_span};

/// How long an object has to be left alone before it is looked at: long enough for the answers to what was just applied to
/// count as one, short enough that nobody notices.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Connections that wait to be looked at because of endpoints or Secrets.
const MAX_WOKEN: usize = 256;

/// The controllers ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Though nobody asked them to.
    #[error("the controllers ended by themselves")]
    Ended,
    /// A context is for one run, because it knows that run's watches.
    #[error("the controllers were already started with this context")]
    Started,
}

/// A kind that the operator looks after.
trait Kind: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static {
    /// Which controller does.
    const CONTROLLER: Controller;

    /// Makes the cluster what the object asks for.
    fn reconcile(
        self: Arc<Self>,
        context: Arc<Context>,
    ) -> impl Future<Output = Result<Action, ReconcileError>> + Send + 'static;

    /// Keeps up with how many there are, now that one was looked at or is gone.
    fn counted(gone: Option<&ObjectRef<Self>>, context: &Context);
}

impl Kind for Endpoint {
    const CONTROLLER: Controller = Controller::StreamEndpoint;

    fn reconcile(
        self: Arc<Self>,
        context: Arc<Context>,
    ) -> impl Future<Output = Result<Action, ReconcileError>> + Send + 'static {
        reconcile(self, context)
    }

    fn counted(gone: Option<&ObjectRef<Self>>, context: &Context) {
        if let Some(endpoint) = gone {
            context.pulses.forget(endpoint.namespace.as_deref().unwrap_or_default(), &endpoint.name);
        }
        context.metrics.set_endpoints(context.watched.endpoints.get().into_iter().flatten().map(Store::len).sum());
    }
}

impl Kind for Connection {
    const CONTROLLER: Controller = Controller::KafkaConnection;

    fn reconcile(
        self: Arc<Self>,
        context: Arc<Context>,
    ) -> impl Future<Output = Result<Action, ReconcileError>> + Send + 'static {
        connection::reconcile(self, context)
    }

    fn counted(_: Option<&ObjectRef<Self>>, _: &Context) {}
}

/// Looks after every endpoint and connection until `shutdown`, and then until what was begun is done.
///
/// # Errors
///
/// Only if it ends without having been told to, or is called twice with one context.
pub async fn run(context: Arc<Context>, shutdown: CancellationToken) -> Result<(), RunError> {
    let (connections, connection_writer) = reflector::store();
    let (wake, woken) = mpsc::channel(MAX_WOKEN);
    let scopes = match context.installation.watch_namespaces.as_slice() {
        [] => vec![None],
        namespaces => namespaces.iter().cloned().map(Some).collect(),
    };
    let (stores, writers): (Vec<_>, Vec<_>) = scopes.iter().map(|_| reflector::store::<Endpoint>()).unzip();
    context.watched.endpoints.set(stores.clone()).map_err(|_| RunError::Started)?;
    let endpoint_controllers = scopes.into_iter().zip(stores).zip(writers).map(|((namespace, endpoints), writer)| {
        let queue = EndpointQueue {
            context: Arc::clone(&context),
            namespace,
            endpoints: endpoints.clone(),
            connections: connections.clone(),
            wake: wake.clone(),
        };
        let requests = queue.requests(writer).take_until(shutdown.clone().cancelled_owned());
        controller(endpoints, requests, Arc::clone(&context))
    });
    let requests = connection_requests(&context, connection_writer, woken);
    let requests = requests.take_until(shutdown.clone().cancelled_owned());
    tokio::join!(controller(connections.clone(), requests, Arc::clone(&context)), join_all(endpoint_controllers));
    if shutdown.is_cancelled() { Ok(()) } else { Err(RunError::Ended) }
}

/// Reconciles what is requested, until there are no more requests and everything that was begun is done.
async fn controller<K: Kind>(
    objects: Store<K>,
    requests: impl Stream<Item = Request<K>> + Send + 'static,
    context: Arc<Context>,
) {
    let config = Config::default().debounce(DEBOUNCE).concurrency(context.installation.concurrency.max(1));
    let reconcile = |object: Arc<K>, context: Arc<Context>| Box::pin(guarded(object, context));
    let retry = |object: Arc<K>, error: &ReconcileError, context: Arc<Context>| retry(&*object, error, &context);
    let reconciled = applier(reconcile, retry, Arc::clone(&context), objects, Box::pin(requests), config);
    reconciled
        .for_each(|result| {
            if let Err(Error::ObjectNotFound(object)) = result {
                let object: ObjectRef<K> = object.into_kind_unchecked(());
                context.backoff.forget(&object.to_string());
                K::counted(Some(&object), &context);
            }
            std::future::ready(())
        })
        .await;
}

/// One reconcile, in a task of its own, so that a bug in it harms no other object.
async fn guarded<K: Kind>(object: Arc<K>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    // Never closed. Without a permit the work is done all the same.
    let _permit = context.permits.acquire().await.ok();
    let span = info_span!(
        "reconcile",
        kind = %K::kind(&()),
        namespace = object.namespace(),
        name = object.name_any(),
        generation = object.meta().generation,
    );
    let begun = Instant::now();
    let task = tokio::spawn(object.clone().reconcile(Arc::clone(&context)).instrument(span.clone()));
    let result = AbortOnDropHandle::new(task).await.unwrap_or(Err(ReconcileError::Panicked));
    let outcome = match &result {
        Ok(_) => ReconcileResult::Success,
        Err(error) if error.retry() => ReconcileResult::Failure,
        Err(_) => ReconcileResult::Invalid,
    };
    context.metrics.reconciled(K::CONTROLLER, outcome, begun.elapsed());
    match &result {
        Ok(_) => {
            context.backoff.forget(&ObjectRef::from_obj(&*object).to_string());
            tracing::debug!(parent: &span, "reconciled");
        }
        Err(error) => {
            context.metrics.failed(error.reason());
            tracing::warn!(parent: &span, reason = %error.reason(), %error, "the reconcile did not come to its end");
        }
    }
    K::counted(None, &context);
    result
}

/// When a failed reconcile is tried again.
fn retry<K: Kind>(object: &K, error: &ReconcileError, context: &Context) -> Action {
    let key = ObjectRef::from_obj(object).to_string();
    Action::requeue(if error.retry() {
        context.backoff.failed(&key)
    } else {
        spread(context.installation.resync, &key, 0)
    })
}
