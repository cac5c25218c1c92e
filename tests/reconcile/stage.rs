//! A cluster with one team, one Kafka connection and the operator's reconcile at hand, one call at a time.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use headgate_crds::StreamEndpoint;
use headgate_crds::names::ANNOTATION_CONFIG_HASH;
use headgate_operator::Settings;
use headgate_operator::apply::{self, ANNOTATION_APPLIED_HASH};
use headgate_operator::controller::{
    Context, Installation, OptionalApis, ReconcileError, STATUS_FIELD_MANAGER, reconcile,
};
use headgate_operator::keys::Entropy;
use headgate_operator::probe::{Asked, PodReport, Probe};
use headgate_operator::settings::{NetworkPolicySettings, PodSettings};
use headgate_tests::apiserver::ApiServer;
use headgate_tests::apiserver::kubelet::{self, Health};
use headgate_tests::apiserver::log::Log;
use jiff::{SignedDuration, Timestamp};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use crate::rights;

/// Namespace of the team.
pub(crate) const NAMESPACE: &str = "shop";
/// Its endpoint.
pub(crate) const NAME: &str = "orders";
/// Where the simulated pods are.
const POD_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
/// Most reconciles until nothing changes any more.
const MAX_ROUNDS: usize = 8;

/// The cluster and what the operator is told.
pub(crate) struct Stage {
    pub(crate) server: ApiServer,
    pub(crate) pods: Arc<Pods>,
    clock: Arc<Mutex<Timestamp>>,
    entropy: Arc<AtomicU64>,
}

/// What the simulated gateway pods say.
#[derive(Debug)]
pub(crate) struct Pods(Mutex<PodReport>);

impl Probe for Pods {
    fn ask<'a>(&'a self, _: SocketAddr, _: &'a str) -> Asked<'a> {
        let report = self.0.lock().unwrap().clone();
        Box::pin(async move { Ok(report) })
    }
}

impl Pods {
    /// From now on they say this.
    pub(crate) fn say(&self, kafka_state: &str, connections: u64) {
        *self.0.lock().unwrap() = report(kafka_state, connections);
    }
}

fn report(kafka_state: &str, connections: u64) -> PodReport {
    PodReport { kafka_state: kafka_state.to_owned(), kafka_reason: None, provider_problem: None, connections }
}

impl Stage {
    /// An empty cluster but for the team's namespace.
    pub(crate) fn empty() -> Self {
        let server = ApiServer::new();
        server.only_managers(&[apply::FIELD_MANAGER, STATUS_FIELD_MANAGER]);
        server.grant(rights::granted());
        server.namespace(NAMESPACE, json!({"streams": "enabled"}));
        let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        server.set_time(start);
        Self {
            server,
            pods: Arc::new(Pods(Mutex::new(report("Reading", 0)))),
            clock: Arc::new(Mutex::new(start)),
            entropy: Arc::default(),
        }
    }

    /// With a connection for the team's topics.
    pub(crate) fn new() -> Self {
        let stage = Self::empty();
        stage.server.put(connection()).unwrap();
        stage
    }

    /// With an endpoint as well, whose spec is changed before.
    pub(crate) fn with_endpoint(change: impl FnOnce(&mut Value)) -> Self {
        let stage = Self::new();
        let mut object = endpoint(NAME);
        change(&mut object["spec"]);
        stage.server.put(object).unwrap();
        stage
    }

    /// The same cluster once more, so that something else can happen to it.
    pub(crate) fn fork(&self) -> Self {
        Self {
            server: self.server.fork(),
            pods: Arc::new(Pods(Mutex::new(self.pods.0.lock().unwrap().clone()))),
            clock: Arc::new(Mutex::new(*self.clock.lock().unwrap())),
            entropy: Arc::new(AtomicU64::new(self.entropy.load(Ordering::Relaxed))),
        }
    }

    /// Everything that a reconcile is given, as a process has it that has just started.
    pub(crate) fn context(&self) -> Context {
        self.context_of(installation())
    }

    /// The same for another installation.
    pub(crate) fn context_of(&self, installation: Installation) -> Context {
        self.context_with(settings(), installation)
    }

    fn context_with(&self, settings: Settings, installation: Installation) -> Context {
        let optional = OptionalApis::default();
        optional.set_http_route(true);
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Context::new(self.server.client(), settings, installation)
            .with_optional_apis(optional)
            .with_probe(Arc::clone(&self.pods) as Arc<dyn Probe>)
            .with_clock(move || *clock.lock().unwrap())
            .with_entropy(move || {
                let id = entropy.fetch_add(1, Ordering::Relaxed) + 1;
                let mut secret = [7; 32];
                secret[..8].copy_from_slice(&id.to_be_bytes());
                Entropy { id, secret }
            })
    }

