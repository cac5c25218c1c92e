//! A cluster, as the kubectl context says, and one namespace of it.
//!
//! Owns the client, the deadline of every request and what errors say. It writes nothing but what `keys` does, and a key
//! passes through it only where a command was asked for it.

pub(crate) mod access;
mod connect;
pub(crate) mod dry_run;
mod error;
pub(crate) mod keys;
mod lookup;
pub(crate) mod port_forward;

#[cfg(test)]
pub(crate) mod fake;

pub(crate) use error::ClusterError;
pub(crate) use lookup::{did_you_mean, is_current};

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use std::future::Future;
use std::time::Duration;

/// Longest time for one answer of the API server, retries included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Most objects that one list returns.
pub(crate) const LIST_LIMIT: u32 = 500;
/// Who writes, in the managed fields of the API server.
pub(crate) const FIELD_MANAGER: &str = "headgate-cli";

/// A cluster and one namespace of it.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    namespace: String,
}

impl Cluster {
    /// The namespace `namespace` of the cluster behind `client`.
    pub(crate) fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// The namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The client, for what has no namespace.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Objects of one kind in the namespace.
    pub(crate) fn objects<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// Waits for an answer of the API server. `action` completes "failed to …".
    pub(crate) async fn ask<T>(
        &self,
        action: &str,
        answer: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ClusterError> {
        match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|error| ClusterError::judge(action, error)),
            Err(_) => Err(ClusterError::Unreachable {
                action: action.to_owned(),
                cause: format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()),
            }),
        }
    }
}
