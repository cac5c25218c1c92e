//! The chart as Helm renders it, by Helm 3 and Helm 4. Nothing here talks to an API server.
//!
//! Owns how Helm is called. The values are those in `charts/headgate/ci`; adding a case is adding a file there.

mod install;
mod rbac;
mod render;
mod schemas;
mod security;

use std::path::PathBuf;
use std::process::{Command, Output};

use headgate_tests::tools;
use serde_json::Value;

use super::{CHART, documents, path};

const RELEASE: &str = "headgate";
const NAMESPACE: &str = "headgate-system";

/// The oldest Kubernetes that the chart supports; a Helm that was built from source believes in a much older one.
const KUBERNETES: &str = "1.33.0";

/// Helm 3 and Helm 4, each with its name.
fn helms() -> [(&'static str, PathBuf); 2] {
    [("Helm 3", tools::helm3().unwrap()), ("Helm 4", tools::helm4().unwrap())]
}

fn helm3() -> PathBuf {
    tools::helm3().unwrap()
}

/// The files of values, by name.
fn cases() -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(path(&format!("{CHART}/ci"))).unwrap();
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 4, "{cases:?}");
    cases.into_iter().map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path)).collect()
}

fn output(command: &mut Command) -> Output {
    command.current_dir(path("")).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What a command writes if it succeeds.
fn success(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `helm template` with further arguments. Our API is there, as on a cluster that has the CRDs.
fn template(helm: &PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new(helm);
    command.args(["template", RELEASE, CHART, "--namespace", NAMESPACE, "--kube-version", KUBERNETES]);
    command.args(["--api-versions", "headgate.dev/v1alpha1"]).args(arguments);
    command
}

/// The objects that the values of a file make.
fn objects(helm: &PathBuf, values: &PathBuf) -> Vec<Value> {
    documents("helm template", &success(template(helm, &["--values"]).arg(values)))
}

/// The objects that some `--set` make.
fn objects_with(settings: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    documents("helm template", &success(&mut template(&helm3(), &arguments)))
}

/// The objects of a kind.
fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The text at a JSON pointer.
fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The variables of the operator's container.
fn environment(objects: &[Value]) -> Vec<(String, String)> {
    let [deployment] = of_kind(objects, "Deployment").try_into().unwrap();
    let variables = deployment.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array).unwrap();
    variables.iter().map(|one| (text(one, "/name").to_owned(), text(one, "/value").to_owned())).collect()
}