    /// The same for an installation that leaves network policies to others.
    pub(crate) fn context_without_network_policy(&self) -> Context {
        self.context_with(Settings { network_policy: None, ..settings() }, installation())
    }

    /// Time goes on.
    pub(crate) fn advance(&self, seconds: i64) {
        let mut now = self.clock.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
        self.server.set_time(*now);
    }

    /// One reconcile of the endpoint, by a process that has just started.
    pub(crate) async fn reconcile(&self) -> Result<Action, ReconcileError> {
        self.reconcile_with(NAME, self.context()).await
    }

    /// One reconcile of another endpoint of the namespace, or by another process.
    pub(crate) async fn reconcile_with(&self, name: &str, context: Context) -> Result<Action, ReconcileError> {
        // Its state is large, and so is that of the tests that wait for it.
        Box::pin(reconcile(self.endpoint(name), Arc::new(context))).await
    }

    /// One of several reconciles by the same process.
    pub(crate) async fn reconcile_shared(&self, context: Arc<Context>) -> Result<Action, ReconcileError> {
        Box::pin(reconcile(self.endpoint(NAME), context)).await
    }

    fn endpoint(&self, name: &str) -> Arc<DeserializeGuard<StreamEndpoint>> {
        let object = self.server.get("StreamEndpoint", NAMESPACE, name).expect("the endpoint exists");
        Arc::new(serde_json::from_value(object).unwrap())
    }

    /// One reconcile, and what it asked of the server.
    pub(crate) async fn logged(&self) -> Log {
        self.server.take_log();
        self.reconcile().await.unwrap();
        self.server.take_log()
    }

    /// Reconciles and lets pods come and go until nothing changes any more.
    pub(crate) async fn settle(&self) {
        for _ in 0..MAX_ROUNDS {
            let before = self.server.revision();
            self.reconcile().await.unwrap();
            kubelet::settle(&self.server, POD_ADDRESS, Health::Ready).unwrap();
            if self.server.revision() == before {
                return;
            }
        }
        panic!("something changes every time:\n{}", self.logged().await);
    }

    /// Changes the endpoint's spec.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) {
        self.server.edit("StreamEndpoint", NAMESPACE, NAME, |object| change(&mut object["spec"])).unwrap();
    }

    /// Annotates the endpoint.
    pub(crate) fn annotate(&self, annotation: &str, value: &str) {
        let change = |object: &mut Value| object["metadata"]["annotations"][annotation] = value.into();
        self.server.edit("StreamEndpoint", NAMESPACE, NAME, change).unwrap();
    }

    /// An object of the team's namespace.
    pub(crate) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        self.server.get(kind, NAMESPACE, name)
    }

    /// Status, reason and message of a condition of the endpoint.
    pub(crate) fn condition(&self, kind: &str) -> Option<(String, String, String)> {
        condition(&self.get("StreamEndpoint", NAME)?, kind)
    }

    /// Reason of the endpoint's `Ready`.
    pub(crate) fn reason(&self) -> String {
        self.condition("Ready").expect("Ready is always there").1
    }

    /// Every object whose controller is the endpoint: kind and name.
    pub(crate) fn children(&self) -> Vec<(String, String)> {
        let uid = self.get("StreamEndpoint", NAME).map(|endpoint| endpoint["metadata"]["uid"].clone());
        let owned = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| owners.iter().any(|owner| Some(&owner["uid"]) == uid.as_ref()))
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let objects = self.server.objects().into_iter().filter(owned);
        objects.map(|object| (text(&object["kind"]), text(&object["metadata"]["name"]))).collect()
    }

    /// The keys that were issued, by the name of their Secret.
    pub(crate) fn keys(&self) -> BTreeMap<String, String> {
        let secrets = self.server.list("Secret", NAMESPACE).into_iter();
        let keys = secrets.filter(|secret| secret["type"] == "headgate.dev/api-key");
        keys.map(|secret| (text(&secret["metadata"]["name"]), entry(&secret, "api-key"))).collect()
    }

    /// The key of tickets, in base64.
    pub(crate) fn ticket_key(&self) -> Option<String> {
        self.get("Secret", "orders-tickets").map(|secret| text(&secret["data"]["key"]))
    }
}

