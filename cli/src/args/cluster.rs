//! Which cluster, and which namespace of it: the options that every command against a cluster shares.

use clap::Args;
use std::path::PathBuf;

/// Which cluster and namespace. Commands without another `-n` accept it for `--namespace`, as kubectl does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// Namespace of the endpoint; absent = that of the kubectl context
    #[arg(short = 'N', long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,

    /// Context of the kubeconfig; absent = the current one
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// Kubeconfig file; absent = $KUBECONFIG, ~/.kube/config, or within a pod its ServiceAccount
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

impl ClusterArgs {
    /// Whether one of them was given, so that a cluster is meant.
    pub(crate) fn is_given(&self) -> bool {
        *self != Self::default()
    }
}
