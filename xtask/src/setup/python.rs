//! A Python environment with a WebSocket client that is not ours.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cache, process, workspace};

/// Gives the interpreter.
pub(super) fn set_up() -> Result<PathBuf> {
    let requirements = workspace::root()?.join("tests/servers/python/requirements.txt");
    let pins = fs::read(&requirements).context("cannot read the requirements of Python")?;
    // The environment refers to the interpreter that made it, so its version is a pin too.
    let version =
        process::output(Command::new("python3").args(["-c", "import sys; print(sys.executable, sys.version)"]))?;
    let environment = cache::entry("python", &[&pins, version.as_bytes()], |folder| {
        process::quiet(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--requirement"]).arg(&requirements);
        process::quiet(&mut pip)
    })?;
    Ok(environment.join("bin/python"))
}
