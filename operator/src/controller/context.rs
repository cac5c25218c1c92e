//! What every reconcile is given: the client, the settings, and everything that is not the same every time.
//!
//! Owns the seams at which tests put a fixed clock, known entropy and pods that answer without a network. Must never hold
//! anything that a restart could not lose: what must last is in the cluster.

use super::backoff::Backoff;
use super::pulse::Pulses;
use crate::keys::Entropy;
use crate::metrics::Metrics;
use crate::probe::{HttpProbe, Probe};
use crate::settings::Settings;
use headgate_crds::StreamEndpoint;
use jiff::Timestamp;
use kube::Client;
use kube::core::DeserializeGuard;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::Store;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore, watch};

/// Name under which events are reported.
const REPORTER: &str = "headgate-operator";

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Yields what nobody can guess, or an error where the system has none.
pub type EntropySource = Arc<dyn Fn() -> Result<Entropy, getrandom::Error> + Send + Sync>;

/// What this installation of the operator is: where it runs, and what it looks after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Namespace of the operator's own pod.
    pub namespace: String,
    /// Name of this replica, unique among them.
    pub identity: String,
    /// Namespaces whose endpoints are looked after; empty = all.
    pub watch_namespaces: Vec<String>,
    /// Longest time without looking at an endpoint, in case that a change was missed.
    pub resync: Duration,
    /// Endpoints that are worked on at once.
    pub concurrency: u16,
}

impl Installation {
    /// Whether the operator looks after the whole cluster. Only then may it read Namespaces.
    pub fn cluster_wide(&self) -> bool {
        self.watch_namespaces.is_empty()
    }
}

impl Default for Installation {
    /// The whole cluster, with the defaults of the command line.
    fn default() -> Self {
        Self {
            namespace: "headgate".to_owned(),
            identity: "headgate-operator".to_owned(),
            watch_namespaces: Vec::new(),
            resync: Duration::from_mins(5),
            concurrency: 16,
        }
    }
}

/// Which APIs the cluster has beyond Kubernetes' own. Discovery finds out, again and again; clones share the answer.
#[derive(Debug, Clone)]
pub struct OptionalApis {
    http_route: Arc<watch::Sender<bool>>,
}

impl OptionalApis {
    /// Whether there are HTTPRoutes (`gateway.networking.k8s.io/v1`).
    pub fn http_route(&self) -> bool {
        *self.http_route.borrow()
    }

    /// What discovery found.
    pub fn set_http_route(&self, present: bool) {
        self.http_route.send_replace(present);
    }

    /// Waits until there are HTTPRoutes.
    pub(crate) async fn http_route_present(&self) {
        // The sender is ours, so that waiting cannot end in another way.
        let _ = self.http_route.subscribe().wait_for(|present| *present).await;
    }
}

impl Default for OptionalApis {
    /// None, until discovery has looked.
    fn default() -> Self {
        Self { http_route: Arc::new(watch::Sender::new(false)) }
    }
}

/// What the watches of the controllers have seen. Each is set once, when its watch begins.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// One for each namespace that is watched, or one for all.
    pub(crate) endpoints: OnceLock<Vec<Store<DeserializeGuard<StreamEndpoint>>>>,
    /// Set when all of them have seen what there was when they began.
    pub(crate) settled: OnceCell<()>,
}

/// Everything that a reconcile needs beside the object.
pub struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) installation: Installation,
    pub(crate) optional_apis: OptionalApis,
    pub(crate) metrics: Metrics,
    pub(crate) probe: Arc<dyn Probe>,
    pub(crate) recorder: Recorder,
    pub(crate) backoff: Backoff,
    pub(crate) pulses: Pulses,
    pub(crate) watched: Watched,
    /// Bounds the work over all namespaces, each of which has a controller of its own.
    pub(crate) permits: Semaphore,
    clock: Clock,
    entropy: EntropySource,
}

impl Context {
    /// With the system's clock and entropy, and pods that are asked over the network.
    pub fn new(client: Client, settings: Settings, installation: Installation) -> Self {
        let reporter = Reporter { controller: REPORTER.to_owned(), instance: Some(installation.identity.clone()) };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            settings,
            permits: Semaphore::new(usize::from(installation.concurrency.max(1))),
            installation,
            optional_apis: OptionalApis::default(),
            metrics: Metrics::default(),
            probe: Arc::new(HttpProbe::default()),
            backoff: Backoff::default(),
            pulses: Pulses::default(),
            watched: Watched::default(),
            clock: Arc::new(Timestamp::now),
            entropy: Arc::new(system_entropy),
        }
    }

    /// Counts into these metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Learns from discovery, which keeps the other half.
    #[must_use]
    pub fn with_optional_apis(self, optional_apis: OptionalApis) -> Self {
        Self { optional_apis, ..self }
    }

    /// With another clock.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// With entropy that a test knows.
    #[must_use]
    pub fn with_entropy(self, entropy: impl Fn() -> Entropy + Send + Sync + 'static) -> Self {
        Self { entropy: Arc::new(move || Ok(entropy())), ..self }
    }

    /// With pods that answer in another way.
    #[must_use]
    pub fn with_probe(self, probe: Arc<dyn Probe>) -> Self {
        Self { probe, ..self }
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// What nobody can guess.
    pub(crate) fn entropy(&self) -> Result<Entropy, getrandom::Error> {
        (self.entropy)()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("installation", &self.installation).finish_non_exhaustive()
    }
}

fn system_entropy() -> Result<Entropy, getrandom::Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(Entropy { id: getrandom::u64()?, secret })
}
