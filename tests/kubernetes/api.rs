//! Our API and our rights on a real API server, installed by `kubectl apply --server-side -f deploy/install.yaml`. No pod
//! runs: this is about what the API server itself does with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use headgate_tests::cluster::Cluster;
use headgate_tests::wait::eventually_ok;
use serde_json::Value;
use tokio::sync::OnceCell;

const DEADLINE: Duration = Duration::from_mins(1);
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const OPERATOR: &str = "system:serviceaccount:headgate-system:headgate";
const ENDPOINT: &str = r#"{"apiVersion":"headgate.dev/v1alpha1","kind":"StreamEndpoint","metadata":{"name":"orders"},
    "spec":{"app":"orders","topic":"shop.orders","auth":{"mode":"ApiKey"}}}"#;

async fn cluster() -> Result<&'static Cluster> {
    static INSTALLED: OnceCell<Cluster> = OnceCell::const_new();
    let install = async || {
        let cluster = Cluster::start(0).await?;
        let manifest = std::fs::read_to_string(Path::new(ROOT).join("deploy/install.yaml"))?;
        // The definitions must be served before an object of them can be there; the second time everything is.
        cluster.apply(&manifest).await?;
        cluster.kubectl(&["wait", "--for=condition=Established", "crd/streamendpoints.headgate.dev"]).await?;
        cluster.kubectl(&["wait", "--for=condition=Established", "crd/kafkaconnections.headgate.dev"]).await?;
        cluster.kubectl(&["create", "namespace", "shop"]).await?;
        Ok::<_, anyhow::Error>(cluster)
    };
    INSTALLED.get_or_try_init(install).await
}

/// The files of a folder, in order.
fn files(folder: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(Path::new(ROOT).join(folder))?;
    let mut files: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    ensure!(!files.is_empty(), "{folder} is empty");
    Ok(files)
}

