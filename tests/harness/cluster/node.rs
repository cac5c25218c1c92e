//! A node: a machine of its own in every way that the kernel offers, with containerd, a kubelet and kube-proxy.
//!
//! Everything in it hangs on its first process (`tests/cluster/node.sh`): ending that one is pulling the plug.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::commands::{SHORT, finished, ip};
use super::component::Component;
use super::control_plane::ControlPlane;
use super::network::{BRIDGE, HOST, MAX_NODES, SERVICES, hardware_address, node_address, pod_subnet};
use super::{cgroups, node_configuration};
use crate::spawn::command;
use crate::tools;
use crate::wait::{eventually, eventually_ok};

const SCRIPT: &str = include_str!("../../cluster/node.sh");
/// containerd answers after a second; a loaded machine gets a lot more.
const START: Duration = Duration::from_mins(1);
const IMPORT: Duration = Duration::from_mins(2);

/// One node of the cluster. Dropping it pulls the plug.
#[derive(Debug)]
pub(super) struct Node {
    name: String,
    number: u8,
    folder: PathBuf,
    logs: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    machine: Component,
    init: u32,
    containerd: Component,
    kubernetes: Vec<Component>,
}

impl Node {
    /// A node that does not run yet.
    pub(super) fn new(number: u8, folder: &Path, logs: &Path) -> Self {
        let name = format!("node{number}");
        Self { folder: folder.join(&name), name, number, logs: logs.to_owned(), running: None }
    }

    /// Its name in the cluster.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Boots it, up to containerd.
    pub(super) async fn boot(&mut self) -> Result<()> {
        // A reboot forgets what was in /run.
        let _ = fs::remove_dir_all(self.folder.join("run"));
        for name in ["run", "cni", "kubelet", "var-log"] {
            fs::create_dir_all(self.folder.join(name))?;
        }
        fs::create_dir_all("/run/containerd")?;
        let (machine, init) = self.start_machine().await?;
        fs::write(self.folder.join("pid"), init.to_string())?;
        self.connect(init).await?;
        cgroups::create(&cgroups::name(&self.name))?;
        node_configuration::write_containerd(&self.folder, self.number)?;
        let mut containerd = inside(init, "containerd");
        containerd.arg("-c").arg(self.folder.join("containerd.toml"));
        let containerd = Component::start(&format!("{}-containerd", self.name), containerd, &self.logs)?;
        self.running = Some(Running { machine, init, containerd, kubernetes: Vec::new() });
        self.wait_for_containerd().await
    }

    /// Imports an image archive.
    pub(super) async fn load(&self, archive: &Path) -> Result<()> {
        let mut import = self.containerd_client()?;
        import.args(["images", "import"]).arg(archive);
        finished(import, "", IMPORT).await.map(drop)
    }

    /// Starts the kubelet and kube-proxy.
    pub(super) fn join(&mut self, control_plane: &ControlPlane) -> Result<()> {
        let pki = control_plane.pki();
        let address = node_address(self.number);
        pki.add_node(&self.name, address)?;
        node_configuration::write_kubelet(&self.folder, &self.name, self.number, pki)?;
        node_configuration::write_proxy(&self.folder, &self.name, pki)?;
        let config = |name: &str| format!("--config={}", self.folder.join(name).display());
        let kubelet = vec![
            config("kubelet.json"),
            format!("--kubeconfig={}", pki.text(&format!("{}.kubeconfig", self.name))),
            format!("--hostname-override={}", self.name),
            format!("--node-ip={address}"),
            format!("--root-dir={}", self.folder.join("kubelet").display()),
            format!("--cert-dir={}", self.folder.join("kubelet/pki").display()),
            "--v=2".to_owned(),
        ];
        let proxy = vec![config("kube-proxy.json"), "--v=1".to_owned()];
        let program = tools::kube()?.join("bin/kube");
        let running = self.running.as_mut().context("the node is off")?;
        for (component, flags) in [("kubelet", kubelet), ("kube-proxy", proxy)] {
            let mut kube = inside(running.init, &program);
            kube.arg(component).args(flags);
            running.kubernetes.push(Component::start(&format!("{}-{component}", self.name), kube, &self.logs)?);
        }
        Ok(())
    }

    /// Ends everything in it at once.
    pub(super) fn pull_the_plug(&mut self) {
        // The first process goes with the one that started it, and takes everything else along.
        self.running = None;
    }

