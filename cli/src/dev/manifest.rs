//! The endpoints of dev mode: from the documents that the user named, or the examples, to what a gateway reads.
//!
//! Owns no rule: the operator's own steps decide what is valid and what a gateway is told. Only what belongs to this run
//! (addresses, Kafka, the keys file) is put in its place here.

use crate::endpoint::{endpoint, warnings};
use crate::manifest::{self, Document, ManifestError};
use crate::output::notice;
use anyhow::bail;
use headgate_operator::Settings;
use headgate_operator::model::Endpoint;
use headgate_wire::GatewayConfig;
use headgate_wire::config::{Properties, SigningAlgorithm};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The examples that are streamed if the user names no manifest, by the file that they are in.
const BUILT_IN: [(&str, &str); 2] = [
    ("examples/minimal.yaml", include_str!("../../../examples/minimal.yaml")),
    ("examples/sensors.yaml", include_str!("../../../examples/sensors.yaml")),
];
/// The example that is added for the test issuer.
const FOR_PEOPLE: (&str, &str) = ("my-orders.yaml", include_str!("issuer/my-orders.yaml"));
/// How long a stopping gateway takes here: nobody waits for another one to take over.
const DRAIN_SECONDS: u32 = 1;

/// What a manifest does not say, because it is this run's.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// Kafka.
    pub(crate) bootstrap_servers: String,
    /// librdkafka properties.
    pub(crate) properties: Properties,
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// Where probes connect.
    pub(crate) admin: SocketAddr,
    /// The test issuer, which takes the place of every other one.
    pub(crate) issuer: Option<String>,
}

/// The manifests of these files, or the built-in examples if there are none; one of those is for people who log in.
pub(crate) fn documents(files: &[PathBuf], for_people: bool) -> Result<Vec<Document>, ManifestError> {
    let mut documents = Vec::new();
    for file in files {
        documents.extend(manifest::read(file)?);
    }
    if files.is_empty() {
        for (name, text) in BUILT_IN.into_iter().chain(for_people.then_some(FOR_PEOPLE)) {
            documents.extend(manifest::parse(name, text)?);
        }
    }
    Ok(documents)
}

/// The endpoints among these documents; every problem of every one in one error.
pub(crate) fn endpoints(documents: &[Document]) -> anyhow::Result<Vec<Endpoint>> {
    let mut endpoints = Vec::new();
    let mut sentences = String::new();
    for document in documents.iter().filter(|document| headgate_crds::lint::is_ours(&document.value)) {
        match endpoint(document) {
            Ok(found) => {
                for warning in warnings(document) {
                    notice(format_args!("warning: {}: {warning}", document.name()));
                }
                endpoints.extend(found);
            }
            Err(problems) => {
                let place = format!("{}, {} {}", document.file, document.kind(), document.name());
                for problem in problems {
                    let _ = write!(sentences, "\n  {place}: {problem}");
                }
            }
        }
    }
    if !sentences.is_empty() {
        bail!("the manifests are not valid:{sentences}");
    }
    if endpoints.is_empty() {
        bail!("there is no StreamEndpoint in these files; `headgate dev` without -f runs two examples");
    }
    Ok(endpoints)
}

