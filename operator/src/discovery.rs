//! Which APIs the cluster serves: ours, without which nothing can be done, and those that we can do without.
//!
//! Asks the discovery endpoints, which every service account may read, so that it needs no right on CustomResourceDefinitions.
//! Owns the waiting and what is said meanwhile. An API that is missing is waited for, and never the end of the process.

use crate::controller::OptionalApis;
use headgate_crds::API_VERSION;
use headgate_process::{Latch, Readiness};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::Client;
use std::fmt;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Time between two looks while something is missing.
const RETRY: Duration = Duration::from_secs(2);
/// Time between two looks once everything is there; also, how often what is missing is said again.
const RECHECK: Duration = Duration::from_mins(1);
/// Time for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Version of the Gateway API with the routes that we make.
const GATEWAY_API_VERSION: &str = "gateway.networking.k8s.io/v1";
/// Plural of the HTTPRoute.
const HTTP_ROUTES: &str = "httproutes";

/// The resources that we need, as [`API_VERSION`] serves them.
const OURS: [&str; 2] = ["streamendpoints", "kafkaconnections"];
/// Names of the latches for [`OURS`], as `/readyz` shows them.
const LATCHES: [&str; 2] =
    ["CustomResourceDefinition streamendpoints.headgate.dev", "CustomResourceDefinition kafkaconnections.headgate.dev"];

/// Looks which APIs are served, and keeps the readiness and the [`OptionalApis`] true.
pub struct Discovery {
    client: Client,
    api_server: Latch,
    ours: [Latch; 2],
    optional: OptionalApis,
}

/// What one look has found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// For each of [`OURS`].
    ours: [bool; 2],
    /// Versions of our group that are served, if the one that we need is not.
    other_versions: Vec<String>,
    http_routes: bool,
}

/// Why the API server could not be asked.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("it did not answer in time")]
    Timeout,
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// What is missing, and what to do about it.
struct Missing<'f>(&'f Found);

impl Discovery {
    /// Holds the readiness back until our APIs are served.
    pub fn new(client: Client, readiness: &Readiness) -> Self {
        Self {
            client,
            api_server: readiness.latch("Kubernetes API server"),
            ours: LATCHES.map(|name| readiness.latch(name)),
            optional: OptionalApis::default(),
        }
    }

    /// The optional APIs, which stay true while [`Self::recheck`] runs.
    pub fn optional_apis(&self) -> OptionalApis {
        self.optional.clone()
    }

    /// Waits until our APIs are served, and says what it is waiting for whenever that changes and once a minute.
    pub async fn wait(&self) {
        let mut said = String::new();
        let mut since = RECHECK;
        loop {
            let waiting = match self.look().await {
                Ok(found) if self.note(&found) => return,
                Ok(found) => Missing(&found).to_string(),
                Err(error) => format!("cannot ask the API server which APIs it serves: {error}"),
            };
            if said != waiting || since >= RECHECK {
                tracing::warn!("{waiting}");
                (said, since) = (waiting, Duration::ZERO);
            }
            sleep(RETRY).await;
            since += RETRY;
        }
    }

    /// Looks again every minute, until the shutdown.
    pub async fn recheck(self, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(sleep(RECHECK)).await.is_some() {
            match self.look().await {
                Ok(found) if self.note(&found) => {}
                Ok(found) => tracing::error!("{}", Missing(&found)),
                // What was there is taken to be there still.
                Err(error) => tracing::warn!(%error, "cannot ask the API server which APIs it serves"),
            }
        }
    }

    /// Tells everybody what was found, and returns whether nothing is missing.
    fn note(&self, found: &Found) -> bool {
        self.api_server.release();
        for (latch, served) in self.ours.iter().zip(found.ours) {
            if served { latch.release() } else { latch.arm() }
        }
        if self.optional.http_route() != found.http_routes {
            tracing::info!(served = found.http_routes, "HTTPRoutes ({GATEWAY_API_VERSION})");
        }
        self.optional.set_http_route(found.http_routes);
        found.ours.iter().all(|served| *served)
    }

    async fn look(&self) -> Result<Found, LookError> {
        let ours = self.resources(API_VERSION).await?;
        let gateway = self.resources(GATEWAY_API_VERSION).await?;
        let served = |list: &Option<APIResourceList>, plural: &str| {
            list.as_ref().is_some_and(|list| list.resources.iter().any(|resource| resource.name == plural))
        };
        let other_versions = if ours.is_none() { self.versions().await? } else { Vec::new() };
        Ok(Found {
            ours: OURS.map(|plural| served(&ours, plural)),
            other_versions,
            http_routes: served(&gateway, HTTP_ROUTES),
        })
    }

    /// The resources of a group and version, if they are served.
    async fn resources(&self, api_version: &str) -> Result<Option<APIResourceList>, LookError> {
        let answer = timeout(ANSWER, self.client.list_api_group_resources(api_version)).await;
        unless_missing(answer.map_err(|_| LookError::Timeout)?)
    }

    /// The versions of our group that are served.
    async fn versions(&self) -> Result<Vec<String>, LookError> {
        let groups = timeout(ANSWER, self.client.list_api_groups()).await.map_err(|_| LookError::Timeout)??.groups;
        let ours = groups.into_iter().find(|group| API_VERSION.split('/').next() == Some(group.name.as_str()));
        Ok(ours.into_iter().flat_map(|group| group.versions).map(|version| version.version).collect())
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").field("optional", &self.optional).finish_non_exhaustive()
    }
}

fn unless_missing<T>(answer: Result<T, kube::Error>) -> Result<Option<T>, LookError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing: Vec<&str> =
            LATCHES.iter().zip(self.0.ours).filter(|(_, served)| !served).map(|(name, _)| *name).collect();
        write!(f, "waiting for {}: {API_VERSION} does not have it", missing.join(" and "))?;
        if !self.0.other_versions.is_empty() {
            write!(f, " (installed: {})", self.0.other_versions.join(", "))?;
        }
        f.write_str(
            "; install the definitions of this version, with the chart (crds.enabled=true) or with \
             `kubectl apply --server-side -f crds/yaml`",
        )
    }
}

#[cfg(test)]
pub(crate) mod tests;
