//! What comes out of the chart, for every file of values.

use std::collections::BTreeSet;
use std::process::Command;

use headgate_operator::args::from_arguments;
use serde_json::Value;

use super::{
    CHART, KUBERNETES, cases, environment, helm3, helms, objects, objects_with, of_kind, output, success, template,
    text,
};
use crate::yaml;

#[test]
fn helm_lint_finds_nothing() {
    for (name, helm) in helms() {
        let mut lint = Command::new(&helm);
        lint.args(["lint", CHART, "--strict", "--kube-version", KUBERNETES]);
        let said = success(&mut lint);
        assert!(said.contains("0 chart(s) failed"), "{name}: {said}");
        for (case, values) in cases() {
            let mut lint = Command::new(&helm);
            lint.args(["lint", CHART, "--strict", "--kube-version", KUBERNETES, "--values"]).arg(&values);
            // Lint knows no cluster, so that this case ends in the sentence about the missing CRDs.
            if case != "everything-values" {
                success(&mut lint);
            }
        }
    }
}

#[test]
fn helm_3_and_helm_4_make_the_same_objects() {
    let [(_, three), (_, four)] = helms();
    for (case, values) in cases() {
        let key = |object: &Value| (text(object, "/kind").to_owned(), text(object, "/metadata/name").to_owned());
        let (mut left, mut right) = (objects(&three, &values), objects(&four, &values));
        left.sort_by_key(key);
        right.sort_by_key(key);
        assert_eq!(left, right, "{case}");
    }
}

#[test]
fn no_object_has_a_key_twice() {
    // serde_yaml refuses duplicate keys in a mapping that it reads as a mapping.
    for (case, values) in cases() {
        let rendered = success(template(&helm3(), &["--values"]).arg(&values));
        for document in serde_yaml::Deserializer::from_str(&rendered) {
            let read: Result<serde_yaml::Value, _> = serde::Deserialize::deserialize(document);
            read.unwrap_or_else(|error| panic!("{case}: {error}"));
        }
    }
}

#[test]
fn every_object_has_the_standard_labels_and_is_there_once() {
    const LABELS: [&str; 4] = ["name", "instance", "part-of", "version"];
    for (case, values) in cases() {
        let mut seen = BTreeSet::new();
        for object in objects(&helm3(), &values) {
            let identity =
                ["/kind", "/metadata/namespace", "/metadata/name"].map(|part| text(&object, part).to_owned());
            assert!(seen.insert(identity.clone()), "{case}: {identity:?} is there twice");
            if identity[2].starts_with("headgate-as-") {
                continue; // somebody else's, through extraObjects
            }
            for label in LABELS {
                let value = text(&object, &format!("/metadata/labels/app.kubernetes.io~1{label}"));
                assert!(!value.is_empty(), "{case}: {identity:?} has no {label}");
            }
        }
    }
}

