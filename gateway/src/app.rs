//! A gateway process: build everything, run until told to stop, drain.
//!
//! Configuration errors come before any socket; sockets are bound before anything is served; the order of stopping lives
//! here and nowhere else.

use crate::config::{Config, follow};
use crate::endpoint::Endpoint;
use crate::http::Streams;
use crate::http::serve;
use crate::http::tls::{Tls, TlsError};
use crate::metrics::Metrics;
use crate::source::SourceError;
use crate::supervision::Alive;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use headgate_process::admin::{self, Admin};
use headgate_process::{Latch, Readiness, build_info};
use headgate_wire::config::{AuthMode, Listeners};
use prometheus_client::registry::Registry;
use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No stream is configured.
    #[error("nothing to serve: no stream is configured")]
    NoStream,
    /// Two streams have the same name.
    #[error("app `{0}` is configured twice; every stream of one gateway needs a name of its own")]
    DuplicateApp(String),
    /// A port cannot be had.
    #[error("cannot listen on {address} ({what}): {error}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// Which listener.
        what: &'static str,
        /// The system's words.
        error: io::Error,
    },
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Kafka settings.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// A gateway that is bound and connecting, but does not answer yet.
#[derive(Debug)]
pub struct App {
    endpoints: Vec<Arc<Endpoint>>,
    /// What holds readiness back until tokens can be checked, by endpoint; `None` where clients can come without.
    providers: Vec<Option<Latch>>,
    stream: TcpListener,
    admin: TcpListener,
    stream_address: SocketAddr,
    admin_address: SocketAddr,
    tls: Option<Arc<Tls>>,
    readiness: Readiness,
    serving: Latch,
    registry: Registry,
}

impl App {
    /// Builds a gateway; the first configuration's listeners serve all streams. Dev mode has several, a pod has one.
    ///
    /// # Errors
    /// [`BuildError`], before anything is served.
    pub async fn build(configs: Vec<Config>) -> Result<Self, BuildError> {
        let listeners = configs.first().ok_or(BuildError::NoStream)?.wire.listeners.clone();
        let Listeners { stream, admin, tls } = listeners;
        let tls = tls.map(Tls::load).transpose()?.map(Arc::new);
        let (stream, stream_address) = bound("stream", stream, serve::bind(stream))?;
        let (admin, admin_address) = bound("admin", admin, TcpListener::bind(admin).await)?;

        let mut registry = Registry::with_prefix("headgate");
        build_info::register(&mut registry);
        let metrics = Metrics::register(&mut registry);
        let readiness = Readiness::new();
        let serving = readiness.latch("not draining");
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::new();
        let mut providers = Vec::new();
        for config in configs {
            let app = config.wire.app.clone();
            if endpoints.iter().any(|endpoint| endpoint.app() == app) {
                return Err(BuildError::DuplicateApp(app));
            }
            providers.push((config.wire.auth.mode == AuthMode::Oidc).then(|| readiness.latch("oidc")));
            let endpoint = Endpoint::start(config, shards, metrics.of(&app), readiness.latch("kafka"))?;
            endpoint.authenticator.register(registry.sub_registry_with_label(("app".into(), app.into())));
            endpoints.push(Arc::new(endpoint));
        }
        Ok(Self {
            endpoints,
            providers,
            stream,
            admin,
            stream_address,
            admin_address,
            tls,
            readiness,
            serving,
            registry,
        })
    }

    /// Where clients connect.
    pub fn stream_address(&self) -> SocketAddr {
        self.stream_address
    }

