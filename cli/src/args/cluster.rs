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

    /// An endpoint of this cluster and namespace, in the words of a command line.
    pub(crate) fn words_for(&self, name: &str) -> String {
        let mut words = name.to_owned();
        let kubeconfig = self.kubeconfig.as_ref().map(|path| path.display().to_string());
        let options = [("-n", &self.namespace), ("--context", &self.context), ("--kubeconfig", &kubeconfig)];
        for (option, value) in options {
            if let Some(value) = value {
                words = format!("{words} {option} {value}");
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_named_with_the_options_that_were_given_and_no_others() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(ClusterArgs::default().words_for("orders"), "orders");
        let given = ClusterArgs { namespace: text("shop"), context: text("east"), kubeconfig: Some("k.yaml".into()) };
        assert_eq!(given.words_for("orders"), "orders -n shop --context east --kubeconfig k.yaml");
    }
}
