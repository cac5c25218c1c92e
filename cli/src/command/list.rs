//! `headgate list`: the StreamEndpoints of a cluster.

use crate::args::{Format, ListArgs};
use crate::cluster::Cluster;
use crate::cluster::access::url;
use crate::output::{Output, notice};
use crate::table;
use headgate_crds::StreamEndpoint;
use headgate_crds::reasons::ConditionType;
use kube::ResourceExt as _;
use serde::Serialize;
use std::process::ExitCode;

/// One endpoint, in a line.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    name: String,
    app: String,
    topic: String,
    auth: String,
    /// `True`, `False` or `Unknown`.
    ready: String,
    reason: String,
    url: Option<String>,
}

/// Prints one line per endpoint.
pub(crate) fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let (rows, namespace) = super::block_on(async {
        let cluster = Cluster::connect(&args.cluster).await?;
        let rows: Vec<Row> = cluster.endpoints(args.all_namespaces).await?.iter().map(row).collect();
        Ok((rows, cluster.namespace().to_owned()))
    })?;
    let mut output = Output::stdout();
    match args.output {
        Format::Json => output.line(&serde_json::to_vec(&rows)?)?,
        Format::Text if rows.is_empty() && args.all_namespaces => notice("no StreamEndpoint in any namespace"),
        Format::Text if rows.is_empty() => notice(format_args!("no StreamEndpoint in namespace {namespace}")),
        Format::Text => {
            for line in text(&rows) {
                output.line(line.as_bytes())?;
            }
        }
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn row(endpoint: &StreamEndpoint) -> Row {
    let conditions = endpoint.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str());
    Row {
        namespace: endpoint.namespace().unwrap_or_default(),
        name: endpoint.name_any(),
        app: endpoint.spec.app.to_string(),
        topic: endpoint.spec.topic.to_string(),
        auth: endpoint.spec.auth.mode.as_str().to_owned(),
        ready: ready.map_or_else(|| "Unknown".to_owned(), |condition| condition.status.clone()),
        reason: ready.map(|condition| condition.reason.clone()).unwrap_or_default(),
        url: url(endpoint).map(str::to_owned),
    }
}

fn text(rows: &[Row]) -> Vec<String> {
    let cells = |row: &Row| {
        let url = row.url.as_deref().unwrap_or_default();
        [&row.namespace, &row.name, &row.app, &row.topic, &row.auth, &row.ready, &row.reason, url].map(str::to_owned)
    };
    let rows: Vec<[String; 8]> = rows.iter().map(cells).collect();
    table::lines(["NAMESPACE", "NAME", "APP", "TOPIC", "AUTH", "READY", "REASON", "URL"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake::endpoint;
    use serde_json::json;

    #[test]
    fn an_endpoint_without_a_status_is_listed_as_unknown() {
        let fresh = serde_json::from_value(endpoint("shop", "orders")).unwrap();
        let mut value = endpoint("shop", "sensors");
        value["status"] = json!({ "url": "wss://h/sensors", "conditions": [{ "type": "Ready", "status": "True",
            "reason": "Serving", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }] });
        let rows = [row(&fresh), row(&serde_json::from_value(value).unwrap())];
        assert_eq!(
            text(&rows),
            [
                "NAMESPACE   NAME      APP       TOPIC          AUTH     READY     REASON    URL",
                "shop        orders    orders    shop.orders    ApiKey   Unknown   -         -",
                "shop        sensors   sensors   shop.sensors   ApiKey   True      Serving   wss://h/sensors",
            ]
        );
    }
}
