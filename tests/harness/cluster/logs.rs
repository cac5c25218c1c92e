//! Where the logs of clusters are kept: they outlive the cluster, because they are wanted when it has failed.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use anyhow::{Context, Result};

/// How many clusters' logs are kept.
const KEPT: usize = 8;

/// A new folder below `cluster-logs` in cargo's target folder; the oldest ones are removed.
pub(super) fn folder() -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let test = std::env::current_exe().context("this test has no executable")?;
    // target/debug/deps/<test>
    let target = test.ancestors().nth(3).context("a test executable lies three folders deep")?;
    let all = target.join("cluster-logs");
    let folder = all.join(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut former: Vec<(SystemTime, PathBuf)> = fs::read_dir(&all)?
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    former.sort();
    for (_, old) in former.iter().rev().skip(KEPT) {
        // Another test process may be removing it at the same time.
        let _ = fs::remove_dir_all(old);
    }
    Ok(folder)
}
