//! `headgate keys rotate`: a new key in place of one that Headgate issued.

use super::{elsewhere, not_in_time};
use crate::args::{Format, KeyRotateArgs};
use crate::cluster::Cluster;
use crate::cluster::access::{key_name, statuses};
use crate::cluster::keys::is_issued;
use crate::output::Output;
use anyhow::bail;
use headgate_crds::StreamEndpoint;
use headgate_crds::v1alpha1::KeyStatus;
use jiff::Timestamp;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

/// A key before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rotated {
    key: String,
    before: Option<String>,
    /// Absent if nobody waited.
    after: Option<String>,
}

/// Asks for new keys and waits until the operator has issued them.
pub(super) fn run(args: &KeyRotateArgs) -> anyhow::Result<ExitCode> {
    let nonce = Timestamp::now().to_string();
    let rotated = crate::command::block_on(async {
        let cluster = Cluster::connect(&args.endpoint.cluster).await?;
        rotate(&cluster, args, &nonce).await
    })?;
    let mut output = Output::stdout();
    match args.endpoint.output {
        Format::Json => {
            let keys = rotated.iter().map(|key| json!({ "key": key.key, "before": key.before, "id": key.after }));
            output.line(&serde_json::to_vec(&keys.collect::<Vec<_>>())?)?;
        }
        Format::Text => {
            for key in &rotated {
                output.line(text(args, key).as_bytes())?;
            }
        }
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn rotate(cluster: &Cluster, args: &KeyRotateArgs, nonce: &str) -> anyhow::Result<Vec<Rotated>> {
    let endpoint = cluster.endpoint(&args.endpoint.name).await?;
    let mut keys = if args.all {
        let issued = issued(&endpoint);
        if issued.is_empty() {
            bail!(
                "{} has no key that Headgate issued: see headgate keys list {}",
                args.endpoint.name,
                args.endpoint.name
            );
        }
        cluster.rotate_keys(&args.endpoint.name, nonce).await?;
        issued
    } else {
        let key = key_name(&endpoint, args.key.as_deref())?;
        cluster.rotate_key(&endpoint, &key, nonce).await?;
        issued(&endpoint).into_iter().filter(|other| other.key == key).collect()
    };
    if args.timeout == 0 {
        return Ok(keys);
    }
    let patience = Duration::from_secs(args.timeout.into());
    let done = cluster.until(&args.endpoint.name, patience, |endpoint| after(endpoint, &keys)).await?;
    let ids = done.ok_or_else(|| not_in_time("replaced the key", &args.endpoint.name, args.timeout))?;
    for (key, id) in keys.iter_mut().zip(ids) {
        key.after = Some(id);
    }
    Ok(keys)
}

/// The keys that Headgate issued.
fn issued(endpoint: &StreamEndpoint) -> Vec<Rotated> {
    let ours = |status: &&KeyStatus| {
        status.secret_ref.as_ref().is_some_and(|secret| is_issued(endpoint, &status.name, &secret.name))
    };
    let rotated = |status: &KeyStatus| Rotated { key: status.name.to_string(), before: status.id.clone(), after: None };
    statuses(endpoint).iter().filter(ours).map(rotated).collect()
}

/// The ids of the same keys, once every one is another.
fn after(endpoint: &StreamEndpoint, before: &[Rotated]) -> Option<Vec<String>> {
    let now = issued(endpoint);
    let id = |old: &Rotated| {
        let new = now.iter().find(|new| new.key == old.key)?;
        new.before.clone().filter(|id| Some(id) != old.before.as_ref())
    };
    before.iter().map(id).collect()
}

fn text(args: &KeyRotateArgs, rotated: &Rotated) -> String {
    let (endpoint, key, place) = (&args.endpoint.name, &rotated.key, elsewhere(&args.endpoint.cluster));
    match (&rotated.before, &rotated.after) {
        (_, None) => format!("a new key is asked for in place of {key} of {endpoint}"),
        (before, Some(after)) => {
            let before = before.as_deref().unwrap_or("-");
            format!(
                "key {key} of {endpoint} is replaced: id {before} → {after}; read it: headgate keys show {endpoint} \
                 {key}{place}; how long the old one is accepted: headgate keys list {endpoint}{place}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{ClusterArgs, EndpointArgs};
    use crate::cluster::fake::{self, ApiServer};
    use serde_json::Value;

    const ENDPOINT: &str = "/apis/headgate.dev/v1alpha1/namespaces/shop/streamendpoints/orders";

    fn orders(web: &str, etl: &str) -> Value {
        let mut value = fake::endpoint("shop", "orders");
        value["spec"]["auth"]["apiKeys"] = json!([{ "name": "web" }, { "name": "etl" }, { "name": "vault" }]);
        value["status"] = json!({ "keys": [
            { "name": "web", "id": web, "state": "Active", "secretRef": { "name": "orders-key-web" } },
            { "name": "etl", "id": etl, "state": "Active", "secretRef": { "name": "orders-key-etl" } },
            { "name": "vault", "state": "Active", "secretRef": { "name": "from-vault" } },
        ] });
        value
    }

    fn arguments(key: Option<&str>) -> KeyRotateArgs {
        KeyRotateArgs {
            endpoint: EndpointArgs { name: "orders".to_owned(), output: Format::Text, cluster: ClusterArgs::default() },
            key: key.map(str::to_owned),
            all: key.is_none(),
            timeout: 5,
        }
    }

    #[tokio::test]
    async fn rotating_all_waits_until_every_issued_key_is_another() {
        let server = ApiServer::new();
        for version in [orders("a", "b"), orders("c", "b"), orders("c", "d")] {
            server.then("GET", ENDPOINT, version);
        }
        server.then("PATCH", ENDPOINT, json!({ "metadata": {} }));
        let rotated = rotate(&server.cluster("shop"), &arguments(None), "n").await.unwrap();
        let ids: Vec<_> = rotated.iter().map(|key| (key.key.as_str(), key.after.as_deref())).collect();
        assert_eq!(ids, [("web", Some("c")), ("etl", Some("d"))]);
    }

    #[tokio::test]
    async fn rotating_one_waits_for_that_one() {
        let server = ApiServer::new();
        server.then("GET", ENDPOINT, orders("a", "b"));
        server.then("GET", ENDPOINT, orders("c", "b"));
        server.then("PATCH", "/api/v1/namespaces/shop/secrets/orders-key-web", json!({ "metadata": {} }));
        let args = arguments(Some("web"));
        let rotated = rotate(&server.cluster("shop"), &args, "n").await.unwrap();
        let line = text(&args, &rotated[0]);
        assert!(line.starts_with("key web of orders is replaced: id a → c; read it: headgate keys show orders web;"));
    }
}