/// What the gateway of this endpoint reads in this run.
pub(crate) fn gateway_config(endpoint: &Endpoint, surroundings: &Surroundings, keys_file: PathBuf) -> GatewayConfig {
    let settings = Settings {
        stream: surroundings.listen,
        admin: surroundings.admin,
        keys_file,
        // There is one gateway of each app, which needs nobody else to know its tickets.
        ticket_key_file: None,
        ..Settings::default()
    };
    let mut config = headgate_operator::gateway_config(endpoint, &settings);
    if config.kafka.tls.is_some() || config.kafka.sasl.is_some() {
        notice(format_args!("{}: without TLS and SASL to Kafka here, whatever the manifest says", config.app));
    }
    config.kafka.bootstrap_servers.clone_from(&surroundings.bootstrap_servers);
    config.kafka.properties = surroundings.properties.clone();
    config.kafka.tls = None;
    config.kafka.sasl = None;
    config.listeners.tls = None;
    if let (Some(oidc), Some(issuer)) = (&mut config.auth.oidc, &surroundings.issuer) {
        oidc.issuer_url.clone_from(issuer);
        (oidc.ca_file, oidc.jwks_file) = (None, None);
        oidc.algorithms = vec![SigningAlgorithm::ES256];
    } else if let Some(oidc) = &mut config.auth.oidc
        && oidc.ca_file.take().is_some()
    {
        notice(format_args!("{}: the provider is checked by this machine's certificate authorities here", config.app));
    }
    config.drain_seconds = DRAIN_SECONDS;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_examples_are_valid_and_one_of_them_is_open() {
        let endpoints = endpoints(&documents(&[], false).unwrap()).unwrap();
        let open: Vec<_> = endpoints.iter().map(|e| (e.app.as_str(), e.public_access.anonymous)).collect();
        assert_eq!(open, [("orders", false), ("sensors", true)]);
    }

    #[test]
    fn what_belongs_to_this_run_replaces_what_a_cluster_would_have() {
        let text = include_str!("../../../examples/tls-sasl.yaml");
        let endpoint = endpoints(&manifest::parse("f", text).unwrap()).unwrap().remove(0);
        let surroundings = Surroundings {
            bootstrap_servers: "127.0.0.1:4711".to_owned(),
            properties: Properties::default(),
            listen: ([127, 0, 0, 1], 1).into(),
            admin: ([127, 0, 0, 1], 2).into(),
            issuer: None,
        };
        let config = gateway_config(&endpoint, &surroundings, "/tmp/keys.json".into());
        assert_eq!(
            (config.kafka.bootstrap_servers.as_str(), config.kafka.topic.as_str()),
            ("127.0.0.1:4711", "shop.audit")
        );
        assert_eq!((config.kafka.tls, config.kafka.sasl, config.listeners.tls), (None, None, None));
        assert_eq!((config.listeners.stream.port(), config.listeners.admin.port()), (1, 2));
        assert_eq!((config.auth.keys_file, config.auth.ticket_key_file), (Some("/tmp/keys.json".into()), None));
    }

    #[test]
    fn the_test_issuer_takes_the_place_of_the_one_in_the_manifest_and_the_audiences_stay() {
        let documents = documents(&[], true).unwrap();
        let endpoints = endpoints(&documents).unwrap();
        let endpoint = endpoints.iter().find(|endpoint| endpoint.app.as_str() == "my-orders").unwrap();
        let surroundings = Surroundings {
            bootstrap_servers: "127.0.0.1:4711".to_owned(),
            properties: Properties::default(),
            listen: ([127, 0, 0, 1], 1).into(),
            admin: ([127, 0, 0, 1], 2).into(),
            issuer: Some("http://127.0.0.1:8082".to_owned()),
        };
        let oidc = gateway_config(endpoint, &surroundings, "/tmp/keys.json".into()).auth.oidc.unwrap();
        assert_eq!((oidc.issuer_url.as_str(), oidc.audiences), ("http://127.0.0.1:8082", vec!["my-orders".to_owned()]));
    }

    #[test]
    fn a_manifest_that_would_be_refused_is_refused_with_its_place() {
        let text = "apiVersion: headgate.dev/v1alpha1\nkind: StreamEndpoint\nmetadata: {name: a}\nspec: {app: a}\n";
        let error = endpoints(&manifest::parse("f.yaml", text).unwrap()).unwrap_err().to_string();
        assert!(error.contains("f.yaml, StreamEndpoint a: spec"), "{error}");
    }

    #[test]
    fn files_without_an_endpoint_are_an_error() {
        assert!(endpoints(&manifest::parse("f", "apiVersion: v1\nkind: Secret\n").unwrap()).is_err());
    }
}
