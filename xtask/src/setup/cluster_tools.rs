//! The published programs that the tests of the chart and of the scale use.

use std::path::PathBuf;

use anyhow::Result;

use super::go;

/// A program, the variable that tells the tests where it is, and the version that we use.
#[derive(Debug)]
pub(super) struct Tool {
    /// For the developer, and for the entry of the cache: both Helms are called `helm`.
    pub(super) name: &'static str,
    pub(super) variable: &'static str,
    package: &'static str,
    version: &'static str,
}

pub(super) const ALL: [Tool; 4] = [
    Tool { name: "helm3", variable: "HEADGATE_HELM3", package: "helm.sh/helm/v3/cmd/helm", version: "v3.22.0" },
    Tool { name: "helm4", variable: "HEADGATE_HELM4", package: "helm.sh/helm/v4/cmd/helm", version: "v4.3.1" },
    Tool {
        name: "kubeconform",
        variable: "HEADGATE_KUBECONFORM",
        package: "github.com/yannh/kubeconform/cmd/kubeconform",
        version: "v0.8.0",
    },
    Tool { name: "kwok", variable: "HEADGATE_KWOK", package: "sigs.k8s.io/kwok/cmd/kwok", version: "v0.8.0" },
];

impl Tool {
    /// Gives the program.
    pub(super) fn set_up(&self) -> Result<PathBuf> {
        go::install(self.name, self.package, self.version)
    }
}