/// Status, reason and message of a condition of an object.
pub(crate) fn condition(object: &Value, kind: &str) -> Option<(String, String, String)> {
    let conditions = object["status"]["conditions"].as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == kind)?;
    Some((text(&condition["status"]), text(&condition["reason"]), text(&condition["message"])))
}

/// An entry of a Secret, decoded.
pub(crate) fn entry(secret: &Value, name: &str) -> String {
    let bytes = BASE64_STANDARD.decode(secret["data"][name].as_str().unwrap_or_default()).unwrap();
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The smallest endpoint.
pub(crate) fn endpoint(name: &str) -> Value {
    json!({
        "apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"app": name, "topic": "shop.orders", "auth": {"mode": "ApiKey"}, "publicAccess": {}},
    })
}

/// An endpoint with every child that one can have, but for Ingress and load balancer, which exclude the HTTPRoute.
pub(crate) fn everything(spec: &mut Value) {
    spec["replicas"] = 2.into();
    spec["auth"] = json!({
        "mode": "ApiKeyOrOIDC",
        "apiKeys": [{"name": "web", "filters": [{"exact": {"tenant": "shop"}}]}, {"name": "etl"}],
        "oidc": {"kubernetes": {}, "audiences": ["orders"]},
    });
    spec["publicAccess"] = json!({
        "exposure": "Gateway", "hostname": "orders.example.com",
        "gateway": {"parentRefs": [{"name": "public", "namespace": "edge"}]},
    });
}

/// The default connection, which allows the team's topics and every exposure, and logs in with a password.
pub(crate) fn connection() -> Value {
    json!({
        "apiVersion": "headgate.dev/v1alpha1", "kind": "KafkaConnection",
        "metadata": {"name": "platform", "annotations": {"headgate.dev/default-connection": "true"}},
        "spec": {
            "bootstrapServers": "kafka.kafka:9092",
            "allowed": [{
                "namespaces": {"selector": {"matchLabels": {"streams": "enabled"}}},
                "topics": ["{namespace}.*"],
                "guardrails": {
                    "exposures": ["ClusterLocal", "Gateway", "Ingress", "LoadBalancer"],
                    "hostnames": ["*.example.com"],
                },
            }],
        },
    })
}

/// A Secret with these texts.
pub(crate) fn secret(namespace: &str, name: &str, entries: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": entries})
}

fn installation() -> Installation {
    Installation { namespace: "headgate-system".to_owned(), ..Installation::default() }
}

/// What an installation sets.
fn settings() -> Settings {
    Settings {
        pods: PodSettings { image: "headgate.invalid/gateway:test".to_owned(), ..PodSettings::default() },
        network_policy: Some(NetworkPolicySettings {
            operator_namespace: "headgate-system".to_owned(),
            admin_namespaces: vec!["monitoring".to_owned()],
        }),
        ..Settings::default()
    }
}

/// The objects without what differs from run to run: identities, versions, times, and what follows from a key.
pub(crate) fn comparable(server: &ApiServer) -> Vec<Value> {
    let mut objects: Vec<Value> = server.objects();
    objects.retain(|object| object["kind"] != "Event" && object["kind"] != "ReplicaSet" && object["kind"] != "Pod");
    for object in &mut objects {
        let is_key = object["type"] == "headgate.dev/api-key";
        let name = text(&object["metadata"]["name"]);
        let follows_from_keys = name.ends_with("-verifier") || name.ends_with("-tickets");
        let metadata = &mut object["metadata"];
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
            metadata.as_object_mut().map(|metadata| metadata.remove(field));
        }
        for owner in metadata["ownerReferences"].as_array_mut().into_iter().flatten() {
            owner["uid"] = Value::Null;
        }
        if let Some(annotations) = metadata["annotations"].as_object_mut() {
            annotations.retain(|name, _| name != ANNOTATION_APPLIED_HASH && !name.ends_with("/previous"));
        }
        if is_key || follows_from_keys {
            object["data"] = object["data"].as_object().map(|data| data.keys().cloned().collect::<Vec<_>>()).into();
        }
        // The key of tickets, which is another one in each run, is part of it.
        if let Some(annotations) =
            object.pointer_mut("/spec/template/metadata/annotations").and_then(Value::as_object_mut)
        {
            annotations.remove(ANNOTATION_CONFIG_HASH);
        }
        for key in object["status"]["keys"].as_array_mut().into_iter().flatten() {
            key["id"] = Value::Null;
        }
        let status = &mut object["status"];
        status.as_object_mut().map(|status| status.remove("observedGeneration"));
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            condition["lastTransitionTime"] = Value::Null;
            condition["observedGeneration"] = Value::Null;
        }
    }
    objects
}
