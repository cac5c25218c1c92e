//! The product as it is installed: the chart on the shared cluster, our images, a real Kafka, one connection for all.
//!
//! It installs once for all tests of the process and asks the API server; what is expected is the matter of the tests.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use headgate_crds::StreamEndpoint;
use headgate_tests::cluster::{Cluster, Shared};
use headgate_tests::kafka::{RealKafka, Record, unique};
use headgate_tests::spawn::command;
use headgate_tests::tools;
use headgate_tests::wait::eventually_ok;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

/// Namespace of the operator.
pub(crate) const SYSTEM: &str = "headgate-system";
/// Name of the release and of everything in it.
pub(crate) const RELEASE: &str = "headgate";
/// How long anything may take that Kubernetes does on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// The installed product, in the hands of one test.
pub(crate) struct Stage {
    pub(crate) cluster: Shared,
    pub(crate) kafka: &'static RealKafka,
}

impl Stage {
    /// For tests that leave nodes and operator alone.
    pub(crate) async fn shared() -> Result<Self> {
        Self::on(Cluster::shared().await?).await
    }

    /// For tests that disturb them. Put right what you broke.
    pub(crate) async fn exclusive() -> Result<Self> {
        Self::on(Cluster::exclusive().await?).await
    }

    async fn on(cluster: Shared) -> Result<Self> {
        static INSTALLED: OnceCell<RealKafka> = OnceCell::const_new();
        let kafka = INSTALLED.get_or_try_init(|| install(&cluster)).await?;
        Ok(Self { cluster, kafka })
    }

    /// A namespace for one test, with everything in it deleted afterwards. A failure says what was going on there.
    pub(crate) async fn with_namespace<T>(
        &self,
        purpose: &str,
        work: impl AsyncFnOnce(&Self, &str) -> Result<T>,
    ) -> Result<T> {
        self.cluster
            .with_namespace(purpose, async |namespace| {
                let outcome = work(self, namespace).await;
                match outcome {
                    Ok(value) => Ok(value),
                    Err(error) => Err(error.context(self.picture(namespace).await)),
                }
            })
            .await
    }

    /// A topic of its own with this many partitions.
    pub(crate) async fn topic(&self, partitions: i32) -> Result<String> {
        let topic = unique("e2e");
        self.kafka.create_topic(&topic, partitions, &[]).await?;
        Ok(topic)
    }

    /// Applies an endpoint called `orders` with these fields added to the smallest spec.
    pub(crate) async fn apply(&self, namespace: &str, topic: &str, more: Value) -> Result<()> {
        let mut spec = json!({ "app": "orders", "topic": topic, "auth": { "mode": "ApiKey" }, "drainSeconds": 2 });
        let (Some(spec_fields), Value::Object(more)) = (spec.as_object_mut(), more) else {
            bail!("the fields of a spec are an object");
        };
        spec_fields.extend(more);
        let endpoint = json!({
            "apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint",
            "metadata": { "name": "orders", "namespace": namespace }, "spec": spec,
        });
        self.cluster.apply(&endpoint.to_string()).await
    }

    /// The endpoint as it is now.
    pub(crate) async fn endpoint(&self, namespace: &str) -> Result<StreamEndpoint> {
        Ok(Api::namespaced(self.client().await?, namespace).get("orders").await?)
    }

    /// Waits until a condition of the endpoint has this status and reason. Gives its message.
    pub(crate) async fn condition(&self, namespace: &str, type_: &str, status: &str, reason: &str) -> Result<String> {
        self.condition_of((namespace, "orders"), type_, status, reason).await
    }

    /// The same of an endpoint with another name.
    pub(crate) async fn condition_of(
        &self,
        (namespace, name): (&str, &str),
        type_: &str,
        status: &str,
        reason: &str,
    ) -> Result<String> {
        let api: Api<StreamEndpoint> = Api::namespaced(self.client().await?, namespace);
        eventually_ok(format!("{type_}={status} {reason}"), PATIENCE, async || {
            let endpoint = api.get(name).await?;
            let observed = endpoint.status.as_ref().and_then(|status| status.observed_generation);
            ensure!(observed == endpoint.metadata.generation, "the operator has not seen the newest generation");
            let conditions = endpoint.status.into_iter().flat_map(|status| status.conditions);
            let conditions: Vec<_> = conditions.collect();
            let found = conditions.iter().find(|condition| condition.type_ == type_);
            let found = found.with_context(|| format!("no condition {type_} in {conditions:?}"))?;
            ensure!(found.status == status && found.reason == reason, "{conditions:?}");
            Ok(found.message.clone())
        })
        .await
    }

    /// Waits until clients can connect.
    pub(crate) async fn ready(&self, namespace: &str) -> Result<()> {
        self.condition(namespace, "Ready", "True", "Serving").await.map(drop)
    }

    /// The key in the Secret that the endpoint has for it, as a client team would be given it.
    pub(crate) async fn key(&self, namespace: &str, key: &str) -> Result<String> {
        let api: Api<Secret> = Api::namespaced(self.client().await?, namespace);
        let secret = api.get(&format!("orders-key-{key}")).await?;
        let data = secret.data.context("the Secret of a key has data")?;
        let value = data.get("api-key").context("the Secret of a key has the entry api-key")?;
        Ok(String::from_utf8(value.0.clone())?)
    }

