//! A cluster of ours: its parts, and the order in which they start and end.
//!
//! The parts do not know each other; only here is said what waits for what.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use tempfile::TempDir;

use super::commands::finished;
use super::control_plane::ControlPlane;
use super::network::{HOST, MAX_NODES, Network};
use super::node::Node;
use super::{KUBECTL, client, kubectl, logs};
use crate::wait::eventually_ok;
use crate::{folders, images};

/// A node is ready after four seconds; a loaded machine gets a lot more.
const READY: Duration = Duration::from_mins(3);
/// `network.rs` knows the folder of a former cluster by it.
pub(super) const FOLDER_PREFIX: &str = "headgate-cluster-";
const READY_CONDITION: &str = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
const DNS: &str = include_str!("../../cluster/coredns.yaml");

type Pack = fn(&Path) -> Result<()>;

/// What the cluster itself runs on its nodes.
const BASE_IMAGES: [(&str, Pack); 2] = [("pause", images::pack_pause), ("coredns", images::pack_coredns)];

/// The parts of a cluster, in the order in which it is to be dropped: the bridge last, and then the folder.
pub(super) struct Own {
    pub(super) nodes: Vec<Node>,
    pub(super) control_plane: ControlPlane,
    network: Option<Network>,
    logs: PathBuf,
    pub(super) folder: TempDir,
}

impl Own {
    /// Starts everything and waits until it is ready.
    pub(super) async fn start(nodes: u8) -> Result<Self> {
        let folder = folders::of_this_process(FOLDER_PREFIX)?;
        let logs = logs::folder()?;
        let (network, address) = match nodes {
            0 => (None, Ipv4Addr::LOCALHOST),
            _ => (Some(Network::create(folder.path()).await?), HOST),
        };
        let control_plane = ControlPlane::start(folder.path(), &logs, address)?;
        let mut own = Self { nodes: Vec::new(), control_plane, network, logs, folder };
        let outcome = own.finish(nodes).await;
        outcome.with_context(|| format!("the logs of the cluster are in {}", own.logs.display()))?;
        Ok(own)
    }

    /// Boots the nodes while the API server starts, then joins them.
    async fn finish(&mut self, nodes: u8) -> Result<()> {
        let client = client(&self.control_plane.kubeconfig()).await?;
        let mut machines: Vec<Node> =
            (1..=nodes).map(|number| Node::new(number, self.folder.path(), &self.logs)).collect();
        let (folder, control_plane) = (self.folder.path(), &mut self.control_plane);
        let boots = async {
            pack_base_images(folder).await?;
            try_join_all(machines.iter_mut().map(|node| boot(node, folder))).await
        };
        if nodes > 0 {
            tokio::try_join!(boots, control_plane.finish(&client))?;
        } else {
            return control_plane.finish(&client).await;
        }
        for node in &mut machines {
            node.join(&self.control_plane)?;
        }
        self.nodes = machines;
        kubectl_of(&self.control_plane, &["apply", "--server-side", "--filename", "-"], DNS).await?;
        for number in 0..self.nodes.len() {
            self.wait_until_ready(number).await?;
        }
        let rollout = ["rollout", "status", "deployment/coredns", "--namespace", "kube-system", "--timeout=180s"];
        kubectl_of(&self.control_plane, &rollout, "").await.map(drop)
    }

    /// Adds one more and gives its name.
    pub(super) async fn add_node(&mut self) -> Result<String> {
        if self.network.is_none() {
            bail!("a cluster that was started without nodes has no network for them");
        }
        let number = u8::try_from(self.nodes.len() + 1)?;
        if number > MAX_NODES {
            bail!("a cluster has at most {MAX_NODES} nodes");
        }
        let mut node = Node::new(number, self.folder.path(), &self.logs);
        boot(&mut node, self.folder.path()).await?;
        node.join(&self.control_plane)?;
        let name = node.name().to_owned();
        self.nodes.push(node);
        self.wait_until_ready(self.nodes.len() - 1).await?;
        Ok(name)
    }

    /// Boots a node whose plug was pulled.
    pub(super) async fn start_node(&mut self, name: &str) -> Result<()> {
        let position = self.nodes.iter().position(|node| node.name() == name).context("no node of this name")?;
        let node = &mut self.nodes[position];
        node.boot().await?;
        node.join(&self.control_plane)?;
        self.wait_until_ready(position).await
    }

    /// The node of this name.
    pub(super) fn node(&mut self, name: &str) -> Result<&mut Node> {
        self.nodes.iter_mut().find(|node| node.name() == name).with_context(|| format!("no node {name}"))
    }

    async fn wait_until_ready(&mut self, position: usize) -> Result<()> {
        let node = &mut self.nodes[position];
        let arguments = ["get", "node", node.name(), "--output", READY_CONDITION];
        let control_plane = &self.control_plane;
        let outcome = eventually_ok(format!("{} to be ready", node.name()), READY, async || {
            if kubectl_of(control_plane, &arguments, "").await? == "True" {
                return Ok(());
            }
            bail!("its condition Ready is not True")
        });
        let outcome = outcome.await;
        node.ensure_running()?;
        outcome
    }
}

async fn pack_base_images(folder: &Path) -> Result<()> {
    for (name, pack) in BASE_IMAGES {
        let archive = archive(folder, name);
        tokio::task::spawn_blocking(move || pack(&archive)).await??;
    }
    Ok(())
}

async fn boot(node: &mut Node, folder: &Path) -> Result<()> {
    node.boot().await?;
    for (name, _) in BASE_IMAGES {
        node.load(&archive(folder, name)).await?;
    }
    Ok(())
}

/// Where the archive of an image lies until it is on every node.
pub(super) fn archive(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.tar"))
}

async fn kubectl_of(control_plane: &ControlPlane, arguments: &[&str], input: &str) -> Result<String> {
    let mut kubectl = kubectl(&control_plane.kubeconfig())?;
    kubectl.args(arguments);
    finished(kubectl, input, KUBECTL).await
}
