//! `headgate keys show`: the one command that prints a key, because it was asked to.

use crate::args::{Format, KeyShowArgs};
use crate::cluster::Cluster;
use crate::cluster::access::{key_name, secret_of, status_of, url};
use crate::output::Output;
use serde_json::json;
use std::process::ExitCode;

/// Prints the key from its Secret.
pub(super) fn run(args: &KeyShowArgs) -> anyhow::Result<ExitCode> {
    let line = crate::command::block_on(async { line(&Cluster::connect(&args.endpoint.cluster).await?, args).await })?;
    let mut output = Output::stdout();
    output.line(line.as_bytes())?;
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn line(cluster: &Cluster, args: &KeyShowArgs) -> anyhow::Result<String> {
    let endpoint = cluster.endpoint(&args.endpoint.name).await?;
    let key = key_name(&endpoint, args.key.as_deref())?;
    let secret = secret_of(&endpoint, &key)?;
    let text = cluster.key(&secret).await?;
    Ok(match args.endpoint.output {
        Format::Text => text,
        Format::Json => json!({
            "endpoint": args.endpoint.name,
            "namespace": cluster.namespace(),
            "key": key,
            "id": status_of(&endpoint, &key).and_then(|status| status.id.as_deref()),
            "secret": secret,
            "url": url(&endpoint),
            "apiKey": text,
        })
        .to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{ClusterArgs, EndpointArgs};
    use crate::cluster::fake::{self, ApiServer};
    use k8s_openapi::ByteString;

    #[tokio::test]
    async fn the_only_key_is_printed_without_naming_it() {
        let server = ApiServer::new();
        let mut orders = fake::endpoint("shop", "orders");
        let secret = json!({ "name": "orders-key-default" });
        orders["status"] =
            json!({ "keys": [{ "name": "default", "id": "k1", "state": "Active", "secretRef": secret }] });
        server.then("GET", "/apis/headgate.dev/v1alpha1/namespaces/shop/streamendpoints/orders", orders);
        let data = json!({ "metadata": secret, "data": { "api-key": ByteString(b"hgk_1".to_vec()) } });
        server.then("GET", "/api/v1/namespaces/shop/secrets/orders-key-default", data);
        let asked = |output| KeyShowArgs {
            endpoint: EndpointArgs { name: "orders".to_owned(), output, cluster: ClusterArgs::default() },
            key: None,
        };
        assert_eq!(line(&server.cluster("shop"), &asked(Format::Text)).await.unwrap(), "hgk_1");
        let json = line(&server.cluster("shop"), &asked(Format::Json)).await.unwrap();
        assert!(json.contains(r#""apiKey":"hgk_1""#) && json.contains(r#""id":"k1""#), "{json}");
    }
}
