//! The checks that need no server: formatting, clippy, documentation, dependencies.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Part;
use crate::{process, progress, setup, workspace};

/// Fetching the advisories takes seconds, or the network does not lead there.
const ADVISORIES: Duration = Duration::from_mins(1);

/// Every test target too, also those that a plain build leaves out.
const EVERY_FEATURE: &str = if cfg!(target_os = "linux") {
    "headgate-tests/real-servers,headgate-tests/browser,headgate-tests/cluster,headgate-tests/pods,headgate-tests/nodes,\
     headgate-tests/bench"
} else {
    // The measuring program uses what only Linux has.
    "headgate-tests/real-servers,headgate-tests/browser,headgate-tests/cluster,headgate-tests/pods,headgate-tests/nodes"
};

/// A check and what it is called.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) part: Part,
    pub(super) title: &'static str,
    pub(super) run: fn() -> Result<()>,
}

/// In the order of their cost.
pub(super) const ALL: [Check; 4] = [
    Check { part: Part::Fmt, title: "formatting", run: fmt },
    Check { part: Part::Deny, title: "dependencies", run: deny },
    Check { part: Part::Clippy, title: "clippy", run: clippy },
    Check { part: Part::Docs, title: "documentation", run: docs },
];

fn fmt() -> Result<()> {
    process::shown(&mut workspace::cargo(&["fmt", "--all", "--check"])?)
}

fn clippy() -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--features", EVERY_FEATURE];
    process::shown(workspace::cargo(&arguments)?.args(["--", "-D", "warnings"]))
}

fn docs() -> Result<()> {
    let mut doc = workspace::cargo(&["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"])?;
    process::shown(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny() -> Result<()> {
    let program = setup::cargo_deny()?;
    // Also what other platforms need, so that the check itself can do without the network.
    process::quiet(&mut workspace::cargo(&["fetch", "--locked"])?)?;
    let mut check = deny_command(&program)?;
    // A rule may name a package that does not use its permission yet.
    check.args(["--offline", "check", "--hide-inclusion-graph", "--allow", "unused-wrapper"]);
    process::shown(check.args(["bans", "licenses", "sources"]))?;
    advisories(&program)
}

/// The known vulnerabilities come from a repository of their own, which not every network reaches.
fn advisories(program: &Path) -> Result<()> {
    if let Err(error) = process::quiet_within(ADVISORIES, deny_command(program)?.args(["fetch", "db"])) {
        progress::note(&format!("{error:#}"));
        progress::warn("known vulnerabilities were NOT checked: the advisory database was not reachable");
        return Ok(());
    }
    process::shown(deny_command(program)?.args(["--offline", "check", "advisories"]))
}

fn deny_command(program: &Path) -> Result<Command> {
    let mut command = Command::new(program);
    command.current_dir(workspace::root()?);
    Ok(command)
}
