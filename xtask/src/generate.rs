//! `cargo xtask gen`: writes the generated files. That they are current is checked by tests, not here.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::{process, progress, workspace};

/// Names the program of Helm 3, as `cargo xtask setup` prints it.
const HELM_VARIABLE: &str = "HEADGATE_HELM3";

/// How the chart becomes `deploy/install.yaml`; `tests/manifests/helm/install.rs` has the same words.
const TEMPLATE: [&str; 9] = [
    "template",
    "headgate",
    "charts/headgate",
    "--namespace",
    "headgate-system",
    "--kube-version",
    "1.33.0",
    "--set",
    "plainManifests=true",
];

pub(crate) fn run() -> Result<ExitCode> {
    let arguments = ["run", "--quiet", "--locked", "--package", "headgate-crds", "--bin", "crdgen"];
    process::shown(&mut workspace::cargo(&arguments)?)?;
    let with_reference = ["--package", "headgate-wire", "--features", "reference", "--bin", "configgen"];
    process::shown(workspace::cargo(&["run", "--quiet", "--locked"])?.args(with_reference))?;
    if let Some(mut helm) = helm() {
        let rendered = process::output(helm.args(TEMPLATE).current_dir(workspace::root()?))?;
        let path = workspace::root()?.join("deploy/install.yaml");
        std::fs::write(&path, rendered).with_context(|| format!("cannot write {}", path.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    progress::warn("deploy/install.yaml was left as it is, because there is no Helm 3");
    progress::note("eval \"$(cargo xtask setup)\" installs it; then run this again");
    Ok(ExitCode::FAILURE)
}

/// Helm 3, from the setup of the tests or from the path. Helm 4 sets blank lines differently.
fn helm() -> Option<Command> {
    let program = std::env::var_os(HELM_VARIABLE).unwrap_or_else(|| "helm".into());
    let version = process::output(Command::new(&program).args(["version", "--short"])).ok()?;
    version.starts_with("v3.").then(|| Command::new(program))
}
