//! Which process runs where: the server on one core, everything else on another, and enough descriptors for both.
//!
//! Never takes a higher priority: others may be working on the machine. Short measurements in turns deal with that.

use anyhow::{Context as _, Result};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The core of the server that is measured.
pub const SERVER_CORE: usize = 0;
/// The core of the clients and of Kafka.
pub const CLIENT_CORE: usize = 1;

/// Prepares this process, and with it every process that it starts.
pub fn prepare() -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    anyhow::ensure!(cores >= 2, "two cores are needed: one for the server, one for the clients");
    pin(CLIENT_CORE)?;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the number of open files")
}

/// Becomes another program on this core.
pub fn become_program(core: usize, program: &[OsString]) -> Result<()> {
    pin(core)?;
    let (name, arguments) = program.split_first().context("no program")?;
    Err(Command::new(name).args(arguments).exec()).with_context(|| format!("cannot run {}", name.display()))
}

fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on core {core}"))
}
