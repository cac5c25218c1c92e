//! Which Secrets are wanted, and what is said about those that cannot be used.

use super::*;
use crate::credentials::SecretContent;
use crate::{Invalid, model, validate};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";

fn endpoint(spec: &Value) -> StreamEndpoint {
    let mut manifest = json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "StreamEndpoint",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"app": "web", "topic": "shop.orders", "auth": {"mode": "ApiKey"}},
    });
    manifest["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(manifest).unwrap()
}

/// References with the connection `platform`, which gives every namespace that it allows a user of its own.
fn references(topics: &str, secrets: Option<Secrets>) -> References {
    let connection = json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "KafkaConnection",
        "metadata": {"name": "platform"},
        "spec": {
            "bootstrapServers": "kafka:9092",
            "tls": {"caSecretRef": {"namespace": "kafka", "name": "ca"}},
            "sasl": {"mechanism": "ScramSha512", "credentialsSecretRef": {"namespace": "kafka", "name": "shared"}},
            "allowed": [{"namespaces": {"selector": {}}, "topics": [topics],
                         "credentialsSecretRef": {"namespace": "users", "name": "user-{namespace}"}}],
        },
    });
    let connections = vec![serde_json::from_value(connection).unwrap()];
    References { connections, secrets, ..References::default() }
}

fn location(namespace: &str, name: &str) -> SecretLocation {
    SecretLocation { namespace: namespace.parse().unwrap(), name: name.parse().unwrap() }
}

/// Entries of a Secret; absent = the Secret is missing.
type Content<'a> = Option<&'a [(&'a str, &'a str)]>;

