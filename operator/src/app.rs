//! The process: everything that can be wrong at the start is found before anything is changed; then wait for our APIs,
//! wait for the Lease, work, and end in order.
//!
//! A replica is ready when our APIs are served, whether or not it leads: the one that waits must not hold up a rollout.
//! Owns no step of a reconcile.

use crate::args::Options;
use crate::controller::{self, Context};
use crate::discovery::Discovery;
use crate::leader::{self, Elector, ElectorSettings, Leadership, TermError, Timing};
use crate::metrics::Metrics;
use headgate_process::admin::{self, Admin};
use headgate_process::{Readiness, build_info};
use kube::{Client, Config};
use prometheus_client::registry::Registry;
use serde_json::json;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Time for reconciles that are under way at a shutdown. With the request that gives the Lease back, it must stay below the
/// pod's grace period, which Kubernetes sets to 30 s.
const DRAIN: Duration = Duration::from_secs(20);
/// Longest silence of the API server within an answer: longer than a watch, which it ends by itself before.
const READ_TIMEOUT: Duration = Duration::from_secs(330);
/// Where Linux says the host's name, which is a pod's.
const HOSTNAME_FILE: &str = "/proc/sys/kernel/hostname";

/// An operator that has found everything it needs and has not begun.
#[derive(Debug)]
pub struct App {
    operation: Operation,
    listener: TcpListener,
    admin: Admin,
    identity: String,
}

/// What is done behind the admin port.
struct Operation {
    context: Context,
    discovery: Discovery,
    election: Option<(Elector, watch::Receiver<Leadership>)>,
    announcement: Option<Announcement>,
    metrics: Metrics,
}

/// What is made known once this replica leads.
struct Announcement {
    client: Client,
    namespace: String,
    lease: String,
    identity: String,
}

