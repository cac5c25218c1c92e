//! `cargo xtask setup`: the servers and tools that the tests use, installed once outside the checkout.
//!
//! A server that cannot be had is never passed over in silence: its tests count as skipped.

mod browser;
mod cluster_tools;
mod deny;
mod go;
mod kafka;
mod keycloak;
mod kubernetes;
mod needs;
mod npm;
mod python;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::progress;

pub(crate) use self::deny::cargo_deny;
pub(crate) use self::needs::{Need, ensure};

/// Where the servers are. What is `None` could not be had.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    kafka: Option<PathBuf>,
    python: Option<PathBuf>,
    browser: Option<browser::Browser>,
    provider: Option<PathBuf>,
    keycloak: Option<PathBuf>,
    kube: Option<PathBuf>,
    gateway_api: Option<PathBuf>,
    cluster_tools: Vec<(&'static str, PathBuf)>,
    nodes: Option<()>,
    missing: Vec<String>,
}

impl Servers {
    /// Finds or installs all of them.
    pub(crate) fn set_up() -> Self {
        let started = Instant::now();
        progress::headline("servers of the tests");
        let mut servers = Self::default();
        servers.kafka = servers.keep("Apache Kafka", kafka::set_up());
        servers.python = servers.keep("the Python packages", python::set_up());
        servers.browser = servers.keep("the browser", browser::set_up());
        servers.provider = servers.keep("the OpenID Connect provider", npm::install("oidc"));
        servers.keycloak = servers.keep("Keycloak", keycloak::set_up());
        servers.kube = servers.keep("Kubernetes", kubernetes::set_up());
        servers.gateway_api = servers.keep("the CRDs of the Gateway API", kubernetes::gateway_api());
        for tool in &cluster_tools::ALL {
            let program = servers.keep(tool.name, tool.set_up());
            servers.cluster_tools.extend(program.map(|program| (tool.variable, program)));
        }
        servers.nodes = servers.keep("nodes of our own", kubernetes::nodes());
        let word = if servers.missing.is_empty() { "ok" } else { "INCOMPLETE" };
        progress::verdict("servers of the tests", word, started);
        servers
    }

    fn keep<T>(&mut self, name: &str, outcome: Result<T>) -> Option<T> {
        outcome
            .inspect_err(|error| {
                progress::error(error);
                self.missing.push(name.to_owned());
            })
            .ok()
    }

    /// What could not be had.
    pub(crate) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// The features of the test package whose servers are there.
    pub(crate) fn features(&self) -> Vec<&'static str> {
        let providers = self.provider.is_some() && self.keycloak.is_some();
        let real = self.kafka.is_some() && self.python.is_some() && providers;
        let real = real.then_some("headgate-tests/real-servers");
        let browser = self.browser.is_some().then_some("headgate-tests/browser");
        let tools = self.cluster_tools.len() == cluster_tools::ALL.len();
        let cluster = self.kube.is_some() && self.gateway_api.is_some() && tools;
        let cluster = cluster.then_some("headgate-tests/cluster");
        let nodes = self.nodes.map(|()| "headgate-tests/nodes").filter(|_| cluster.is_some());
        let pods = nodes.is_some() || cluster.is_some() && kubernetes::existing().is_some();
        let pods = pods.then_some("headgate-tests/pods");
        let browser = browser.filter(|_| real.is_some());
        // The tests of the measuring program need no server, only the one system that it can be built for.
        let bench = cfg!(target_os = "linux").then_some("headgate-tests/bench");
        [real, browser, cluster, pods, nodes, bench].into_iter().flatten().collect()
    }

    /// Tells the tests where everything is.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.envs(self.variables());
    }

    fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        let kafka = self.kafka.clone().map(|path| ("HEADGATE_KAFKA_LIB", path));
        let python = self.python.clone().map(|path| ("HEADGATE_PYTHON", path));
        let browser = self.browser.iter().flat_map(|browser| {
            [("HEADGATE_CHROMIUM", browser.program.clone()), ("HEADGATE_PLAYWRIGHT", browser.modules.clone())]
        });
        let provider = self.provider.clone().map(|path| ("HEADGATE_OIDC_PROVIDER", path));
        let keycloak = self.keycloak.clone().map(|path| ("HEADGATE_KEYCLOAK", path));
        let kube = self.kube.clone().map(|path| ("HEADGATE_KUBE", path));
        let gateway_api = self.gateway_api.clone().map(|path| ("HEADGATE_GATEWAY_API", path));
        let tools = self.cluster_tools.iter().cloned();
        let servers = kafka.into_iter().chain(python).chain(browser).chain(provider).chain(keycloak);
        servers.chain(kube).chain(gateway_api).chain(tools).collect()
    }
}

pub(crate) fn run() -> Result<ExitCode> {
    ensure(&Need::ALL)?;
    let servers = Servers::set_up();
    cargo_deny()?;
    for (name, path) in servers.variables() {
        progress::result(&format_args!("export {name}='{}'", path.display()));
    }
    Ok(if servers.missing().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
