//! A real browser, and the library that drives it.
//!
//! The browser comes from the system's packages; the library downloads none of its own.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::npm;

const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser and the modules that drive it.
#[derive(Debug)]
pub(super) struct Browser {
    pub(super) program: PathBuf,
    pub(super) modules: PathBuf,
}

/// Gives the browser and the `node_modules` folder.
pub(super) fn set_up() -> Result<Browser> {
    let program = find().context("no Chromium in PATH")?;
    Ok(Browser { program, modules: npm::install("browser")? })
}

/// The first Chromium in the PATH.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    PROGRAMS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}
