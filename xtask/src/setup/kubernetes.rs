//! Kubernetes: every component in one program, built from `tests/cluster/`, and what its nodes need of this machine.
//!
//! It installs only; clusters are started by the tests' harness.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::go;
use super::needs::{Need, ensure, is_root};
use crate::{cache, process, progress, workspace};

/// The version in `tests/cluster/kube/go.mod`, of which Kubernetes' own code knows nothing.
const VERSION: &str = "1.35.4";
const GATEWAY_API: (&str, &str) = ("sigs.k8s.io/gateway-api", "v1.6.1");
const CHANNELS: [&str; 2] = ["standard", "experimental"];
const MODULES: [&str; 3] = ["pause", "coredns", "kube"];
const EXISTING: &str = "HEADGATE_TEST_KUBECONFIG";
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// Gives the folder with `bin/kube`, `bin/pause` and `bin/coredns`.
pub(super) fn set_up() -> Result<PathBuf> {
    let sources = workspace::root()?.join("tests/cluster");
    let flags = flags(VERSION);
    let mut pins = vec![flags.clone().into_bytes()];
    for module in MODULES {
        pins.extend(go::pins(&sources.join(module))?);
    }
    let pins: Vec<&[u8]> = pins.iter().map(Vec::as_slice).collect();
    if !cache::holds("kubernetes", &pins)? {
        progress::note("the first build of Kubernetes takes five to ten minutes on two cores");
    }
    cache::entry("kubernetes", &pins, |folder| {
        go::ensure_go()?;
        fs::create_dir(folder.join("bin"))?;
        for module in MODULES {
            go::build(&sources.join(module), &flags, &folder.join("bin").join(module))?;
        }
        Ok(())
    })
}

/// Gives the folder with the CRDs of the Gateway API, one folder per channel.
pub(super) fn gateway_api() -> Result<PathBuf> {
    let (path, version) = GATEWAY_API;
    cache::entry("gateway-api", &[path.as_bytes(), version.as_bytes()], |folder| {
        let crds = go::module(path, version)?.join("config/crd");
        for channel in CHANNELS {
            copy(&crds.join(channel), &folder.join(channel))?;
        }
        Ok(())
    })
}

/// The existing cluster that is to be used instead of one of ours, if there is one.
pub(super) fn existing() -> Option<OsString> {
    std::env::var_os(EXISTING).filter(|value| !value.is_empty())
}

/// Whether this machine can be made into nodes that run pods.
pub(super) fn nodes() -> Result<()> {
    if existing().is_some() {
        progress::note(&format!("pods run in the cluster that {EXISTING} names"));
        progress::note("its nodes must have the images that `cargo xtask images` writes");
        bail!("the nodes of an existing cluster are not ours to stop");
    }
    if !cfg!(target_os = "linux") {
        bail!("nodes need Linux; {EXISTING} can name an existing cluster, in which most of the tests can run");
    }
    if !is_root() {
        bail!("nodes need root; {EXISTING} can name an existing cluster, in which most of the tests can run");
    }
    ensure(&Need::NODES)?;
    let probe = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "ip", "link", "add"];
    let mut unshare = Command::new("unshare");
    unshare.args(probe).args(["headgate-probe", "type", "bridge"]);
    process::quiet(&mut unshare).context("nodes need network namespaces with a bridge")?;
    control_group().with_context(|| format!("nodes need to make control groups in {CONTROL_GROUPS}"))
}

/// Makes a control group where a node would, and removes it.
fn control_group() -> Result<()> {
    let root = Path::new(CONTROL_GROUPS);
    // One hierarchy for everything, or one per controller.
    let unified = root.join("cgroup.controllers").exists();
    let hierarchy = if unified { root.to_owned() } else { root.join("memory") };
    let group = hierarchy.join(format!("headgate-probe-{}", std::process::id()));
    fs::create_dir(&group)?;
    Ok(fs::remove_dir(group)?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for file in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "yaml") {
            // Go's cache makes its files read-only; the content is all that is wanted.
            fs::write(to.join(file.file_name().context("a file has a name")?), fs::read(&file)?)?;
        }
    }
    Ok(())
}

/// Without symbols, and with the version that Kubernetes' own build writes into the programs.
fn flags(version: &str) -> String {
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor} \
         -X {package}.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion=v{version}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_module() {
        let module = workspace::root().unwrap().join("tests/cluster/kube/go.mod");
        let text = fs::read_to_string(module).unwrap();
        assert!(text.contains(&format!("\n\tk8s.io/kubernetes v{VERSION}\n")), "{text}");
    }

    #[test]
    fn the_flags_carry_the_version() {
        let flags = flags("1.35.4");
        assert!(flags.contains("gitVersion=v1.35.4 ") && flags.contains("gitMinor=35 "), "{flags}");
    }
}
