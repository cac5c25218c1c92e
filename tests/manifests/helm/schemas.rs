//! kubeconform over everything that the chart makes, with schemas that refuse unknown fields.
//!
//! The schemas are made here: of Kubernetes' kinds from the types of k8s-openapi, of ours from the CRDs. So nothing is
//! downloaded, and a kind without a schema is an error, not a skip; only the Prometheus operator's are left out.

use std::path::Path;
use std::process::Command;

use headgate_crds::codegen::{kafka_connection_crd, schema, stream_endpoint_crd};
use headgate_tests::tools;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use schemars::{JsonSchema, schema_for};
use serde_json::{Value, json};

use super::{cases, helm3, output, success, template};
use crate::read;

/// Kinds of an API that we have no types of.
const SKIPPED: &str = "ServiceMonitor,PodMonitor";

/// Definitions in which k8s-openapi calls anything an object. What a CRD has in these places is checked by its own tests.
const ANYTHING: [&str; 4] = ["JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray"];

/// Refuses fields that the schema does not name, as the API server does with `--validate=strict`.
fn strict(schema: &mut Value) {
    if let Some(members) = schema.as_object_mut() {
        let open = members.contains_key("additionalProperties")
            || members.get("x-kubernetes-preserve-unknown-fields").is_some_and(|value| value == true);
        if members.get("properties").is_some_and(Value::is_object) && !open {
            members.insert("additionalProperties".to_owned(), json!(false));
        }
        members.values_mut().for_each(strict);
    } else if let Some(items) = schema.as_array_mut() {
        items.iter_mut().for_each(strict);
    }
}

fn write(folder: &Path, kind: &str, version: &str, mut schema: Value) {
    // Every object has these; not every schema names them.
    for name in ["apiVersion", "kind"] {
        schema["properties"][name] = json!({"type": "string"});
    }
    if schema["properties"]["metadata"].is_null() {
        schema["properties"]["metadata"] = json!({"type": "object", "additionalProperties": true});
    }
    for (name, definition) in schema["$defs"].as_object_mut().into_iter().flatten() {
        if ANYTHING.iter().any(|anything| name.ends_with(&format!(".{anything}"))) {
            *definition = json!(true);
        }
    }
    strict(&mut schema);
    let file = folder.join(format!("{}_{version}.json", kind.to_lowercase()));
    std::fs::write(file, schema.to_string()).unwrap();
}

fn built_in<T: JsonSchema + k8s_openapi::Resource>(folder: &Path) {
    write(folder, T::KIND, T::VERSION, schema_for!(T).to_value());
}

fn schemas(folder: &Path) {
    built_in::<ClusterRole>(folder);
    built_in::<ClusterRoleBinding>(folder);
    built_in::<ConfigMap>(folder);
    built_in::<CustomResourceDefinition>(folder);
    built_in::<Deployment>(folder);
    built_in::<Namespace>(folder);
    built_in::<NetworkPolicy>(folder);
    built_in::<Pod>(folder);
    built_in::<PodDisruptionBudget>(folder);
    built_in::<Role>(folder);
    built_in::<RoleBinding>(folder);
    built_in::<Service>(folder);
    built_in::<ServiceAccount>(folder);
    for (kind, crd) in [("StreamEndpoint", stream_endpoint_crd()), ("KafkaConnection", kafka_connection_crd())] {
        write(folder, kind, "v1alpha1", schema(crd).clone());
    }
}

/// What kubeconform says about a text; an empty text if it finds nothing.
fn conform(folder: &Path, manifests: &str) -> String {
    let file = folder.join("manifests.yaml");
    std::fs::write(&file, manifests).unwrap();
    let location = folder.join("{{.ResourceKind}}_{{.ResourceAPIVersion}}.json");
    let mut command = Command::new(tools::kubeconform().unwrap());
    command.args(["-strict", "-skip", SKIPPED, "-schema-location"]).arg(location).arg(&file);
    let output = output(&mut command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

#[test]
fn every_object_of_the_chart_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    schemas(folder.path());
    for (case, values) in cases() {
        let rendered = success(template(&helm3(), &["--values"]).arg(&values));
        assert_eq!(conform(folder.path(), &rendered), "", "{case}");
    }
    assert_eq!(conform(folder.path(), &read("deploy/install.yaml")), "");
}

#[test]
fn a_misspelt_field_would_be_found() {
    let folder = tempfile::tempdir().unwrap();
    schemas(folder.path());
    let rendered = success(&mut template(&helm3(), &[]));
    for (right, wrong) in [
        ("revisionHistoryLimit: 3", "revisionHistory: 3"),
        ("roleRef:", "roleReference:"),
        ("enableServiceLinks: false", "enableServiceLinks: never"),
    ] {
        assert!(rendered.contains(right), "{right}");
        assert_ne!(conform(folder.path(), &rendered.replace(right, wrong)), "", "{wrong}");
    }
}
