//! The addresses of a cluster with nodes, its bridge on this machine, and the lock that lets only one of them exist.
//!
//! It touches only what carries the names below, and never the machine's packet filter.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::commands::{SHORT, finished, ip};
use super::own::FOLDER_PREFIX;
use crate::spawn::command;
use crate::wait::eventually_ok;

/// The bridge; `remove.sh` knows its name too.
pub(super) const BRIDGE: &str = "headgate0";
/// Where pods and nodes reach this machine.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);
const NODES: &str = "172.30.0.0/24";
pub(super) const PODS: &str = "10.244.0.0/16";
pub(super) const SERVICES: &str = "10.96.0.0/16";
/// The first address of [`SERVICES`]: the API server.
pub(super) const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// The DNS server; `coredns.yaml` has it too.
pub(super) const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// More would not fit a machine that runs tests.
pub(super) const MAX_NODES: u8 = 8;

const LOCK: &str = "/run/headgate-tests-cluster.lock";
/// The tests of another checkout may need a while.
const OTHER_RUN: Duration = Duration::from_mins(15);
const REMOVE: &str = include_str!("../../cluster/remove.sh");

/// The address of the node with this number, from 1.
pub(super) fn node_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 30, 0, 10 + number)
}

/// The addresses of the pods on the node with this number.
pub(super) fn pod_subnet(number: u8) -> String {
    format!("10.244.{number}.0/24")
}

/// The hardware address of the node with this number, or of the bridge (0). Left to itself, a bridge changes its own
/// whenever a node comes or goes, and a node gets a new one when it boots: neighbours would go on for half a minute
/// sending to the old one.
pub(super) fn hardware_address(number: u8) -> String {
    format!("02:68:67:74:00:{number:02x}")
}

/// The bridge, and the process that removes everything once this value or the test process is gone.
#[derive(Debug)]
pub(super) struct Network {
    remover: Child,
}

impl Network {
    /// Waits until no other cluster is on this machine, removes what a killed run has left, and makes the bridge.
    pub(super) async fn create(folder: &Path) -> Result<Self> {
        let lock = lock(folder).await?;
        ensure_free().await?;
        let remover = remover(folder, lock)?;
        let network = Self { remover };
        ip(&format!("link add {BRIDGE} address {} type bridge", hardware_address(0))).await?;
        ip(&format!("address add {HOST}/24 dev {BRIDGE}")).await?;
        ip(&format!("link set {BRIDGE} up")).await?;
        Ok(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The end of its input is what it waits for.
        drop(self.remover.stdin.take());
        let _ = self.remover.wait();
    }
}

/// Takes the lock and writes into it whose it is; what its last owner has left is removed.
async fn lock(folder: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut lock = options.open(LOCK).with_context(|| format!("cannot open {LOCK}: nodes need root"))?;
    let what = "the other cluster with nodes on this machine to end";
    eventually_ok(what, OTHER_RUN, async || Ok(lock.try_lock()?)).await?;
    let mut left = String::new();
    lock.read_to_string(&mut left)?;
    let left = Path::new(left.trim());
    let is_ours = left.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FOLDER_PREFIX));
    if is_ours {
        let mut remove = command("sh");
        remove.args(["-c", REMOVE, "remove.sh"]).arg(left);
        finished(remove, "", SHORT).await.context("cannot remove what an earlier cluster has left")?;
    }
    lock.rewind()?;
    lock.set_len(0)?;
    lock.write_all(folder.as_os_str().as_encoded_bytes())?;
    Ok(lock)
}

/// Another network with our addresses would be cut off from this machine, and the tests would speak to its hosts.
async fn ensure_free() -> Result<()> {
    for network in [NODES, PODS, SERVICES] {
        let mut show = command("ip");
        show.args(["-4", "route", "show", "to", "root", network]);
        let inside = finished(show, "", SHORT).await?;
        let mut covering = command("ip");
        covering.args(["-4", "route", "show", "to", "match", network]);
        let covering = finished(covering, "", SHORT).await?;
        let taken = inside.lines().chain(covering.lines()).find(|route| !route.starts_with("default"));
        if let Some(route) = taken {
            bail!("{network} is taken on this machine (`{}`), and the tests need it for their cluster", route.trim());
        }
    }
    Ok(())
}

/// It survives us, and it holds the lock until everything is gone. In a process group of its own, so that a Ctrl-C in
/// the terminal does not end it together with the tests.
fn remover(folder: &Path, lock: File) -> Result<Child> {
    let folder = folder.to_str().context("the temporary folder has a strange name")?;
    ensure!(fs::exists(folder)?, "{folder} is gone");
    let mut remover = Command::new("sh");
    remover.args(["-c", REMOVE, "remove.sh", folder]).process_group(0).current_dir("/");
    remover.stdin(Stdio::piped()).stdout(Stdio::from(lock)).stderr(Stdio::null());
    remover.spawn().context("cannot start the process that removes the cluster")
}