    /// Where probes connect.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Tells when the gateway can serve clients; keep it before [`App::run`] takes the app.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Serves until `shutdown`, then drains.
    ///
    /// # Errors
    /// If the admin port fails, or a thread has died.
    pub async fn run(self, shutdown: CancellationToken) -> io::Result<()> {
        let stop = CancellationToken::new();
        let status = status_of(self.endpoints.clone(), self.readiness.clone());
        let router = Admin::new(self.readiness.clone(), Arc::new(self.registry), status).router();
        let admin = tokio::spawn(admin::serve(self.admin, router, stop.clone()));
        for (endpoint, provider) in self.endpoints.iter().zip(self.providers) {
            // Subscribed before the file is followed, so that no change is missed.
            let changes = endpoint.authenticator.changes();
            let watched = |name: &str, task| supervised(endpoint.supervision.alive(name), task);
            watched("revocation", follow_keys(endpoint.clone(), changes, stop.clone()).boxed());
            let authenticator = &endpoint.authenticator;
            watched("keys file", authenticator.clone().follow_keys_file(stop.clone()).boxed());
            watched("provider", authenticator.clone().follow_provider(provider, stop.clone()).boxed());
            if let Some(file) = endpoint.config.file.clone() {
                let (config, authenticator) = (endpoint.config.clone(), authenticator.clone());
                watched("configuration", follow::follow(file, config, authenticator, stop.clone()).boxed());
            }
        }
        if let Some(tls) = &self.tls {
            // The listeners are those of the first configuration.
            let files = self.endpoints.first().map(|endpoint| endpoint.authenticator.files().clone());
            tokio::spawn(tls.clone().follow_files(files.unwrap_or_default(), stop.clone()));
        }
        let streams = Streams(self.endpoints.clone().into());
        let mut serving = tokio::spawn(serve::serve(self.stream, streams, self.tls, stop.clone()));
        self.serving.release();
        tracing::info!(stream = %self.stream_address, admin = %self.admin_address, "gateway is listening");

        let endpoints = self.endpoints.clone();
        let death =
            futures_util::future::select_all(endpoints.iter().map(|endpoint| Box::pin(endpoint.supervision.death())));
        let outcome = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            _ = death => Err(io::Error::other("a thread of the gateway has died; the log says which")),
            _ = &mut serving => Err(io::Error::other("the stream port has died")),
        };
        self.serving.arm();
        tracing::info!("draining");
        for endpoint in &self.endpoints {
            endpoint.supervision.stopping();
        }
        futures_util::future::join_all(self.endpoints.iter().map(|endpoint| endpoint.drain())).await;
        stop.cancel();
        // Both end with `stop`; a panic in them has been reported by the runtime.
        if !serving.is_finished() {
            let _ = serving.await;
        }
        stop_threads(self.endpoints).await;
        outcome.and(admin.await.unwrap_or(Ok(())))
    }
}

/// Runs a task whose panic nobody else would notice: what it follows would stay as it is.
fn supervised(alive: Alive, task: BoxFuture<'static, ()>) {
    tokio::spawn(async move {
        task.await;
        alive.end();
    });
}

/// Closes sockets whose keys are gone, as soon as the keys change.
async fn follow_keys(endpoint: Arc<Endpoint>, mut changes: watch::Receiver<u64>, stop: CancellationToken) {
    while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
        endpoint.revalidate().await;
    }
}

async fn stop_threads(endpoints: Vec<Arc<Endpoint>>) {
    let stopping = tokio::task::spawn_blocking(move || {
        for endpoint in endpoints {
            endpoint.stop();
        }
    });
    if let Err(error) = stopping.await {
        tracing::error!(%error, "stopping failed");
    }
}

fn bound(
    what: &'static str,
    address: SocketAddr,
    result: io::Result<TcpListener>,
) -> Result<(TcpListener, SocketAddr), BuildError> {
    let failed = |error| BuildError::Bind { address, what, error };
    let listener = result.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

fn status_of(endpoints: Vec<Arc<Endpoint>>, readiness: Readiness) -> impl Fn() -> serde_json::Value {
    move || {
        let streams: Vec<_> = endpoints
            .iter()
            .map(|endpoint| {
                json!({
                    "app": endpoint.app(),
                    "topic": endpoint.config.wire.kafka.topic,
                    "kafka": endpoint.source.status.report(),
                    "oidc": endpoint.authenticator.provider_report(),
                    "filesNotInForce": endpoint.authenticator.files().report(),
                    "configurationWaitsForRestart": endpoint.authenticator.files().waiting_for_restart(),
                    "connections": endpoint.connections(),
                    "draining": endpoint.is_draining(),
                })
            })
            .collect();
        json!({ "version": build_info::VERSION, "ready": readiness.is_ready(), "missing": readiness.missing(), "streams": streams })
    }
}
