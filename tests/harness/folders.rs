//! Folders of this test process, for servers that are never dropped: a later process removes what a dead one left.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A folder whose name begins with `prefix` and carries our process id. Those of dead processes are removed first.
pub fn of_this_process(prefix: &str) -> Result<TempDir> {
    remove_those_of_the_dead(prefix);
    let name = format!("{prefix}{}-", std::process::id());
    tempfile::Builder::new().prefix(&name).tempdir().with_context(|| format!("no folder {name}…"))
}

/// Copies everything in a folder into another one, which is made if it is not there.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn remove_those_of_the_dead(prefix: &str) {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| owner(name, prefix));
        if owner.is_some_and(|pid| !is_alive(pid)) {
            // Another test process may be removing it at the same time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn owner(name: &str, prefix: &str) -> Option<u32> {
    name.strip_prefix(prefix)?.split('-').next()?.parse().ok()
}

/// True where it cannot be told.
fn is_alive(pid: u32) -> bool {
    !fs::exists("/proc/self").unwrap_or(false) || fs::exists(format!("/proc/{pid}")).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_the_process_that_made_it() {
        let folder = of_this_process("headgate-folders-test-").unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(owner(name, "headgate-folders-test-"), Some(std::process::id()));
        assert_eq!(owner(name, "headgate-other-"), None);
    }

    #[test]
    fn what_a_dead_process_left_is_removed() {
        // No Linux gives out a number this high.
        let left = std::env::temp_dir().join("headgate-dead-test-4194999-x");
        fs::create_dir_all(&left).unwrap();
        let folder = of_this_process("headgate-dead-test-").unwrap();
        assert_eq!(left.exists(), !fs::exists("/proc/self").unwrap());
        assert!(folder.path().exists());
    }
}
