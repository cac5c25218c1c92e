//! Where the tools are that `cargo xtask setup` installs: it names them in environment variables.
//!
//! A missing tool is an error that says what to run; it is never a test that passes without having tested.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folder with the jars of Apache Kafka.
pub fn kafka_lib() -> Result<PathBuf> {
    path("HEADGATE_KAFKA_LIB")
}

/// The Python interpreter that has the packages of `tests/servers/python/requirements.txt`.
pub fn python() -> Result<PathBuf> {
    path("HEADGATE_PYTHON")
}

/// A Chromium browser.
pub fn chromium() -> Result<PathBuf> {
    path("HEADGATE_CHROMIUM")
}

/// The `node_modules` folder with playwright-core.
pub fn playwright() -> Result<PathBuf> {
    path("HEADGATE_PLAYWRIGHT")
}

/// The `node_modules` folder with oidc-provider.
pub fn oidc_provider() -> Result<PathBuf> {
    path("HEADGATE_OIDC_PROVIDER")
}

/// The home of a built Keycloak with an empty database.
pub fn keycloak() -> Result<PathBuf> {
    path("HEADGATE_KEYCLOAK")
}

/// The folder with Kubernetes: `bin/kube` (every component and kubectl), `bin/pause`, `bin/coredns`.
pub fn kube() -> Result<PathBuf> {
    path("HEADGATE_KUBE")
}

/// Helm 3.
pub fn helm3() -> Result<PathBuf> {
    path("HEADGATE_HELM3")
}

/// Helm 4.
pub fn helm4() -> Result<PathBuf> {
    path("HEADGATE_HELM4")
}

/// kubeconform, which checks manifests against schemas.
pub fn kubeconform() -> Result<PathBuf> {
    path("HEADGATE_KUBECONFORM")
}

/// kwok, which pretends to be nodes and pods.
pub fn kwok() -> Result<PathBuf> {
    path("HEADGATE_KWOK")
}

/// The folder with the CRDs of the Gateway API: `standard/*.yaml` and `experimental/*.yaml`.
pub fn gateway_api() -> Result<PathBuf> {
    path("HEADGATE_GATEWAY_API")
}

/// An existing cluster to use instead of one of our own.
pub fn kubeconfig_of_an_existing_cluster() -> Option<PathBuf> {
    std::env::var_os("HEADGATE_TEST_KUBECONFIG").filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn path(variable: &str) -> Result<PathBuf> {
    let value = std::env::var_os(variable);
    value.map(PathBuf::from).with_context(|| {
        format!(
            "{variable} is not set: run `cargo xtask test`, or `eval \"$(cargo xtask setup)\"` in this shell before"
        )
    })
}
