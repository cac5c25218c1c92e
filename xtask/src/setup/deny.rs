//! cargo-deny, built once.

use std::path::PathBuf;

use anyhow::Result;

use crate::{cache, process, workspace};

const VERSION: &str = "0.20.2";

/// Gives the program.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let folder = cache::entry("cargo-deny", &[VERSION.as_bytes()], |folder| {
        let mut install = workspace::cargo(&["install", "cargo-deny", "--version", VERSION, "--locked", "--root"])?;
        // Its own build would stay behind in a target folder that is shared with ours.
        install.arg(folder).env_remove("CARGO_TARGET_DIR");
        process::quiet(&mut install)
    })?;
    Ok(folder.join("bin/cargo-deny"))
}
