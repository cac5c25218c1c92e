//! Notices when a gateway pod's view of Kafka or of the identity provider changes, which no watch can show: pods go on
//! serving while those are away, so that nothing about them changes in the API server.
//!
//! Owns what each pod said last. Asks the pods only, never the API server, so that it costs the cluster nothing. Must
//! never write or judge anything: it only names endpoints that have to be looked at.

use super::Context;
use crate::dereference::{MAX_ASKED, ask};
use crate::probe::{GatewayPod, PodReport, PodState};
use futures_util::{Stream, StreamExt as _, stream};
use headgate_crds::StreamEndpoint;
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often pods are asked.
const PULSE: Duration = Duration::from_secs(15);

/// What the pods of every endpoint said when they were last asked. At most one entry for each endpoint that exists.
#[derive(Debug, Default)]
pub(crate) struct Pulses {
    endpoints: Mutex<HashMap<Key, Pulse>>,
}

/// Namespace and name of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    namespace: String,
    name: String,
}

#[derive(Debug, Clone)]
struct Pulse {
    app: String,
    /// Where each pod is asked, and what it told.
    pods: Vec<(SocketAddr, Option<PodState>)>,
}

impl Pulses {
    /// What a reconcile has just learned from the pods of the endpoint.
    pub(crate) fn remember(&self, endpoint: &StreamEndpoint, pods: &[GatewayPod]) {
        let told = |pod: &GatewayPod| Some((pod.admin?, pod.report.as_ref().map(PodReport::state)));
        let pods: Vec<_> = pods.iter().filter(|pod| !pod.terminating).filter_map(told).collect();
        let key = Key { namespace: endpoint.namespace().unwrap_or_default(), name: endpoint.name_any() };
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if pods.is_empty() {
            endpoints.remove(&key);
        } else {
            endpoints.insert(key, Pulse { app: endpoint.spec.app.to_string(), pods });
        }
    }

    /// The endpoint is gone.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    fn known(&self, namespace: Option<&str>) -> Vec<(Key, Pulse)> {
        let endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let within = |key: &Key| namespace.is_none_or(|namespace| key.namespace == namespace);
        endpoints.iter().filter(|(key, _)| within(key)).map(|(key, pulse)| (key.clone(), pulse.clone())).collect()
    }
}

/// The endpoints, of one namespace or of all, whose pods say something else than at the last reconcile. Never ends.
pub(crate) fn changes(
    context: Arc<Context>,
    namespace: Option<String>,
) -> impl Stream<Item = ObjectRef<DeserializeGuard<StreamEndpoint>>> {
    let mut ticks = interval(PULSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold((context, namespace, ticks), |(context, namespace, mut ticks)| async move {
        ticks.tick().await;
        let changed = changed(&context, namespace.as_deref()).await;
        Some((stream::iter(changed), (context, namespace, ticks)))
    })
    .flatten()
}

async fn changed(context: &Context, namespace: Option<&str>) -> Vec<ObjectRef<DeserializeGuard<StreamEndpoint>>> {
    let known = context.pulses.known(namespace);
    let differs = async |(key, pulse): (Key, Pulse)| {
        for (address, told) in pulse.pods {
            let report = ask(context, address, &pulse.app).await;
            if report.as_ref().map(PodReport::state) != told {
                return Some(ObjectRef::new(&key.name).within(&key.namespace));
            }
        }
        None
    };
    stream::iter(known).map(differs).buffer_unordered(MAX_ASKED).filter_map(std::future::ready).collect().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::Installation;
    use crate::probe::{Asked, PodReport, Probe, ProbeError};
    use crate::settings::Settings;

    /// Every pod says this, or nothing.
    #[derive(Debug)]
    struct Says(Option<&'static str>);

    impl Probe for Says {
        fn ask<'a>(&'a self, address: SocketAddr, _: &'a str) -> Asked<'a> {
            let report = |state: &str| PodReport {
                kafka_state: state.to_owned(),
                kafka_reason: None,
                provider_problem: None,
                connections: 0,
            };
            let answer = self.0.map(report).ok_or(ProbeError::Timeout(address));
            Box::pin(std::future::ready(answer))
        }
    }

    fn context(says: Option<&'static str>) -> Context {
        let client = kube::Client::new(axum::Router::new(), "default");
        Context::new(client, Settings::default(), Installation::default()).with_probe(Arc::new(Says(says)))
    }

    fn remember(context: &Context, namespace: &str, state: &str) {
        let endpoint: StreamEndpoint = serde_json::from_value(serde_json::json!({
            "apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint",
            "metadata": {"namespace": namespace, "name": "orders"},
            "spec": {"app": "orders", "topic": "orders", "auth": {"mode": "ApiKey"}},
        }))
        .unwrap();
        let pod = GatewayPod {
            name: "orders-gateway-1-2".to_owned(),
            uid: "1".to_owned(),
            ready: true,
            terminating: false,
            template_hash: None,
            config_hash: None,
            reload_hash: None,
            deletion_cost: None,
            waiting: None,
            admin: Some(([127, 0, 0, 1], 9090).into()),
            report: Some(PodReport {
                kafka_state: state.to_owned(),
                kafka_reason: None,
                provider_problem: None,
                connections: 0,
            }),
        };
        context.pulses.remember(&endpoint, &[pod]);
    }

    #[tokio::test]
    async fn an_endpoint_whose_pods_lose_kafka_is_looked_at() {
        for (says, expected) in [(Some("Unreachable"), 1), (None, 1), (Some("Reading"), 0)] {
            let context = context(says);
            remember(&context, "shop", "Reading");
            assert_eq!(changed(&context, None).await.len(), expected, "{says:?}");
        }
    }

    #[tokio::test]
    async fn each_controller_looks_after_its_own_namespace() {
        let context = context(None);
        remember(&context, "shop", "Reading");
        remember(&context, "bank", "Reading");
        assert_eq!(changed(&context, Some("bank")).await, [ObjectRef::new("orders").within("bank")]);
        context.pulses.forget("bank", "orders");
        assert_eq!(changed(&context, Some("bank")).await, []);
    }
}
