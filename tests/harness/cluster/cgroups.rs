//! The control groups of a node, which must be there before its kubelet starts: both versions of the kernel's interface.
//!
//! They are removed by `tests/cluster/remove.sh`, which knows how their names begin.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const ROOT: &str = "/sys/fs/cgroup";
/// What a kubelet wants to limit.
const CONTROLLERS: [&str; 6] = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"];

/// The name of a node's group, directly below the root.
pub(super) fn name(node: &str) -> String {
    format!("headgate-tests-{node}")
}

/// Makes the group in every hierarchy.
pub(super) fn create(name: &str) -> Result<()> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        for controller in CONTROLLERS {
            // Those that this machine does not have, the kubelet can do without or names itself.
            let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        return make(&root.join(name));
    }
    let hierarchies = fs::read_dir(root).with_context(|| format!("no control groups in {ROOT}"))?;
    for hierarchy in hierarchies.flatten().map(|entry| entry.path()) {
        // The unified hierarchy beside the others controls nothing.
        if !hierarchy.join("cgroup.procs").exists() || hierarchy.join("cgroup.controllers").exists() {
            continue;
        }
        let group = hierarchy.join(name);
        make(&group)?;
        // A group of this hierarchy takes no process before it says where that may run.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let Ok(all) = fs::read(hierarchy.join(file)) {
                fs::write(group.join(file), all)?;
            }
        }
    }
    Ok(())
}

fn make(group: &Path) -> Result<()> {
    fs::create_dir_all(group).with_context(|| format!("cannot make the control group {}", group.display()))
}
