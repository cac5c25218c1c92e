//! The configuration files of containerd, its network plugin, the kubelet and kube-proxy.
//!
//! It writes files; it never starts anything.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::cgroups;
use super::network::{DNS_SERVICE, HOST, PODS, node_address, pod_subnet};
use super::pki::Pki;
use crate::images::PAUSE;

/// Where distributions put the network plugins.
const PLUGINS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// containerd's socket.
pub(super) fn socket(folder: &Path) -> PathBuf {
    folder.join("run/containerd.sock")
}

/// containerd and the network plugin.
pub(super) fn write_containerd(folder: &Path, number: u8) -> Result<()> {
    let plugins = PLUGINS.iter().find(|folder| Path::new(folder).join("bridge").is_file());
    let plugins = plugins.with_context(|| format!("no network plugins in {PLUGINS:?}: run `cargo xtask setup`"))?;
    fs::write(folder.join("containerd.toml"), containerd(folder, plugins))?;
    let network = json!({
        "cniVersion": "0.4.0", "name": "pods",
        "plugins": [
            { "type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": false, "hairpinMode": true,
              "ipam": { "type": "host-local", "dataDir": folder.join("run/ipam"),
                        "ranges": [[{ "subnet": pod_subnet(number) }]], "routes": [{ "dst": "0.0.0.0/0" }] } },
            { "type": "portmap", "capabilities": { "portMappings": true } },
        ],
    });
    write(folder, "cni/10-pods.conflist", &network)
}

fn containerd(folder: &Path, plugins: &str) -> String {
    let folder = folder.display();
    format!(
        r#"version = 2
root = "{folder}/containerd"
state = "{folder}/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{folder}/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE nobody may lower the score, and runc ends with an error that does not say so.
  restrict_oom_score_adj = true
  # Not in /run/netns, which is the host's.
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{folder}/cni"
"#
    )
}

/// The kubelet. What is not named here is as users have it, above all how long a changed Secret needs to reach a pod.
pub(super) fn write_kubelet(folder: &Path, node: &str, number: u8, pki: &Pki) -> Result<()> {
    let address = node_address(number).to_string();
    fs::write(folder.join("resolv.conf"), format!("nameserver {HOST}\n"))?;
    let kubelet = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": address, "port": 10250, "healthzBindAddress": address, "healthzPort": 10248,
        "authentication": {
            "anonymous": { "enabled": false }, "webhook": { "enabled": true },
            "x509": { "clientCAFile": pki.file("ca.crt") } },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": pki.file(&format!("{node}.crt")), "tlsPrivateKeyFile": pki.file(&format!("{node}.key")),
        "containerRuntimeEndpoint": format!("unix://{}", socket(folder).display()),
        "cgroupDriver": "cgroupfs", "cgroupRoot": format!("/{}", cgroups::name(node)),
        "failCgroupV1": false, "failSwapOn": false,
        "clusterDNS": [DNS_SERVICE], "clusterDomain": "cluster.local",
        "resolvConf": folder.join("resolv.conf"),
        "podLogsDir": folder.join("var-log/pods"), "volumePluginDir": folder.join("kubelet/plugins-of-volumes"),
        // A node that is gone is noticed in seconds instead of a minute.
        "nodeStatusUpdateFrequency": "5s",
        // The disk and the memory are shared with other work.
        "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
        "evictionHard": { "memory.available": "100Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%",
                          "imagefs.available": "1%" },
    });
    write(folder, "kubelet.json", &kubelet)
}

/// kube-proxy. It leaves the connection tracking of the whole machine as it is.
pub(super) fn write_proxy(folder: &Path, node: &str, pki: &Pki) -> Result<()> {
    let proxy = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "clientConnection": { "kubeconfig": pki.file("kube-proxy.kubeconfig") },
        "hostnameOverride": node, "mode": "nftables",
        "clusterCIDR": PODS, "detectLocalMode": "ClusterCIDR",
        "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
        "conntrack": { "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
        "nftables": { "minSyncPeriod": "0s", "syncPeriod": "30s" },
    });
    write(folder, "kube-proxy.json", &proxy)
}

fn write(folder: &Path, name: &str, value: &Value) -> Result<()> {
    Ok(fs::write(folder.join(name), value.to_string())?)
}
