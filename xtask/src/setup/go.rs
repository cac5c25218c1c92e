//! Programs written in Go: built from sources of ours, or installed by their version.
//!
//! Each lands in an entry of the cache; Go's own caches only make the next build faster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::needs::{Need, ensure};
use crate::{cache, process};

/// A cold build of Kubernetes takes five to nine minutes on two idle cores.
const BUILD: Duration = Duration::from_hours(2);

/// The go command, if it is new enough.
pub(super) fn ensure_go() -> Result<()> {
    ensure(&[Need::GO])
}

/// Builds the program in the folder `module` into the file `program`.
pub(super) fn build(module: &Path, flags: &str, program: &Path) -> Result<()> {
    let mut go = go("build");
    go.args(["-ldflags", flags, "-o"]).arg(program).arg(".").current_dir(module);
    process::quiet_within(BUILD, &mut go)
}

/// Installs a published program and gives its path. Two versions of one program need two names of entries.
pub(super) fn install(entry: &str, package: &str, version: &str) -> Result<PathBuf> {
    let what = format!("{package}@{version}");
    let folder = cache::entry(entry, &[what.as_bytes()], |folder| {
        ensure_go()?;
        let mut go = go("install");
        go.args(["-ldflags", "-s -w", &what]).env("GOBIN", folder).env_remove("GOFLAGS").current_dir(folder);
        process::quiet_within(BUILD, &mut go)
    })?;
    let program = package.rsplit('/').next().context("a package has a name")?;
    Ok(folder.join(program))
}

/// The sources of a published module, in Go's own cache.
pub(super) fn module(path: &str, version: &str) -> Result<PathBuf> {
    ensure_go()?;
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", &format!("{path}@{version}")]).current_dir(std::env::temp_dir());
    let text = process::output(go.env_remove("GOFLAGS"))?;
    let answer: serde_json::Value = serde_json::from_str(&text).context("go mod download did not answer in JSON")?;
    Ok(answer["Dir"].as_str().context("go mod download names no folder")?.into())
}

/// The content of every file of a module of ours, as pins of what is built from it.
pub(super) fn pins(module: &Path) -> Result<Vec<Vec<u8>>> {
    let read = || -> Result<Vec<Vec<u8>>> {
        let mut files: Vec<PathBuf> = fs::read_dir(module)?.flatten().map(|entry| entry.path()).collect();
        files.sort();
        files.iter().map(|file| Ok(fs::read(file)?)).collect()
    };
    read().with_context(|| format!("cannot read {}", module.display()))
}

/// Programs that need no library of the machine, so that they run in an image too.
fn go(verb: &str) -> Command {
    let mut go = Command::new("go");
    // The folder may belong to a checkout that Go's own look at it would stumble over.
    go.args([verb, "-trimpath", "-buildvcs=false"]).env("CGO_ENABLED", "0").env("GOWORK", "off");
    go
}