    /// The stream through its Service, whose address this machine reaches, once it leads to a pod.
    pub(crate) async fn url(&self, namespace: &str) -> Result<String> {
        let api: Api<Service> = Api::namespaced(self.client().await?, namespace);
        let service = api.get("orders-gateway").await?;
        let address = service.spec.and_then(|spec| spec.cluster_ip).context("the Service has an address")?;
        // Nodes learn of a ready pod a moment after the API server.
        eventually_ok("the Service to lead to a pod", PATIENCE, async || {
            TcpStream::connect((address.as_str(), 8080)).await.with_context(|| address.clone())
        })
        .await?;
        Ok(format!("ws://{address}:8080/orders"))
    }

    /// Names of the pods with this label selector that are not being deleted.
    pub(crate) async fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<String>> {
        let api: Api<Pod> = Api::namespaced(self.client().await?, namespace);
        let pods = api.list(&ListParams::default().labels(selector)).await?;
        let staying = pods.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let mut names: Vec<_> = staying.map(|pod| pod.name_any()).collect();
        names.sort();
        Ok(names)
    }

    /// Waits until these pods are gone altogether: no longer there, not even draining.
    pub(crate) async fn gone(&self, namespace: &str, pods: impl Iterator<Item = &String> + Clone) -> Result<()> {
        let api: Api<Pod> = Api::namespaced(self.client().await?, namespace);
        eventually_ok("the old pods to go", PATIENCE, async || {
            let there: Vec<_> =
                api.list(&ListParams::default()).await?.items.iter().map(ResourceExt::name_any).collect();
            let left: Vec<_> = pods.clone().filter(|pod| there.contains(pod)).collect();
            ensure!(left.is_empty(), "{left:?} are still there");
            Ok(())
        })
        .await
    }

    /// Waits until the endpoint says that it has this many pods, all of them ready.
    pub(crate) async fn replicas(&self, namespace: &str, wanted: i32) -> Result<()> {
        eventually_ok(format!("{wanted} ready replicas"), PATIENCE, async || {
            let status = self.endpoint(namespace).await?.status.context("no status yet")?;
            let (replicas, ready) = (status.replicas, status.ready_replicas);
            ensure!(replicas == Some(wanted) && ready == Some(wanted), "{replicas:?} replicas, {ready:?} ready");
            Ok(())
        })
        .await
    }

    /// Numbered records, evenly over the partitions.
    pub(crate) async fn produce(&self, topic: &str, numbers: std::ops::Range<usize>, partitions: i32) -> Result<()> {
        let record = |number: usize| {
            let partition = i32::try_from(number).unwrap_or_default() % partitions;
            Record::new(topic, format!("{{\"number\":{number}}}")).partition(partition)
        };
        self.kafka.produce_many(numbers.map(record)).await.map(drop)
    }

    /// A client for this test's runtime.
    pub(crate) async fn client(&self) -> Result<Client> {
        self.cluster.client().await
    }

    async fn picture(&self, namespace: &str) -> String {
        let mut picture = String::new();
        for arguments in [
            &["get", "streamendpoints", "--output", "yaml"][..],
            &["get", "pods,deployments,events", "--output", "wide"],
            &["logs", "--selector", "app.kubernetes.io/name=headgate-gateway", "--tail", "20"],
        ] {
            let arguments = [arguments, &["--namespace", namespace]].concat();
            picture += &self.cluster.kubectl(&arguments).await.unwrap_or_else(|error| format!("{error:#}"));
        }
        let operator = ["logs", "deployment/headgate", "--tail", "40", "--namespace", SYSTEM];
        picture + &self.cluster.kubectl(&operator).await.unwrap_or_else(|error| format!("{error:#}"))
    }
}

async fn install(cluster: &Cluster) -> Result<RealKafka> {
    cluster.load_our_images().await?;
    let kafka = RealKafka::start_at(cluster.host().await?, &[]).await?;
    helm(cluster, &tools::helm3()?, &["install", RELEASE, CHART, "--create-namespace", "--wait", "--timeout", "3m"])
        .await?;
    let connection = json!({
        "apiVersion": "headgate.dev/v1alpha1", "kind": "KafkaConnection",
        "metadata": { "name": "tests", "annotations": { "headgate.dev/default-connection": "true" } },
        "spec": {
            "bootstrapServers": kafka.bootstrap(),
            "allowed": [{
                "namespaces": { "selector": {} }, "topics": ["e2e*"],
                "guardrails": { "exposures": ["ClusterLocal", "Gateway"], "hostnames": ["{namespace}.streams.test"] },
            }],
        },
    });
    cluster.apply(&connection.to_string()).await?;
    Ok(kafka)
}

/// The chart in the checkout.
pub(crate) const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/headgate");

/// Runs Helm with our images and, after them, these arguments, in the namespace of the operator.
pub(crate) async fn helm(cluster: &Cluster, program: &std::path::Path, arguments: &[&str]) -> Result<String> {
    helm_in(cluster, program, SYSTEM, arguments).await
}

/// The same in another namespace.
pub(crate) async fn helm_in(
    cluster: &Cluster,
    program: &std::path::Path,
    namespace: &str,
    arguments: &[&str],
) -> Result<String> {
    let mut helm: Command = command(program);
    helm.args(arguments).args(["--namespace", namespace]).arg("--kubeconfig").arg(cluster.kubeconfig());
    if matches!(arguments.first(), Some(&("install" | "upgrade"))) {
        for value in [
            "image.repository=headgate.invalid/operator",
            "image.tag=test",
            "gateway.image.repository=headgate.invalid/gateway",
            "gateway.image.tag=test",
        ] {
            helm.args(["--set", value]);
        }
    }
    let output = tokio::task::spawn_blocking(move || helm.output()).await??;
    ensure!(
        output.status.success(),
        "helm {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
