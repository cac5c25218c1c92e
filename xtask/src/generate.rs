//! `cargo xtask gen`: writes the generated files. That they are current is checked by `cargo test`, not here.

use std::process::ExitCode;

use anyhow::Result;

use crate::{process, workspace};

pub(crate) fn run() -> Result<ExitCode> {
    let arguments = ["run", "--quiet", "--locked", "--package", "headgate-crds", "--bin", "crdgen"];
    process::shown(&mut workspace::cargo(&arguments)?)?;
    Ok(ExitCode::SUCCESS)
}