    /// Takes it off the network without ending anything, or puts it back.
    pub(super) async fn link(&self, state: &str) -> Result<()> {
        ip(&format!("link set {} {state}", self.interface())).await
    }

    /// An error with the end of a log if something of it has ended.
    pub(super) fn ensure_running(&mut self) -> Result<()> {
        let running = self.running.as_mut().with_context(|| format!("{} is off", self.name))?;
        running.machine.ensure_running()?;
        running.containerd.ensure_running()?;
        running.kubernetes.iter_mut().try_for_each(Component::ensure_running)
    }

    async fn start_machine(&self) -> Result<(Component, u32)> {
        let mut unshare = command("unshare");
        unshare.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", SCRIPT]);
        unshare.arg("node.sh").arg(&self.folder).arg(tools::kube()?.join("bin/pause"));
        let mut machine = Component::start(&format!("{}-machine", self.name), unshare, &self.logs)?;
        let up = self.folder.join("run/up");
        let outcome = eventually_ok(format!("{} to boot", self.name), START, async || {
            if machine.ensure_running().is_err() || up.exists() {
                return Ok(());
            }
            bail!("it does not say that it is up")
        });
        outcome.await?;
        machine.ensure_running()?;
        let init = child_of(machine.pid())?;
        Ok((machine, init))
    }

    /// Plugs it into the bridge. Nodes reach each other's pods directly, so that this machine need not forward.
    async fn connect(&self, init: u32) -> Result<()> {
        let interface = self.interface();
        let former = Path::new("/sys/class/net").join(&interface);
        eventually("the former interface to be gone", START, async || !former.exists()).await?;
        let peer = format!("peer name eth0 address {} netns {init}", hardware_address(self.number));
        ip(&format!("link add {interface} type veth {peer}")).await?;
        ip(&format!("link set {interface} master {BRIDGE} up")).await?;
        let address = node_address(self.number);
        let mut words = vec![
            "link set lo up".to_owned(),
            format!("address add {address}/24 dev eth0"),
            "link set eth0 up".to_owned(),
            format!("route add default via {HOST}"),
        ];
        for other in (1..=MAX_NODES).filter(|other| *other != self.number) {
            words.push(format!("route add {} via {}", pod_subnet(other), node_address(other)));
        }
        for words in words {
            let mut ip = inside_network(init, "ip");
            ip.args(words.split(' '));
            finished(ip, "", SHORT).await?;
        }
        ip(&format!("route replace {} via {address}", pod_subnet(self.number))).await?;
        if self.number == 1 {
            // The services, through the first node's kube-proxy.
            ip(&format!("route replace {SERVICES} via {address}")).await?;
        }
        Ok(())
    }

    async fn wait_for_containerd(&mut self) -> Result<()> {
        let socket = node_configuration::socket(&self.folder);
        let name = self.name.clone();
        eventually_ok(format!("containerd of {name}"), START, async || {
            let running = self.running.as_mut().context("the node is off")?;
            let gone = running.containerd.ensure_running();
            // Its client would wait ten seconds for a socket that is not there.
            if gone.is_ok() && !socket.exists() {
                bail!("it has no socket yet");
            }
            let Err(error) = gone else {
                let mut version = self.containerd_client()?;
                version.arg("version");
                finished(version, "", SHORT).await?;
                return Ok(Ok(()));
            };
            Ok(Err(error))
        })
        .await?
    }

    fn containerd_client(&self) -> Result<Command> {
        let running = self.running.as_ref().with_context(|| format!("{} is off", self.name))?;
        let mut client = inside(running.init, "ctr");
        client.arg("--address").arg(node_configuration::socket(&self.folder)).args(["--namespace", "k8s.io"]);
        Ok(client)
    }

    fn interface(&self) -> String {
        format!("headgate-{}", self.name)
    }
}

/// A command in all namespaces of the machine with this first process.
fn inside(init: u32, program: impl AsRef<Path>) -> Command {
    let mut nsenter = command("nsenter");
    nsenter.args(["--target", &init.to_string(), "--net", "--mount", "--pid", "--"]).arg(program.as_ref());
    nsenter
}

/// A command of this machine in the network of the other.
fn inside_network(init: u32, program: &str) -> Command {
    let mut nsenter = command("nsenter");
    nsenter.args(["--target", &init.to_string(), "--net", "--", program]);
    nsenter
}

/// The only child of a process: what `unshare` has forked.
fn child_of(pid: u32) -> Result<u32> {
    let file = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    children.split_whitespace().next().and_then(|child| child.parse().ok()).context("the machine has no process")
}
