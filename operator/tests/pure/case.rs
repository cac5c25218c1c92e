//! A case: the StreamEndpoint in question, and what there is besides it.

use headgate_crds::{StreamEndpoint, yaml};
use headgate_operator::References;
use headgate_operator::cluster_tokens::{ClusterTokens, Unusable};
use headgate_operator::credentials::{SecretContent, Secrets};
use headgate_operator::model::SecretLocation;
use headgate_operator::references::neighbours;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Set to write the golden files instead of comparing with them.
pub(crate) const UPDATE: &str = "HEADGATE_UPDATE_GOLDEN";

/// Folder of this package.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files that match a pattern below the root of the repository: name and text.
pub(crate) fn files(pattern: &str) -> Vec<(String, String)> {
    let pattern = package().join("..").join(pattern);
    let paths: Vec<PathBuf> = glob::glob(&pattern.to_string_lossy()).unwrap().map(Result::unwrap).collect();
    assert!(!paths.is_empty(), "no file matches {}", pattern.display());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// One document as an endpoint.
pub(crate) fn endpoint(document: &Value) -> StreamEndpoint {
    serde_json::from_value(document.clone()).unwrap()
}

/// The first endpoint of a case, with what the other documents say: KafkaConnections, its Namespace, Secrets, and other
/// endpoints. In a case without Secrets nobody has looked for any.
pub(crate) fn case(text: &str) -> (StreamEndpoint, References) {
    let documents = yaml::documents(text).unwrap();
    let of_kind = |kind: &'static str| documents.iter().filter(move |document| document["kind"] == kind);
    let endpoints: Vec<StreamEndpoint> = of_kind("StreamEndpoint").map(endpoint).collect();
    let endpoint = endpoints.first().expect("a case has a StreamEndpoint").clone();
    let connections = of_kind("KafkaConnection").map(|c| serde_json::from_value(c.clone()).unwrap()).collect();
    let mut namespace_labels: BTreeMap<String, String> = of_kind("Namespace")
        .flat_map(|namespace| namespace["metadata"]["labels"].as_object().unwrap())
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    // The API server adds it to every namespace.
    let namespace = endpoint.metadata.namespace.clone().unwrap_or_default();
    namespace_labels.insert("kubernetes.io/metadata.name".to_owned(), namespace);
    let secrets: Secrets = of_kind("Secret").map(secret).collect();
    let secrets = (!secrets.is_empty()).then_some(secrets);
    let earlier = neighbours(&endpoint, &endpoints);
    let cluster_tokens = Some(cluster_tokens("one"));
    (endpoint, References { namespace_labels, connections, secrets, cluster_tokens, earlier })
}

/// What an API server says of the tokens of its ServiceAccounts, which it signs with the key of this id.
pub(crate) fn cluster_tokens(key: &str) -> Result<ClusterTokens, Unusable> {
    let configuration = r#"{"issuer":"https://kubernetes.default.svc.cluster.local"}"#;
    let key = json!({"use": "sig", "kty": "RSA", "kid": key, "alg": "RS256", "n": "AQAB", "e": "AQAB"});
    ClusterTokens::read(configuration, &json!({"keys": [key]}).to_string())
}

/// A Secret as the API server keeps it, which has no `stringData`.
fn secret(document: &Value) -> (SecretLocation, Option<SecretContent>) {
    let secret: Secret = serde_json::from_value(document.clone()).unwrap();
    let text = |name: &Option<String>| name.clone().expect("a Secret has a name and a namespace");
    let location = SecretLocation {
        namespace: text(&secret.metadata.namespace).parse().unwrap(),
        name: text(&secret.metadata.name).parse().unwrap(),
    };
    let texts = secret.string_data.clone().unwrap_or_default().into_iter();
    let data = texts.map(|(entry, text)| (entry, ByteString(text.into_bytes()))).collect();
    (location, Some(SecretContent::from(Secret { data: Some(data), ..secret })))
}

/// Compares with a golden file, or writes it.
pub(crate) fn check_golden(name: &str, rendered: &str) {
    let golden = package().join("tests/golden").join(name);
    if env::var_os(UPDATE).is_some() {
        fs::write(&golden, rendered).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(rendered, expected, "{name}: if the change is meant, set {UPDATE}=1 and look at the difference");
}
