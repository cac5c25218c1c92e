//! `cargo xtask images`: builds the operator and the gateway and writes their images as archives.
//!
//! How an image is made is the matter of the tests' harness.

use std::process::ExitCode;

use anyhow::Result;

use crate::setup::{self, Need};
use crate::{process, progress, workspace};

pub(crate) fn run() -> Result<ExitCode> {
    setup::ensure(&Need::BUILD)?;
    let target = workspace::target()?;
    let packages = ["--package", "headgate-operator", "--package", "headgate-gateway", "--package", "headgate-tests"];
    let mut build = workspace::cargo(&["build", "--locked", "--bins", "--features", "headgate-tests/cluster"])?;
    process::shown(build.args(packages))?;
    let folder = target.join("images");
    let mut images = std::process::Command::new(target.join("debug/headgate-images"));
    process::shown(images.arg(&folder).env("HEADGATE_BIN_DIR", target.join("debug")))?;
    progress::note(
        "for kind: `kind load image-archive FILE`; for containerd: `ctr --namespace k8s.io images import FILE`",
    );
    for name in ["operator.tar", "gateway.tar"] {
        progress::result(&folder.join(name).display());
    }
    Ok(ExitCode::SUCCESS)
}
