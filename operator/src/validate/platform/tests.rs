//! What the platform team learns of a connection by itself.

use super::*;
use crate::credentials::SecretContent;
use serde_json::{Value, json};

fn connection(spec: &Value) -> KafkaConnection {
    let mut manifest = json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "KafkaConnection",
        "metadata": {"name": "platform"},
        "spec": {
            "bootstrapServers": "kafka:9092",
            "sasl": {"mechanism": "ScramSha512", "credentialsSecretRef": {"namespace": "kafka", "name": "user"}},
        },
    });
    manifest["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(manifest).unwrap()
}

fn fields(spec: &Value, secrets: Option<&Secrets>) -> Vec<(String, Reason)> {
    connection_problems(&connection(spec), secrets).into_iter().map(|p| (p.field, p.reason)).collect()
}

fn entry(credentials: bool) -> Value {
    let mut entry = json!({"namespaces": {"selector": {}}, "topics": ["*"]});
    if credentials {
        entry["credentialsSecretRef"] = json!({"namespace": "kafka", "name": "user-{namespace}"});
    }
    entry
}

#[test]
fn a_missing_secret_is_named_with_its_namespace() {
    let [problem] = &connection_problems(&connection(&json!({})), Some(&Secrets::new()))[..] else { panic!("not one") };
    assert_eq!((problem.field.as_str(), problem.reason), ("spec.sasl.credentialsSecretRef", Reason::SecretNotFound));
    assert!(problem.message.contains("kafka/user"), "{}", problem.message);
    assert_eq!(fields(&json!({}), None), []);
}

#[test]
fn a_secret_without_a_password_is_invalid_for_everybody() {
    let location = connection_secrets(&connection(&json!({}))).into_iter().next().unwrap();
    let secrets = Secrets::from([(location, Some(SecretContent::default()))]);
    let expected = [("spec.sasl.credentialsSecretRef".to_owned(), Reason::SecretInvalid)];
    assert_eq!(fields(&json!({}), Some(&secrets)), expected);
}

#[test]
fn a_user_whom_no_entry_uses_is_not_wanted() {
    assert_eq!(connection_secrets(&connection(&json!({"allowed": [entry(true), entry(false)]}))).len(), 1);
    let nobody = json!({"allowed": [entry(true)]});
    assert_eq!(connection_secrets(&connection(&nobody)).len(), 0);
    assert_eq!(fields(&nobody, Some(&Secrets::new())), []);
}

#[test]
fn what_no_gateway_can_use_is_told_by_field() {
    for (spec, field) in [
        (json!({"bootstrapServers": "kafka"}), "spec.bootstrapServers"),
        (json!({"tls": {"caSecretRef": {"namespace": "kafka", "name": "CA"}}}), "spec.tls"),
        (
            json!({"sasl": {"mechanism": "OAuthBearer", "credentialsSecretRef": {"namespace": "a", "name": "b"}}}),
            "spec.sasl.mechanism",
        ),
        (
            json!({"sasl": {"mechanism": "Plain", "credentialsSecretRef": {"namespace": "a", "name": "B"}}}),
            "spec.sasl.credentialsSecretRef",
        ),
        (json!({"sasl": null, "allowed": [entry(false), entry(true)]}), "spec.allowed[1].credentialsSecretRef"),
    ] {
        assert_eq!(fields(&spec, None), [(field.to_owned(), Reason::InvalidSpec)], "{spec}");
    }
}
