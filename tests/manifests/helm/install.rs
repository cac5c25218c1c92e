//! `deploy/`: what people apply without Helm is what the chart makes.

use std::path::Path;
use std::process::Command;

use headgate_tests::tools;
use serde_json::Value;

use super::{CHART, KUBERNETES, helm3, of_kind, success, text};
use crate::{documents, path, read};

const FILE: &str = "deploy/install.yaml";

/// The words of `xtask/src/generate.rs`.
fn rendered() -> String {
    let mut helm = Command::new(helm3());
    helm.args(["template", "headgate", CHART, "--namespace", "headgate-system", "--kube-version", KUBERNETES]);
    success(helm.args(["--set", "plainManifests=true"]))
}

fn committed() -> Vec<Value> {
    documents(FILE, &read(FILE))
}

#[test]
fn install_yaml_is_what_the_chart_makes() {
    assert!(rendered() == read(FILE), "{FILE} is not current: run `cargo xtask gen`");
}

#[test]
fn install_yaml_has_its_namespace_first_and_nothing_that_only_helm_reads() {
    let objects = committed();
    assert_eq!((text(&objects[0], "/kind"), text(&objects[0], "/metadata/name")), ("Namespace", "headgate-system"));
    let text = read(FILE);
    for word in ["helm.sh/", "managed-by: Helm", "StreamEndpoint\nmetadata"] {
        assert!(!text.contains(word), "{word}");
    }
}

/// The objects that `kubectl kustomize` makes of a folder.
fn kustomize(folder: &Path) -> Vec<Value> {
    let mut kubectl = Command::new(tools::kube().unwrap().join("bin/kube"));
    documents("kustomize", &success(kubectl.args(["kubectl", "kustomize"]).arg(folder)))
}

#[test]
fn kustomize_makes_the_same_objects() {
    let key = |object: &Value| (text(object, "/kind").to_owned(), text(object, "/metadata/name").to_owned());
    let (mut made, mut expected) = (kustomize(&path("deploy")), committed());
    made.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!(made, expected);
}

#[test]
fn an_overlay_changes_both_images_and_the_namespace_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    std::fs::create_dir(&base).unwrap();
    for entry in std::fs::read_dir(path("deploy")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), base.join(entry.file_name())).unwrap();
    }
    let overlay = "resources: [base]\nnamespace: streams\nimages:\n\
        - {name: images.headgate.dev/operator, newName: registry.example.com/operator, newTag: '2'}\n\
        - {name: images.headgate.dev/gateway, newName: registry.example.com/gateway, newTag: '3'}\n";
    std::fs::write(folder.path().join("kustomization.yaml"), overlay).unwrap();
    let objects = kustomize(folder.path());
    let container = of_kind(&objects, "Deployment")[0].pointer("/spec/template/spec/containers/0").unwrap();
    assert_eq!(container["image"], "registry.example.com/operator:2");
    let variables = container["env"].as_array().unwrap();
    assert!(variables.iter().any(|variable| variable["value"] == "registry.example.com/gateway:3"));
    let whole = serde_json::to_string(&objects).unwrap();
    assert!(!whole.contains("headgate-system") && !whole.contains("images.headgate.dev"));
}