/// Secrets by `namespace/name`.
fn secrets(content: &[(&str, Content<'_>)]) -> Secrets {
    let secret = |entries: &&[(&str, &str)]| {
        let bytes = entries.iter().map(|(entry, text)| ((*entry).to_owned(), ByteString(text.as_bytes().to_vec())));
        SecretContent::from(Secret { data: Some(bytes.collect()), ..Secret::default() })
    };
    let entry = |(name, entries): &(&str, Content<'_>)| {
        let (namespace, name) = name.split_once('/').unwrap();
        (location(namespace, name), entries.as_ref().map(secret))
    };
    content.iter().map(entry).collect()
}

fn platform() -> Value {
    json!({"kafka": {"connectionRef": {"name": "platform"}}})
}

fn own_cluster() -> Value {
    json!({"kafka": {
        "bootstrapServers": "kafka:9092",
        "tls": {"caSecretRef": {"name": "ca"}, "clientCertSecretRef": {"name": "client"}},
        "sasl": {"mechanism": "Plain", "credentialsSecretRef": {"name": "user"}},
    }})
}

/// Tokens of a provider whose certificate is vouched for by this entry of a Secret.
fn provider(authority: &Value) -> Value {
    let oidc = json!({"issuerURL": "https://id.example.com", "audiences": ["orders"], "caSecretRef": authority});
    json!({"mode": "OIDC", "oidc": oidc})
}

fn problems(result: Result<model::Endpoint, Invalid>) -> Vec<(String, Reason)> {
    let problems = result.err().map(|invalid| invalid.problems).unwrap_or_default();
    problems.into_iter().map(|problem| (problem.field, problem.reason)).collect()
}

#[test]
fn secrets_of_a_connection_are_wanted_only_by_whom_it_allows() {
    let wanted = |topics: &str, spec: &Value| wanted_secrets(&endpoint(spec), &references(topics, None));
    let granted = BTreeSet::from([location("kafka", "ca"), location("users", "user-shop")]);
    assert_eq!(wanted("{namespace}.*", &platform()), granted);
    assert_eq!(wanted("other.*", &platform()), BTreeSet::new());
    let mut too_much = platform();
    too_much["replicas"] = json!(11);
    assert_eq!(wanted("{namespace}.*", &too_much), BTreeSet::new());
}

#[test]
fn every_secret_that_an_endpoint_names_is_wanted_in_its_own_namespace() {
    let mut spec = own_cluster();
    spec["publicAccess"] = json!({"tls": {"secretRef": {"name": "tls"}}});
    spec["auth"] = provider(&json!({"name": "provider"}));
    let own = ["ca", "client", "provider", "tls", "user"].map(|name| location("shop", name));
    assert_eq!(wanted_secrets(&endpoint(&spec), &References::default()), own.into());
}

#[test]
fn presence_is_not_judged_where_nobody_looked() {
    assert_eq!(problems(validate(&endpoint(&own_cluster()), &References::default())), []);
}

#[test]
fn every_missing_or_broken_secret_of_the_namespace_is_named() {
    let references = References {
        secrets: Some(secrets(&[("shop/ca", Some(&[("ca.crt", "no PEM")])), ("shop/client", None)])),
        ..References::default()
    };
    let invalid = validate(&endpoint(&own_cluster()), &references).unwrap_err();
    for name in ["ca", "client", "user"] {
        assert!(invalid.problems.iter().any(|p| p.message.contains(&format!("the Secret {name} "))), "{invalid}");
    }
    let expected = [
        ("spec.kafka.sasl.credentialsSecretRef".to_owned(), Reason::SecretNotFound),
        ("spec.kafka.tls.caSecretRef".to_owned(), Reason::SecretInvalid),
        ("spec.kafka.tls.clientCertSecretRef".to_owned(), Reason::SecretNotFound),
    ];
    assert_eq!(problems(Err(invalid)), expected);
}

#[test]
fn of_a_connections_secrets_a_tenant_learns_only_whom_to_ask() {
    let broken: [&[(&str, Content<'_>)]; 3] = [
        &[],
        &[("kafka/ca", Some(&[("ca.crt", CERTIFICATE)])), ("users/user-shop", None)],
        &[("kafka/ca", Some(&[("ca.crt", "no PEM")])), ("users/user-shop", Some(&[("password", "planted")]))],
    ];
    let told = broken.map(|content| {
        let references = references("{namespace}.*", Some(secrets(content)));
        validate(&endpoint(&platform()), &references).unwrap_err().to_string()
    });
    assert!(told.iter().all(|text| *text == told[0]), "{told:?}");
    for word in ["user-shop", "users", "planted", "ca.crt"] {
        assert!(!told[0].contains(word), "{}", told[0]);
    }
    assert!(told[0].contains("platform") && told[0].contains("ask the platform team"), "{}", told[0]);
}

#[test]
fn of_credentials_that_nobody_read_because_the_endpoint_is_not_allowed_nothing_is_said() {
    let mut too_much = platform();
    too_much["replicas"] = json!(11);
    let references = references("{namespace}.*", Some(Secrets::new()));
    let expected = [("spec.replicas".to_owned(), Reason::GuardrailExceeded)];
    assert_eq!(problems(validate(&endpoint(&too_much), &references)), expected);
}

#[test]
fn credentials_reach_the_model_and_are_never_shown() {
    let content = secrets(&[
        ("kafka/ca", Some(&[("ca.crt", CERTIFICATE)])),
        ("users/user-shop", Some(&[("password", "planted-31337")])),
        ("kafka/shared", Some(&[("password", "of others")])),
    ]);
    let model = validate(&endpoint(&platform()), &references("{namespace}.*", Some(content.clone()))).unwrap();
    let files: Vec<_> = model.kafka.files.iter().collect();
    let expected: [(&str, &[u8]); 3] =
        [("ca.crt", CERTIFICATE.as_bytes()), ("password", b"planted-31337"), ("username", b"user-shop")];
    assert_eq!(files, expected);
    assert!(!format!("{model:?}{content:?}").contains("31337"));
}

#[test]
fn gateways_get_a_certificate_that_is_there_and_whole() {
    let attempt = |exposure: &str, entries: Content<'_>| {
        let mut access = json!({"tls": {"secretRef": {"name": "tls"}}, "exposure": exposure});
        if exposure == "Ingress" {
            access["hostname"] = json!("s.example.com");
        }
        let spec = json!({"kafka": {"bootstrapServers": "k:1"}, "publicAccess": access});
        let references = References { secrets: Some(secrets(&[("shop/tls", entries)])), ..References::default() };
        validate(&endpoint(&spec), &references)
    };
    let whole: &[(&str, &str)] = &[("tls.crt", CERTIFICATE), ("tls.key", KEY)];
    let renewed: &[(&str, &str)] = &[("tls.crt", &CERTIFICATE.repeat(2)), ("tls.key", KEY)];
    let digest = |entries| attempt("LoadBalancer", Some(entries)).unwrap().certificate.unwrap().digest.unwrap();
    assert_ne!(digest(whole), digest(renewed));
    let field = "spec.publicAccess.tls.secretRef".to_owned();
    let absent = [(field.clone(), Reason::SecretNotFound)];
    assert_eq!(problems(attempt("ClusterLocal", None)), absent);
    let broken: &[(&str, &str)] = &[("tls.crt", CERTIFICATE), ("tls.key", "no PEM")];
    for exposure in ["ClusterLocal", "Ingress"] {
        let invalid = [(field.clone(), Reason::SecretInvalid)];
        assert_eq!(problems(attempt(exposure, Some(broken))), invalid);
    }
    // The Ingress has to exist before some issuers make its certificate.
    for not_yet in [None, Some(&[("tls.key", KEY)][..])] {
        assert_eq!(problems(attempt("Ingress", not_yet)), []);
    }
}

#[test]
fn the_authority_of_a_provider_is_an_entry_with_certificates_that_is_not_ours() {
    let spec = json!({
        "kafka": {"bootstrapServers": "k:1"},
        "auth": provider(&json!({"name": "provider", "key": "root.pem"})),
    });
    let attempt =
        |secrets: Secrets| validate(&endpoint(&spec), &References { secrets: Some(secrets), ..References::default() });
    let found =
        attempt(secrets(&[("shop/provider", Some(&[("root.pem", CERTIFICATE), ("ca.crt", "other")]))])).unwrap();
    let authority = found.auth.tokens().unwrap().authority.clone();
    assert_eq!(authority, Some(Certificates(CERTIFICATE.as_bytes().to_vec())));
    let field = || "spec.auth.oidc.caSecretRef".to_owned();
    for (entries, reason) in [
        (None, Reason::SecretNotFound),
        (Some(&[("ca.crt", CERTIFICATE)][..]), Reason::SecretInvalid),
        (Some(&[("root.pem", KEY)][..]), Reason::SecretInvalid),
    ] {
        assert_eq!(problems(attempt(secrets(&[("shop/provider", entries)]))), [(field(), reason)]);
    }
    let ours: Secret = serde_json::from_value(json!({
        "metadata": {"labels": {"headgate.dev/endpoint": "other"}},
        "data": {"root.pem": ByteString(CERTIFICATE.as_bytes().to_vec())},
    }))
    .unwrap();
    let ours = Secrets::from([(location("shop", "provider"), Some(SecretContent::from(ours)))]);
    assert_eq!(problems(attempt(ours)), [(field(), Reason::SecretInvalid)]);
}