/// Why the operator does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No way to the API server is configured.
    #[error(
        "found no cluster: {0}; run within a pod that has a service account token, or set KUBECONFIG to a file whose \
         current context works"
    )]
    NoCluster(Box<kube::config::InferConfigError>),
    /// What was configured cannot be used.
    #[error("failed to prepare the connection to the API server")]
    Client(#[source] kube::Error),
    /// The host does not say its name.
    #[error("failed to learn the name of this host: set --identity or POD_NAME")]
    Identity(#[source] io::Error),
    /// The system has no randomness.
    #[error("the system yields no random numbers")]
    Entropy(#[from] getrandom::Error),
    /// The admin port is taken or not allowed.
    #[error("failed to listen at {address}: choose another address with --admin")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Cause.
        source: io::Error,
    },
    /// The admin port broke.
    #[error("the admin port failed")]
    Admin(#[source] io::Error),
    /// The term ended without a shutdown.
    #[error(transparent)]
    Term(#[from] TermError),
}

impl App {
    /// Finds the cluster and binds the admin port. Asks the cluster nothing.
    pub async fn build(options: &Options) -> Result<Self, AppError> {
        let config = Config::infer().await.map_err(|error| AppError::NoCluster(Box::new(error)))?;
        Self::with_config(options, config).await
    }

    async fn with_config(options: &Options, config: Config) -> Result<Self, AppError> {
        let namespace = options.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let identity = match &options.identity {
            Some(identity) => identity.clone(),
            None => std::fs::read_to_string(HOSTNAME_FILE).map_err(AppError::Identity)?.trim().to_owned(),
        };
        let clients = Clients::new(config)?;
        let mut registry = Registry::with_prefix("headgate");
        build_info::register(&mut registry);
        let metrics = Metrics::register(&mut registry);
        let readiness = Readiness::new();
        let discovery = Discovery::new(clients.work.clone(), &readiness);
        let context = Context::new(
            clients.work.clone(),
            options.settings(&namespace),
            options.installation(&namespace, &identity),
        )
        .with_metrics(metrics.clone())
        .with_optional_apis(discovery.optional_apis());
        let announcement = options.lease.clone().map(|lease| Announcement {
            client: clients.work,
            namespace: namespace.clone(),
            lease,
            identity: identity.clone(),
        });
        let election = election(options, clients.election, &namespace, &identity)?;
        let leadership = election.as_ref().map(|(_, leadership)| leadership.clone());
        let admin = Admin::new(readiness, Arc::new(registry), status(options, identity.clone(), leadership));
        let listener = TcpListener::bind(options.admin).await;
        let listener = listener.map_err(|source| AppError::Listen { address: options.admin, source })?;
        let operation = Operation { context, discovery, election, announcement, metrics };
        Ok(Self { operation, listener, admin, identity })
    }

    /// Where the admin port listens.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Works until the shutdown, or until it must not any longer.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), AppError> {
        let serving = CancellationToken::new();
        let admin = tokio::spawn(admin::serve(self.listener, self.admin.router(), serving.clone()));
        let mut admin = AbortOnDropHandle::new(admin);
        tracing::info!(version = build_info::VERSION, identity = self.identity, "operator started");
        let result = tokio::select! {
            result = self.operation.run(&shutdown) => result.map_err(AppError::from),
            broken = &mut admin => return Err(AppError::Admin(ended(broken))),
        };
        serving.cancel();
        result
    }
}

/// The connections to the API server.
struct Clients {
    work: Client,
    /// Of its own, so that renewals never queue behind work; it does not retry, because the elector does.
    election: Client,
}

impl Clients {
    fn new(mut config: Config) -> Result<Self, AppError> {
        config.read_timeout = Some(READ_TIMEOUT);
        config.reset_reader_on_write = true;
        let mut election = config.clone();
        election.default_retry = false;
        let client = |config| Client::try_from(config).map_err(AppError::Client);
        Ok(Self { work: client(config)?, election: client(election)? })
    }
}

fn election(
    options: &Options,
    client: Client,
    namespace: &str,
    identity: &str,
) -> Result<Option<(Elector, watch::Receiver<Leadership>)>, AppError> {
    let Some(lease) = options.lease.clone() else {
        tracing::warn!("without leader election: a second replica would do the same work again");
        return Ok(None);
    };
    let (namespace, identity) = (namespace.to_owned(), identity.to_owned());
    let settings = ElectorSettings { namespace, lease, identity, timing: Timing::default() };
    Ok(Some(Elector::new(client, settings)?))
}

/// What `/status` says.
fn status(
    options: &Options,
    identity: String,
    leadership: Option<watch::Receiver<Leadership>>,
) -> impl Fn() -> serde_json::Value + Send + Sync + 'static {
    let watched = options.watch_namespaces.clone();
    move || {
        let (leader, holder) = match leadership.as_ref().map(|leadership| leadership.borrow().clone()) {
            None | Some(Leadership::Leading) => (true, None),
            Some(Leadership::Waiting { holder }) => (false, holder),
            Some(Leadership::Ended) => (false, None),
        };
        json!({
            "version": build_info::VERSION,
            "identity": identity,
            "leader": leader,
            "waitingFor": holder,
            "watchedNamespaces": watched,
        })
    }
}

impl Operation {
    /// Waits for what the work needs, and works while this replica leads.
    async fn run(self, shutdown: &CancellationToken) -> Result<(), TermError> {
        let Self { context, discovery, election, announcement, metrics } = self;
        if shutdown.run_until_cancelled(discovery.wait()).await.is_none() {
            return Ok(());
        }
        let _rechecks = AbortOnDropHandle::new(tokio::spawn(discovery.recheck(shutdown.clone())));
        let result = leader::lead(election, shutdown, DRAIN, |stop| {
            metrics.set_leader(true);
            async move {
                let announced = async {
                    if let Some(Announcement { client, namespace, lease, identity }) = announcement {
                        leader::announce(client, &namespace, &lease, &identity).await;
                    }
                };
                let (worked, ()) = tokio::join!(controller::run(Arc::new(context), stop), announced);
                if let Err(error) = worked {
                    tracing::error!(%error, "the controllers broke");
                }
            }
        })
        .await;
        metrics.set_leader(false);
        result
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("context", &self.context).finish_non_exhaustive()
    }
}

/// What is said of an admin port that ended before the process.
fn ended(outcome: Result<io::Result<()>, tokio::task::JoinError>) -> io::Error {
    match outcome {
        Ok(Ok(())) => io::Error::other("it ended by itself"),
        Ok(Err(error)) => error,
        Err(error) => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests;
