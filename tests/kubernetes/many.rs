//! Two hundred endpoints at once. The API server, its controllers, the scheduler and the operator are real; kwok pretends
//! to be the node and the pods.
//!
//! A pretended pod has no admin port, from which the operator learns that the topic is read. So all of them get the one
//! address where this test answers as a gateway would that reads its topic: what is measured is the operator's work, not
//! the gateways'.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use axum::Json;
use axum::routing::get;
use headgate_crds::StreamEndpoint;
use headgate_tests::cluster::Cluster;
use headgate_tests::process::Process;
use headgate_tests::spawn::command;
use headgate_tests::tools;
use headgate_tests::wait::eventually_ok;
use headgate_wire::endpoints::DEFAULT_ADMIN_PORT;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

const ENDPOINTS: usize = 200;
/// What they may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);
/// The most that the operator may ever have had in memory, in bytes.
const MEMORY: u64 = 150 * 1024 * 1024;
/// Address of every pretended pod: one of this machine that nothing else uses.
const PODS: [u8; 4] = [127, 0, 72, 71];
const STAGES: &str = include_str!("many/stages.yaml");
/// How much of a log an error message quotes.
const TAIL_LINES: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_endpoints_applied_at_once_are_all_ready_with_a_small_operator() -> Result<()> {
    let cluster = Cluster::alone().await?;
    for crd in ["streamendpoints", "kafkaconnections"] {
        let path = format!("{}/../crds/yaml/{crd}.yaml", env!("CARGO_MANIFEST_DIR"));
        cluster.apply(&std::fs::read_to_string(path)?).await?;
        cluster.kubectl(&["wait", "--for=condition=Established", &format!("crd/{crd}.headgate.dev")]).await?;
    }
    let folder = tempfile::tempdir()?;
    let kwok = pretend_a_node(&cluster, folder.path()).await?;
    let gateways = answer_for_the_pods().await?;
    let connection = json!({
        "apiVersion": "headgate.dev/v1alpha1", "kind": "KafkaConnection",
        "metadata": { "name": "tests", "annotations": { "headgate.dev/default-connection": "true" } },
        "spec": { "bootstrapServers": "kafka.invalid:9092", "allowed": [{
            "namespaces": { "selector": {} }, "topics": ["*"], "guardrails": { "maxEndpoints": ENDPOINTS },
        }] },
    });
    cluster.apply(&connection.to_string()).await?;
    let operator = operator(&cluster)?;
    let outcome = cluster.with_namespace("many", async |namespace| {
        let begin = Instant::now();
        cluster.apply(&endpoints(namespace)).await?;
        let applied = begin.elapsed();
        all_ready(&cluster, namespace).await?;
        let memory = most_memory(operator.pid())?;
        println!(
            "{ENDPOINTS} endpoints applied in {applied:.1?}, all Ready after {:.1?}, operator at most {} MiB resident",
            begin.elapsed(),
            memory >> 20
        );
        ensure!(memory < MEMORY, "the operator had {memory} bytes resident");
        Ok(())
    });
    let outcome = outcome.await;
    gateways.abort();
    outcome.with_context(|| format!("operator:\n{}\nkwok:\n{}", tail(&operator), tail(&kwok)))
}

/// Starts kwok for one node of its own, whatever other nodes there are.
async fn pretend_a_node(cluster: &Cluster, folder: &std::path::Path) -> Result<Process> {
    let stages = folder.join("stages.yaml");
    std::fs::write(&stages, STAGES.replace("ADDRESS", &SocketAddr::from((PODS, 0)).ip().to_string()))?;
    let mut kwok = command(tools::kwok()?);
    kwok.arg("--kubeconfig").arg(cluster.kubeconfig()).arg("--config").arg(stages);
    kwok.args(["--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--node-lease-duration-seconds=40"]);
    let kwok = Process::start("kwok", kwok)?;
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": "pretended", "annotations": { "kwok.x-k8s.io/node": "fake" },
            "labels": { "kubernetes.io/hostname": "pretended", "kubernetes.io/os": "linux" },
        },
    });
    cluster.apply(&node.to_string()).await?;
    let ready = ["wait", "node/pretended", "--for=condition=Ready", "--timeout=1m"];
    let ready = cluster.kubectl(&ready).await;
    ready.with_context(|| tail(&kwok))?;
    Ok(kwok)
}

/// The admin port of every pod: all topics are read.
async fn answer_for_the_pods() -> Result<tokio::task::JoinHandle<std::io::Result<()>>> {
    let stream = |app: String| json!({ "app": app, "kafka": { "state": "Reading" }, "connections": 0 });
    let status = json!({ "streams": (0..ENDPOINTS).map(app).map(stream).collect::<Vec<_>>() });
    let listener = tokio::net::TcpListener::bind(SocketAddr::from((PODS, DEFAULT_ADMIN_PORT))).await?;
    let router = axum::Router::new().route("/status", get(async move || Json::<Value>(status)));
    Ok(tokio::spawn(async move { axum::serve(listener, router).await }))
}

fn operator(cluster: &Cluster) -> Result<Process> {
    let mut operator = Process::command("headgate-operator")?;
    operator.env("KUBECONFIG", cluster.kubeconfig());
    operator.args(["--gateway-image", "headgate.invalid/gateway:test", "--namespace", "default"]);
    operator.args(["--identity", "tests", "--admin", "127.0.0.1:0"]);
    Process::start("headgate-operator", operator)
}

fn app(number: usize) -> String {
    format!("app{number}")
}

fn endpoints(namespace: &str) -> String {
    let endpoint = |number: usize| {
        json!({
            "apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint",
            "metadata": { "name": app(number), "namespace": namespace },
            "spec": { "app": app(number), "topic": format!("topic{number}"), "auth": { "mode": "ApiKey" } },
        })
    };
    let items: Vec<_> = (0..ENDPOINTS).map(endpoint).collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

async fn all_ready(cluster: &Cluster, namespace: &str) -> Result<()> {
    let api: Api<StreamEndpoint> = Api::namespaced(cluster.client().await?, namespace);
    eventually_ok("all endpoints to be ready", PATIENCE, async || {
        let all = api.list(&ListParams::default()).await?.items;
        let why_not: Vec<_> = all.iter().filter_map(why_not_ready).collect();
        ensure!(all.len() == ENDPOINTS, "there are {}", all.len());
        ensure!(why_not.is_empty(), "{} are not ready, one of them because of {}", why_not.len(), why_not[0]);
        Ok(())
    })
    .await
}

fn why_not_ready(endpoint: &StreamEndpoint) -> Option<String> {
    let mut conditions = endpoint.status.iter().flat_map(|status| &status.conditions);
    match conditions.find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status == "True" => None,
        other => Some(format!("{other:?}")),
    }
}

/// The most that a process ever had resident, in bytes.
fn most_memory(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

fn tail(process: &Process) -> String {
    let lines = process.stderr();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
