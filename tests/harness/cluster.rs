//! A real Kubernetes cluster on this machine: a control plane, and as many nodes as a test needs.
//!
//! It starts, disturbs and removes clusters; what runs in them is the matter of the tests. Nodes need Linux and root,
//! and only one cluster with nodes can be on a machine: a second one waits for the first. With
//! `HEADGATE_TEST_KUBECONFIG`, an existing cluster is used instead, whose nodes nobody here touches; then the images
//! `headgate.invalid/operator:test` and `headgate.invalid/gateway:test` must be on its nodes already
//! (`cargo xtask images` writes them), and `HEADGATE_TEST_HOST` says at which address its pods reach this machine.

mod cgroups;
mod commands;
mod component;
mod control_plane;
mod logs;
mod namespaces;
mod network;
mod node;
mod node_configuration;
mod own;
mod pki;

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::{Mutex, OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::commands::finished;
use self::node::Node;
use self::own::{Own, archive};
use crate::spawn::command;
use crate::{images, tools};

/// Nodes of the shared cluster: while one fails, pods can still be apart.
const SHARED_NODES: u8 = 3;
/// kubectl may wait for a rollout.
const KUBECTL: Duration = Duration::from_mins(5);

/// A cluster. Dropping it ends and removes it, unless it was there before.
pub struct Cluster {
    kubeconfig: PathBuf,
    own: Option<Mutex<Own>>,
    /// Whether our images are on the nodes. Several tests want them at once.
    our_images: OnceCell<()>,
}

/// The cluster of this process, in the hands of one test.
#[derive(Debug)]
pub struct Shared {
    cluster: &'static Cluster,
    #[expect(dead_code, reason = "it is held, not read")]
    guard: Guard,
}

impl Deref for Shared {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

/// A cluster of its own for a test that keeps the whole machine busy: no other test has the shared one meanwhile.
#[derive(Debug)]
pub struct Alone {
    cluster: Cluster,
    #[expect(dead_code, reason = "it is held, not read")]
    guard: Guard,
}

impl Deref for Alone {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "they are held, not read")]
enum Guard {
    Reading(RwLockReadGuard<'static, ()>),
    Writing(RwLockWriteGuard<'static, ()>),
}

/// Many tests that leave the nodes alone, or one that does not.
static CALM: RwLock<()> = RwLock::const_new(());

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("kubeconfig", &self.kubeconfig).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Starts a cluster and waits until its nodes are ready and names are resolved. With 0 nodes it is a control plane
    /// only: every API works and no pod ever starts; it needs no root, and several can be at the same time.
    pub async fn start(nodes: u8) -> Result<Self> {
        if let Some(kubeconfig) = tools::kubeconfig_of_an_existing_cluster() {
            return Ok(Self { kubeconfig, own: None, our_images: OnceCell::new() });
        }
        Self::of_our_own(nodes).await
    }

    /// A control plane only, always of our own, and nothing else going on: for what nobody wants on an existing cluster.
    pub async fn alone() -> Result<Alone> {
        let guard = Guard::Writing(CALM.write().await);
        Ok(Alone { cluster: Self::of_our_own(0).await?, guard })
    }

    async fn of_our_own(nodes: u8) -> Result<Self> {
        let own = Own::start(nodes).await?;
        let kubeconfig = own.control_plane.kubeconfig();
        Ok(Self { kubeconfig, own: Some(Mutex::new(own)), our_images: OnceCell::new() })
    }

    /// The cluster that the tests of this process share: three nodes, left alone as long as the returned value lives.
    pub async fn shared() -> Result<Shared> {
        let guard = Guard::Reading(CALM.read().await);
        Ok(Shared { cluster: the_shared_one().await?, guard })
    }

    /// The same cluster for a test that disturbs its nodes: no other test has it meanwhile. Put right what you broke.
    pub async fn exclusive() -> Result<Shared> {
        let guard = Guard::Writing(CALM.write().await);
        Ok(Shared { cluster: the_shared_one().await?, guard })
    }

    /// The kubeconfig of somebody who may do everything.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client that may do everything. It belongs to the runtime of this test: take a new one in each.
    pub async fn client(&self) -> Result<Client> {
        client(&self.kubeconfig).await
    }

    /// Where the pods of this cluster reach servers of this test process, such as a Kafka started at this address.
    pub async fn host(&self) -> Result<Ipv4Addr> {
        let Some(own) = &self.own else {
            let text = std::env::var("HEADGATE_TEST_HOST");
            let text =
                text.context("set HEADGATE_TEST_HOST: the address at which the cluster's pods reach this machine")?;
            return text.parse().context("HEADGATE_TEST_HOST is no IPv4 address");
        };
        Ok(own.lock().await.control_plane.address())
    }

    /// Runs kubectl and gives what it wrote to stdout.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(arguments, "").await
    }

    /// The same with something on its stdin, for `-f -`.
    pub async fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut kubectl = self.kubectl_command()?;
        kubectl.args(arguments);
        finished(kubectl, input, KUBECTL).await
    }

    /// A command of kubectl for this cluster, for what runs on in the background, such as `logs --follow`.
    pub fn kubectl_command(&self) -> Result<Command> {
        kubectl(&self.kubeconfig)
    }

    /// Applies manifests on the server's side.
    pub async fn apply(&self, manifests: &str) -> Result<()> {
        let arguments = ["apply", "--server-side", "--force-conflicts", "--filename", "-"];
        self.kubectl_with(&arguments, manifests).await.map(drop)
    }

    /// Adds one more node and waits until it is ready. Gives its name.
    pub async fn add_node(&self) -> Result<String> {
        self.own()?.lock().await.add_node().await
    }

    /// Pulls the plug of a node: everything on it ends at once, as in a power cut.
    pub async fn stop_node(&self, name: &str) -> Result<()> {
        self.own()?.lock().await.node(name)?.pull_the_plug();
        Ok(())
    }

    /// Starts a stopped node again, with what was on its disk.
    pub async fn start_node(&self, name: &str) -> Result<()> {
        self.own()?.lock().await.start_node(name).await
    }

    /// Takes a node off the network: everything on it goes on, and nothing reaches it.
    pub async fn cut_node(&self, name: &str) -> Result<()> {
        self.own()?.lock().await.node(name)?.link("down").await
    }

    /// Puts it back.
    pub async fn heal_node(&self, name: &str) -> Result<()> {
        self.own()?.lock().await.node(name)?.link("up").await
    }

    /// Imports an image archive on every node. On the nodes of an existing cluster the images must be already.
    pub async fn load_image(&self, archive: &Path) -> Result<()> {
        let Some(own) = &self.own else { return Ok(()) };
        let own = own.lock().await;
        try_join_all(own.nodes.iter().map(|node| node.load(archive))).await.map(drop)
    }

    /// Packs the gateway and the operator from the programs that are built, and imports them on every node; once.
    pub async fn load_our_images(&self) -> Result<()> {
        let Some(own) = &self.own else { return Ok(()) };
        let load = async || {
            let folder = own.lock().await.folder.path().to_owned();
            self.pack_and_load(archive(&folder, "operator"), images::pack_operator).await?;
            self.pack_and_load(archive(&folder, "gateway"), images::pack_gateway).await
        };
        self.our_images.get_or_try_init(load).await.map(drop)
    }

    /// An error with the end of a log if a program of the cluster has ended. `None` of it is known of an existing one.
    pub async fn ensure_running(&self) -> Result<()> {
        let Some(own) = &self.own else { return Ok(()) };
        own.lock().await.nodes.iter_mut().try_for_each(Node::ensure_running)
    }

    async fn pack_and_load(&self, archive: PathBuf, pack: fn(&Path) -> Result<()>) -> Result<()> {
        let path = archive.clone();
        tokio::task::spawn_blocking(move || pack(&path)).await??;
        self.load_image(&archive).await
    }

    fn own(&self) -> Result<&Mutex<Own>> {
        self.own.as_ref().context("the nodes of an existing cluster (HEADGATE_TEST_KUBECONFIG) are not ours to disturb")
    }
}

async fn the_shared_one() -> Result<&'static Cluster> {
    static SHARED: OnceCell<Cluster> = OnceCell::const_new();
    SHARED.get_or_try_init(|| Cluster::start(SHARED_NODES)).await
}

async fn client(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// Ours where it is installed, so that its version fits; else the one in the PATH, for an existing cluster.
fn kubectl(kubeconfig: &Path) -> Result<Command> {
    let mut kubectl = match control_plane::kube("kubectl") {
        Err(_) if tools::kubeconfig_of_an_existing_cluster().is_some() => command("kubectl"),
        kube => kube?,
    };
    // Neither the settings nor the cache of whoever runs the tests.
    let cache = match tools::kubeconfig_of_an_existing_cluster() {
        Some(_) => std::env::temp_dir().join("headgate-kubectl"),
        None => kubeconfig.with_file_name("kubectl-cache"),
    };
    kubectl.env("KUBECONFIG", kubeconfig).env("KUBERC", "off").env("KUBECACHEDIR", cache);
    Ok(kubectl)
}