/// Helm writes 0.0 as 0, which is the same number.
fn with_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.iter().map(with_floats).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), with_floats(member))).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_crds_are_installed_as_they_are_and_kept() {
    let rendered = objects_with(&[]);
    let crds = of_kind(&rendered, "CustomResourceDefinition");
    assert_eq!(crds.len(), 2);
    for crd in crds {
        let plural = text(crd, "/spec/names/plural");
        let original = &yaml(&format!("crds/yaml/{plural}.yaml"))["spec"];
        assert!(with_floats(&crd["spec"]) == with_floats(original), "{plural}");
        assert_eq!(crd["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
    for crd in of_kind(&objects_with(&["crds.keep=false"]), "CustomResourceDefinition") {
        assert!(crd["metadata"]["annotations"].is_null());
    }
    assert!(of_kind(&objects_with(&["crds.enabled=false"]), "CustomResourceDefinition").is_empty());
}

#[test]
fn a_package_has_everything_that_the_chart_needs() {
    let folder = tempfile::tempdir().unwrap();
    let mut package = Command::new(helm3());
    success(package.args(["package", CHART, "--destination"]).arg(folder.path()));
    let archive = folder.path().join(format!("headgate-{}.tgz", env!("CARGO_PKG_VERSION")));
    let mut rendered = Command::new(helm3());
    rendered.args(["template", "headgate"]).arg(&archive).args(["--kube-version", KUBERNETES]);
    let rendered = success(&mut rendered);
    assert!(rendered.contains("streamendpoints.headgate.dev") && rendered.contains("kind: ClusterRole"));
    // What a release stores must fit into a Secret of 1 MiB, of which the chart is the greater part.
    assert!(std::fs::metadata(&archive).unwrap().len() < 256 * 1024);
}

#[test]
fn the_operator_gets_every_setting() {
    let (_, values) = cases().into_iter().find(|(case, _)| case == "everything-values").unwrap();
    let environment = environment(&objects(&helm3(), &values));
    for (name, value) in [
        ("HEADGATE_GATEWAY_IMAGE", "registry.example.com:5000/headgate/gateway:1.0"),
        ("HEADGATE_GATEWAY_IMAGE_PULL_POLICY", "Never"),
        ("HEADGATE_GATEWAY_IMAGE_PULL_SECRETS", "gateway-pull,other-pull"),
        ("HEADGATE_CLUSTER_DOMAIN", "example.internal"),
        ("HEADGATE_NETWORK_POLICY", "Disabled"),
        ("HEADGATE_PRE_STOP_SECONDS", "10"),
        ("HEADGATE_RESYNC_SECONDS", "600"),
        ("HEADGATE_CONCURRENCY", "4"),
        ("HEADGATE_LEASE_NAME", "streams"),
        ("HEADGATE_LOG_FORMAT", "text"),
        ("RUST_LOG", "info,headgate_operator=debug"),
        ("HTTPS_PROXY", "http://proxy:3128"),
    ] {
        assert!(environment.contains(&(name.to_owned(), value.to_owned())), "{name}={value} is not in {environment:?}");
    }
}

#[test]
fn the_operator_understands_every_variable_that_it_gets() {
    for (case, values) in cases() {
        let mut arguments = vec!["headgate-operator".to_owned()];
        for (name, value) in environment(&objects(&helm3(), &values)) {
            // Every variable of ours is named after a flag.
            if let Some(name) = name.strip_prefix("HEADGATE_") {
                arguments.extend([format!("--{}", name.to_lowercase().replace('_', "-")), value]);
            }
        }
        assert!(arguments.len() > 10, "{case}: {arguments:?}");
        from_arguments(arguments).unwrap_or_else(|error| panic!("{case}: {error}"));
    }
}

#[test]
fn namespaces_that_no_network_policy_would_let_in_are_not_told() {
    const NAME: &str = "HEADGATE_ADMIN_NAMESPACES";
    let told = |settings: &[&str]| environment(&objects_with(settings)).into_iter().find(|(name, _)| name == NAME);
    let namespaces = "adminNamespaces={monitoring,grafana}";
    assert_eq!(told(&[namespaces]).unwrap().1, "monitoring,grafana");
    // The operator refuses to start with what contradicts itself.
    assert_eq!(told(&[namespaces, "gateway.networkPolicy=false"]), None);
}

#[test]
fn a_digest_comes_before_a_tag_and_the_version_is_the_default() {
    let image = |settings: &[&str]| {
        let rendered = objects_with(settings);
        text(of_kind(&rendered, "Deployment")[0], "/spec/template/spec/containers/0/image").to_owned()
    };
    assert_eq!(image(&[]), format!("images.headgate.dev/operator:{}", env!("CARGO_PKG_VERSION")));
    let digest = format!("sha256:{}", "0".repeat(64));
    let pinned = image(&["image.tag=1.0", &format!("image.digest={digest}")]);
    assert_eq!(pinned, format!("images.headgate.dev/operator@{digest}"));
}

#[test]
fn a_budget_never_blocks_the_drain_of_a_single_replica() {
    assert!(of_kind(&objects_with(&[]), "PodDisruptionBudget").is_empty());
    assert_eq!(of_kind(&objects_with(&["replicas=2"]), "PodDisruptionBudget").len(), 1);
}

#[test]
fn a_wrong_value_is_refused_with_its_name() {
    for (setting, named) in [
        ("replica=2", "replica"),
        ("gateway.image.tags=1", "tags"),
        ("replicas=0", "replicas"),
        ("image.digest=latest", "digest"),
        ("watchNamespaces=shop", "watchNamespaces"),
        ("kafkaConnection.create=true", "bootstrapServers"),
        ("serviceAccount.create=false", "serviceAccount.name"),
    ] {
        for (name, helm) in helms() {
            let output = output(&mut template(&helm, &["--set", setting]));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(named), "{name}: {setting}: {said}");
        }
    }
}

#[test]
fn a_connection_cannot_come_in_the_command_that_brings_its_crd() {
    let mut first = Command::new(helm3());
    first.args(["template", "headgate", CHART, "--kube-version", KUBERNETES, "--set", "kafkaConnection.create=true"]);
    let output = output(first.args(["--set", "kafkaConnection.spec.bootstrapServers=kafka:9092"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("helm upgrade"), "{said}");
}

#[test]
fn the_test_runs_where_the_operator_may_work() {
    let pod = |settings: &[&str]| {
        let mut settings = settings.to_vec();
        settings.push("test.topic=shop.test");
        let rendered = objects_with(&settings);
        let pods = of_kind(&rendered, "Pod");
        let argument = text(pods[0], "/spec/containers/0/args/1").to_owned();
        let endpoint = of_kind(&rendered, "StreamEndpoint")[0];
        assert_eq!(endpoint["metadata"]["namespace"], pods[0]["metadata"]["namespace"]);
        let problems = headgate_crds::lint::check_manifest(endpoint, None);
        assert!(problems.is_empty(), "{problems:?}");
        (text(pods[0], "/metadata/namespace").to_owned(), argument)
    };
    let url = |namespace| format!("ws://headgate-test-gateway.{namespace}.svc.cluster.local:8080/headgate-test");
    for (settings, namespace) in [
        (&[][..], "headgate-system"),
        (&["watchNamespaces={shop,iot}"], "shop"),
        (&["watchNamespaces={shop,headgate-system}"], "headgate-system"),
        (&["test.namespace=iot"], "iot"),
    ] {
        assert_eq!(pod(settings), (namespace.to_owned(), url(namespace)));
    }
    assert!(of_kind(&objects_with(&[]), "Pod").is_empty(), "without a topic there is nothing to test");
}
