//! `headgate keys list`: every key of an endpoint. It reads the metadata of Secrets only, never a key.

use crate::args::{EndpointArgs, Format};
use crate::cluster::Cluster;
use crate::cluster::access::{status_of, statuses};
use crate::output::Output;
use crate::table;
use headgate_crds::StreamEndpoint;
use headgate_crds::v1alpha1::{ApiKey, KeyState, KeyStatus, Permission};
use headgate_operator::keys::ANNOTATION_PREVIOUS;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::PartialObjectMeta;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// One key.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    id: Option<String>,
    /// A state of the status, `Removed` for a key that the spec no longer has, or `Pending`.
    state: String,
    permissions: Vec<String>,
    issued: Option<String>,
    expires: Option<String>,
    secret: Option<String>,
    /// Until when an earlier key is accepted beside it.
    previous_until: Option<String>,
}

/// The annotation about keys that were replaced.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Previous {
    ends_at: String,
}

/// Prints one line per key.
pub(super) fn run(args: &EndpointArgs) -> anyhow::Result<ExitCode> {
    let rows = crate::command::block_on(async { rows(&Cluster::connect(&args.cluster).await?, &args.name).await })?;
    let mut output = Output::stdout();
    match args.output {
        Format::Json => output.line(&serde_json::to_vec(&rows)?)?,
        Format::Text => {
            for line in text(&rows) {
                output.line(line.as_bytes())?;
            }
        }
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn rows(cluster: &Cluster, name: &str) -> anyhow::Result<Vec<Row>> {
    let endpoint = cluster.endpoint(name).await?;
    let mut secrets = BTreeMap::new();
    for status in statuses(&endpoint).iter().filter(|status| status.state == KeyState::Rotating) {
        if let Some(reference) = &status.secret_ref
            && let Some(secret) = cluster.key_secret(&reference.name).await
        {
            secrets.insert(status.name.to_string(), secret);
        }
    }
    Ok(listed(&endpoint, &secrets))
}

fn listed(endpoint: &StreamEndpoint, secrets: &BTreeMap<String, PartialObjectMeta<Secret>>) -> Vec<Row> {
    let keys = endpoint.spec.auth.keys();
    let mut rows: Vec<Row> = keys.iter().map(|key| row(key, status_of(endpoint, &key.name))).collect();
    let removed = statuses(endpoint).iter().filter(|status| !keys.iter().any(|key| key.name == status.name));
    rows.extend(removed.map(|status| {
        let mut row = row(&ApiKey { name: status.name.clone(), ..ApiKey::implied() }, Some(status));
        row.permissions.clear();
        "Removed".clone_into(&mut row.state);
        row
    }));
    for row in &mut rows {
        row.previous_until = secrets.get(&row.name).and_then(previous_until);
    }
    rows
}

fn row(key: &ApiKey, status: Option<&KeyStatus>) -> Row {
    let expires = key.expires_at.as_ref().or(status.and_then(|status| status.expires_at.as_ref()));
    Row {
        name: key.name.to_string(),
        id: status.and_then(|status| status.id.clone()),
        state: status.map_or(KeyState::Pending, |status| status.state).as_str().to_owned(),
        permissions: key.permissions.iter().map(|permission| word(*permission).to_owned()).collect(),
        issued: status.and_then(|status| status.last_rotated_at.as_ref()).map(time),
        expires: expires.map(time),
        secret: status.and_then(|status| status.secret_ref.as_ref()).map(|secret| secret.name.to_string()),
        previous_until: None,
    }
}

const fn word(permission: Permission) -> &'static str {
    match permission {
        Permission::Read => "Read",
        Permission::Publish => "Publish",
    }
}

fn time(time: &Time) -> String {
    time.0.to_string()
}

/// The latest end of the keys that a Secret held before.
fn previous_until(secret: &PartialObjectMeta<Secret>) -> Option<String> {
    let text = secret.metadata.annotations.as_ref()?.get(ANNOTATION_PREVIOUS)?;
    let previous: Vec<Previous> = serde_json::from_str(text).ok()?;
    previous.into_iter().map(|previous| previous.ends_at).max()
}

fn text(rows: &[Row]) -> Vec<String> {
    let cells: Vec<[String; 7]> = rows
        .iter()
        .map(|row| {
            let state = match &row.previous_until {
                Some(time) => format!("{} (previous until {time})", row.state),
                None => row.state.clone(),
            };
            let known = |text: &Option<String>| text.clone().unwrap_or_default();
            [
                row.name.clone(),
                known(&row.id),
                state,
                row.permissions.join(","),
                known(&row.issued),
                known(&row.expires),
                known(&row.secret),
            ]
        })
        .collect();
    table::lines(["KEY", "ID", "STATE", "PERMISSIONS", "ISSUED", "EXPIRES", "SECRET"], &cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake::{self, ApiServer};
    use serde_json::{Value, json};

    const ENDPOINT: &str = "/apis/headgate.dev/v1alpha1/namespaces/shop/streamendpoints/orders";
    const SECRET: &str = "/api/v1/namespaces/shop/secrets/orders-key-web";

    fn orders() -> Value {
        let mut value = fake::endpoint("shop", "orders");
        value["spec"]["auth"]["apiKeys"] = json!([
            { "name": "web", "expiresAt": "2027-01-01T00:00:00Z" },
            { "name": "own", "permissions": ["Read", "Publish"], "keyHash": "sha256:00" },
            { "name": "new" },
        ]);
        value["status"] = json!({ "keys": [
            { "name": "web", "id": "k7Qd2abc", "state": "Rotating", "secretRef": { "name": "orders-key-web" },
              "lastRotatedAt": "2026-11-20T10:00:00Z" },
            { "name": "own", "state": "Active" },
            { "name": "old", "id": "a1", "state": "Active" },
        ] });
        value
    }

    #[tokio::test]
    async fn keys_are_listed_with_their_state_and_without_themselves() {
        let server = ApiServer::new();
        server.then("GET", ENDPOINT, orders());
        let previous = r#"[{"id":"x","digest":"sha256:00","endsAt":"2026-11-21T10:00:00Z"}]"#;
        let metadata = json!({ "name": "orders-key-web", "annotations": { ANNOTATION_PREVIOUS: previous } });
        server.then("GET", SECRET, json!({ "metadata": metadata }));
        let rows = rows(&server.cluster("shop"), "orders").await.unwrap();
        assert_eq!(
            text(&rows).join("\n"),
            "\
KEY   ID         STATE                                            PERMISSIONS    ISSUED                 EXPIRES                SECRET
web   k7Qd2abc   Rotating (previous until 2026-11-21T10:00:00Z)   Read           2026-11-20T10:00:00Z   2027-01-01T00:00:00Z   orders-key-web
own   -          Active                                           Read,Publish   -                      -                      -
new   -          Pending                                          Read           -                      -                      -
old   a1         Removed                                          -              -                      -                      -"
        );
    }

    #[tokio::test]
    async fn whoever_may_not_see_secrets_still_gets_the_list() {
        let server = ApiServer::new();
        server.then("GET", ENDPOINT, orders());
        server.refuse("GET", SECRET, 403, "secrets is forbidden");
        let rows = rows(&server.cluster("shop"), "orders").await.unwrap();
        assert_eq!((rows.len(), rows[0].previous_until.as_deref()), (4, None));
    }
}
