//! A real browser, and the library that drives it.
//!
//! The browser comes from the system's packages; the library downloads none of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cache, process, workspace};

const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const PINS: [&str; 2] = ["package.json", "package-lock.json"];

/// A browser and the modules that drive it.
#[derive(Debug)]
pub(super) struct Browser {
    pub(super) program: PathBuf,
    pub(super) modules: PathBuf,
}

/// Gives the browser and the `node_modules` folder.
pub(super) fn set_up() -> Result<Browser> {
    let program = find().context("no Chromium in PATH")?;
    let sources = workspace::root()?.join("tests/servers/browser");
    let read = |name: &str| fs::read(sources.join(name)).with_context(|| format!("cannot read {name} of the browser"));
    let [package, lock] = [read(PINS[0])?, read(PINS[1])?];
    let folder = cache::entry("browser", &[&package, &lock], |folder| {
        fs::write(folder.join(PINS[0]), &package)?;
        fs::write(folder.join(PINS[1]), &lock)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder);
        process::quiet(&mut npm)
    })?;
    Ok(Browser { program, modules: folder.join("node_modules") })
}

/// The first Chromium in the PATH.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    PROGRAMS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}
