//! Keycloak: its distribution through Maven, built for our options and with an empty database, so that what a start in a
//! test has to do is little.
//!
//! It installs only; servers are started by the tests' harness.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{cache, process, workspace};

/// What is done with the distribution; other options make another entry of the cache.
const BUILD: [&str; 2] = ["build", "--db=dev-file"];
/// Makes the tables and the user who may do everything. The harness logs in as that one.
const BOOTSTRAP: [&str; 6] =
    ["bootstrap-admin", "user", "--optimized", "--username=admin", "--password:env", PASSWORD_VARIABLE];
const PASSWORD_VARIABLE: &str = "HEADGATE_KEYCLOAK_ADMIN";
const PASSWORD: &str = "admin-password";

/// Gives the home of a Keycloak that can be started.
pub(super) fn set_up() -> Result<PathBuf> {
    let sources = workspace::root()?.join("tests/servers/keycloak");
    let pom = fs::read(sources.join("pom.xml")).context("cannot read the pom of Keycloak")?;
    let recipe = [&BUILD[..], &BOOTSTRAP, &[PASSWORD]].concat().join(" ");
    let entry = cache::entry("keycloak", &[&pom, recipe.as_bytes()], |folder| install(&sources, folder))?;
    home(&entry)
}

fn install(sources: &Path, folder: &Path) -> Result<()> {
    let mut mvn = Command::new("mvn");
    mvn.args(["-B", "-ntp", "dependency:unpack-dependencies"]).current_dir(sources);
    mvn.arg(prefixed("-DoutputDirectory=", folder));
    // What it has unpacked it remembers there, and not in the checkout: another entry is to be unpacked again.
    mvn.arg(prefixed("-DmarkersDirectory=", &folder.join("markers")));
    process::quiet(&mut mvn)?;
    let program = home(folder)?.join("bin/kc.sh");
    process::quiet(Command::new(&program).args(BUILD))?;
    process::quiet(Command::new(&program).args(BOOTSTRAP).env(PASSWORD_VARIABLE, PASSWORD))?;
    let database = home(folder)?.join("data/h2/keycloakdb.mv.db");
    ensure!(database.is_file(), "Keycloak has made no database {}", database.display());
    Ok(())
}

fn prefixed(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}

/// The distribution is a folder with the version in its name.
fn home(entry: &Path) -> Result<PathBuf> {
    let folders = fs::read_dir(entry)?.flatten().map(|entry| entry.path());
    let home = folders.filter(|path| path.join("bin/kc.sh").is_file()).min();
    home.with_context(|| format!("no Keycloak in {}", entry.display()))
}
