//! `headgate url`: where the clients of a StreamEndpoint connect.

use crate::args::{EndpointArgs, Format};
use crate::cluster::Cluster;
use crate::cluster::access::{AccessError, url};
use crate::output::Output;
use headgate_crds::StreamEndpoint;
use serde_json::json;
use std::process::ExitCode;

/// Prints the URL.
pub(crate) fn run(args: &EndpointArgs) -> anyhow::Result<ExitCode> {
    let (endpoint, namespace) = super::block_on(async {
        let cluster = Cluster::connect(&args.cluster).await?;
        Ok((cluster.endpoint(&args.name).await?, cluster.namespace().to_owned()))
    })?;
    let mut output = Output::stdout();
    output.line(line(&endpoint, &namespace, args)?.as_bytes())?;
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn line(endpoint: &StreamEndpoint, namespace: &str, args: &EndpointArgs) -> Result<String, AccessError> {
    let url = url(endpoint).ok_or_else(|| AccessError::NoUrl(args.name.clone()))?;
    Ok(match args.output {
        Format::Text => url.to_owned(),
        Format::Json => {
            json!({ "namespace": namespace, "name": args.name, "app": endpoint.spec.app, "url": url }).to_string()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::ClusterArgs;
    use crate::cluster::fake;

    #[test]
    fn the_url_is_printed_alone_or_its_absence_is_explained() {
        let mut value = fake::endpoint("shop", "orders");
        let args = EndpointArgs { name: "orders".to_owned(), output: Format::Text, cluster: ClusterArgs::default() };
        let fresh = serde_json::from_value(value.clone()).unwrap();
        let error = line(&fresh, "shop", &args).unwrap_err().to_string();
        assert_eq!(error, "orders has no URL yet: see headgate why orders");
        value["status"] = json!({ "url": "wss://h/orders" });
        let served = serde_json::from_value(value).unwrap();
        assert_eq!(line(&served, "shop", &args).unwrap(), "wss://h/orders");
        let json = line(&served, "shop", &EndpointArgs { output: Format::Json, ..args }).unwrap();
        assert_eq!(json, r#"{"app":"orders","name":"orders","namespace":"shop","url":"wss://h/orders"}"#);
    }
}
