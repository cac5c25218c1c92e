//! From the kubeconfig to a client, as kubectl does it: file, context, namespace, proxy.

use super::{Cluster, ClusterError, did_you_mean};
use crate::args::ClusterArgs;
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use std::time::Duration;

/// Longest time for a connection to the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What every pod has that may talk to its API server.
const WITHIN_A_POD: &str = "KUBERNETES_SERVICE_HOST";

impl Cluster {
    /// The cluster and namespace that `args` and the kubeconfig say. Nothing is sent yet.
    pub(crate) async fn connect(args: &ClusterArgs) -> Result<Self, ClusterError> {
        let mut config = config(args).await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| ClusterError::Setup(error.to_string()))?;
        Ok(Self::new(client, namespace))
    }
}

async fn config(args: &ClusterArgs) -> Result<Config, ClusterError> {
    let read = match &args.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        Err(error @ (KubeconfigError::FindPath | KubeconfigError::ReadConfig(..))) => {
            if args.kubeconfig.is_none() && args.context.is_none() && std::env::var_os(WITHIN_A_POD).is_some() {
                return Config::incluster().map_err(|error| ClusterError::Setup(error.to_string()));
            }
            return Err(ClusterError::NoKubeconfig(match error {
                KubeconfigError::ReadConfig(cause, path) => format!("{}: {cause}", path.display()),
                other => other.to_string(),
            }));
        }
        Err(error) => return Err(ClusterError::Kubeconfig(error)),
    };
    chosen(kubeconfig, args.context.as_deref()).await
}

async fn chosen(kubeconfig: Kubeconfig, context: Option<&str>) -> Result<Config, ClusterError> {
    let contexts: Vec<String> = kubeconfig.contexts.iter().map(|named| named.name.clone()).collect();
    let own_proxy = has_proxy(&kubeconfig, context);
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| match error {
        KubeconfigError::CurrentContextNotSet => ClusterError::NoContext(choices(&contexts)),
        KubeconfigError::LoadContext(context) => {
            let near = did_you_mean(&context, contexts.iter().map(String::as_str));
            let hint = near.unwrap_or_else(|| choices(&contexts));
            ClusterError::UnknownContext { context, hint }
        }
        other => ClusterError::Kubeconfig(other),
    })?;
    // The client library takes HTTPS_PROXY whatever NO_PROXY says of the API server.
    if !own_proxy && Matcher::from_env().intercept(&config.cluster_url).is_none() {
        config.proxy_url = None;
    }
    Ok(config)
}

fn choices(contexts: &[String]) -> String {
    if contexts.is_empty() { String::new() } else { format!(" (it has {})", contexts.join(", ")) }
}

/// Whether the cluster of the context names a proxy of its own.
fn has_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> bool {
    let current = context.or(kubeconfig.current_context.as_deref());
    let named = kubeconfig.contexts.iter().find(|named| Some(named.name.as_str()) == current);
    let cluster = named.and_then(|named| named.context.as_ref()).map(|context| context.cluster.as_str());
    let cluster = kubeconfig.clusters.iter().find(|named| Some(named.name.as_str()) == cluster);
    cluster.and_then(|named| named.cluster.as_ref()).is_some_and(|cluster| cluster.proxy_url.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "
apiVersion: v1
kind: Config
clusters:
- {name: one, cluster: {server: 'http://127.0.0.1:1'}}
- {name: two, cluster: {server: 'http://127.0.0.1:2', proxy-url: 'http://proxy:3128'}}
contexts:
- {name: testing, context: {cluster: one, namespace: shop}}
- {name: production, context: {cluster: two}}
";

    async fn config_of(text: &str, context: Option<&str>) -> Result<Config, String> {
        chosen(Kubeconfig::from_yaml(text).unwrap(), context).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_context_brings_its_server_its_namespace_and_its_proxy() {
        let testing = config_of(TWO, Some("testing")).await.unwrap();
        assert_eq!((testing.cluster_url.port_u16(), testing.default_namespace.as_str()), (Some(1), "shop"));
        let production = config_of(TWO, Some("production")).await.unwrap();
        assert_eq!(production.default_namespace, "default");
        assert_eq!(production.proxy_url.unwrap(), "http://proxy:3128");
    }

    #[tokio::test]
    async fn a_context_that_is_not_there_is_told_with_what_is() {
        let none = config_of(TWO, None).await.unwrap_err();
        assert!(none.ends_with("choose one with --context (it has testing, production)"), "{none}");
        let mistyped = config_of(TWO, Some("prodution")).await.unwrap_err();
        assert_eq!(mistyped, "the kubeconfig has no context \"prodution\": did you mean production?");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let args = ClusterArgs { kubeconfig: Some("/nonexistent/kubeconfig".into()), ..ClusterArgs::default() };
        let error = config(&args).await.map(|_| ()).unwrap_err();
        assert!(error.is_no_cluster() && error.to_string().contains("/nonexistent/kubeconfig"), "{error}");
    }
}