/// What the API server says to the newest state of a manifest, once the state before it is stored.
async fn judge(cluster: &Cluster, text: &str) -> Result<Result<String>> {
    let dry = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--namespace=shop", "--filename=-"];
    let Some((old, new)) = text.split_once("\n---\n") else { return Ok(cluster.kubectl_with(&dry, text).await) };
    cluster.apply(old).await?;
    let outcome = cluster.kubectl_with(&[&dry[..], &["--force-conflicts"]].concat(), new).await;
    cluster.kubectl_with(&["delete", "--filename=-"], old).await?;
    Ok(outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_and_refuses_what_the_offline_rules_do_and_says_the_same() -> Result<()> {
    let cluster = cluster().await?;
    for file in files("crds/tests/accept")? {
        let text = std::fs::read_to_string(&file)?;
        judge(cluster, &text).await?.with_context(|| format!("{} is refused", file.display()))?;
    }
    for file in files("crds/tests/refuse")? {
        let text = std::fs::read_to_string(&file)?;
        let Err(error) = judge(cluster, &text).await? else { anyhow::bail!("{} is accepted", file.display()) };
        let error = format!("{error:#}");
        // What is not a rule of ours, the API server says in its own words.
        let structural = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("structure-"));
        for expected in text.lines().filter_map(|line| line.strip_prefix("# expects: ")).filter(|_| !structural) {
            let sentence = expected.split_once(": ").map_or(expected, |(_, sentence)| sentence);
            ensure!(error.contains(sentence), "{}: not {sentence:?} but {error}", file.display());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_explains_every_field_and_shows_the_columns() -> Result<()> {
    let cluster = cluster().await?;
    let fields = cluster.kubectl(&["explain", "streamendpoint", "--recursive"]).await?;
    for field in ["maxConnectionsPerKey", "queryCredentials", "overlapSeconds", "observedGeneration"] {
        ensure!(fields.contains(field), "{field} is not explained");
    }
    let text = cluster.kubectl(&["explain", "streamendpoint.spec.auth.apiKeys.keyHash"]).await?;
    ensure!(text.contains("Digest of a key"), "{text}");
    cluster
        .with_namespace("columns", async |namespace| {
            let in_namespace = format!("--namespace={namespace}");
            cluster.kubectl_with(&["apply", "--filename=-", &in_namespace], ENDPOINT).await?;
            let table = cluster.kubectl(&["get", "sep", &in_namespace, "--output=wide"]).await?;
            let header: Vec<_> = table.lines().next().unwrap_or_default().split_whitespace().collect();
            ensure!(
                header == ["NAME", "APP", "TOPIC", "AUTH", "URL", "READY", "AGE", "REPLICAS", "KEYS", "REASON"],
                "{table}"
            );
            Ok(())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_and_an_autoscaler_scale_the_endpoint_itself() -> Result<()> {
    let cluster = cluster().await?;
    cluster.with_namespace("scale", async |namespace| {
        let in_namespace = format!("--namespace={namespace}");
        cluster.kubectl_with(&["apply", "--filename=-", &in_namespace], ENDPOINT).await?;
        cluster.kubectl(&["scale", "streamendpoint/orders", "--replicas=3", &in_namespace]).await?;
        let replicas = ["get", "streamendpoint/orders", &in_namespace, "--output=jsonpath={.spec.replicas}"];
        ensure!(cluster.kubectl(&replicas).await? == "3", "the spec has another number of replicas");
        let status = r#"{"status":{"replicas":3,"selector":"headgate.dev/endpoint=orders"}}"#;
        let patch = ["patch", "streamendpoint/orders", "--subresource=status", "--type=merge", "--patch", status];
        cluster.kubectl(&[&patch[..], &[in_namespace.as_str()]].concat()).await?;
        let autoscaler = r#"{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"orders"},
            "spec":{"maxReplicas":5,"scaleTargetRef":{"apiVersion":"headgate.dev/v1alpha1","kind":"StreamEndpoint","name":"orders"},
            "metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}}]}}"#;
        cluster.kubectl_with(&["apply", "--filename=-", &in_namespace], autoscaler).await?;
        eventually_ok("the autoscaler to read the scale of the endpoint", DEADLINE, async || {
            let conditions = ["get", "hpa/orders", &in_namespace, "--output=jsonpath={.status}"];
            let status: Value = serde_json::from_str(&cluster.kubectl(&conditions).await?)?;
            ensure!(status["currentReplicas"] == 3 && status.to_string().contains("SucceededGetScale"), "{status}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_may_do_its_work_and_nothing_that_would_make_it_more() -> Result<()> {
    let cluster = cluster().await?;
    for allowed in [
        "patch deployments.apps --namespace=shop",
        "create secrets --namespace=shop",
        "patch streamendpoints.headgate.dev --subresource=status --namespace=shop",
        "get namespaces",
        "update leases.coordination.k8s.io/headgate --namespace=headgate-system",
    ] {
        ensure!(may(cluster, OPERATOR, allowed).await?, "the operator must be allowed to {allowed}");
    }
    for forbidden in [
        "update streamendpoints.headgate.dev --namespace=shop",
        "create pods --namespace=shop",
        "create pods --subresource=exec --namespace=shop",
        "create roles.rbac.authorization.k8s.io --namespace=shop",
        "create clusterrolebindings.rbac.authorization.k8s.io",
        "patch customresourcedefinitions.apiextensions.k8s.io",
        "impersonate users",
        "get nodes",
        "update kafkaconnections.headgate.dev",
    ] {
        ensure!(!may(cluster, OPERATOR, forbidden).await?, "the operator must not be allowed to {forbidden}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_only_view_or_edit_streams_reads_no_key_and_writes_no_connection() -> Result<()> {
    let cluster = cluster().await?;
    // An editor has the role of a viewer too, as Kubernetes' own edit includes view.
    for (user, roles) in [("viewer", &["headgate-view"][..]), ("editor", &["headgate-view", "headgate-edit"])] {
        for role in roles {
            let binding = format!("{user}-{role}");
            let (role, user) = (format!("--clusterrole={role}"), format!("--user={user}"));
            cluster.kubectl(&["create", "rolebinding", &binding, "--namespace=shop", &role, &user]).await?;
        }
        ensure!(may(cluster, user, "get streamendpoints.headgate.dev --namespace=shop").await?, "{user} sees nothing");
        ensure!(!may(cluster, user, "get streamendpoints.headgate.dev --namespace=default").await?, "{user} sees more");
        for forbidden in [
            "get secrets --namespace=shop",
            "list secrets --namespace=headgate-system",
            "patch streamendpoints.headgate.dev --subresource=status --namespace=shop",
            "create kafkaconnections.headgate.dev",
            "patch kafkaconnections.headgate.dev",
        ] {
            ensure!(!may(cluster, user, forbidden).await?, "{user} may {forbidden}");
        }
    }
    ensure!(!may(cluster, "viewer", "create streamendpoints.headgate.dev --namespace=shop").await?, "a viewer writes");
    ensure!(
        may(cluster, "editor", "create streamendpoints.headgate.dev --namespace=shop").await?,
        "an editor cannot write"
    );
    Ok(())
}

/// Whether the API server lets the user do that, in the words of `kubectl auth can-i`.
async fn may(cluster: &Cluster, user: &str, what: &str) -> Result<bool> {
    let user = format!("--as={user}");
    let arguments: Vec<_> = ["auth", "can-i", &user].into_iter().chain(what.split(' ')).collect();
    // It fails for "no" too.
    match cluster.kubectl(&arguments).await {
        Ok(answer) => Ok(answer.trim() == "yes"),
        Err(error) if format!("{error:#}").lines().any(|line| line.trim() == "no") => Ok(false),
        Err(error) => Err(error),
    }
}
