//! Packages of npm, at the versions and with the content that a lock file of ours names.
//!
//! Their scripts are not run: what we use is plain JavaScript.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cache, process, workspace};

const PINS: [&str; 2] = ["package.json", "package-lock.json"];

/// Installs what `tests/servers/<name>` pins and gives the `node_modules` folder.
pub(super) fn install(name: &str) -> Result<PathBuf> {
    let sources = workspace::root()?.join("tests/servers").join(name);
    let read = |pin: &str| fs::read(sources.join(pin)).with_context(|| format!("cannot read {pin} of {name}"));
    let [package, lock] = [read(PINS[0])?, read(PINS[1])?];
    let folder = cache::entry(name, &[&package, &lock], |folder| {
        fs::write(folder.join(PINS[0]), &package)?;
        fs::write(folder.join(PINS[1]), &lock)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder);
        process::quiet(&mut npm)
    })?;
    Ok(folder.join("node_modules"))
}
