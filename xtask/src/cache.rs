//! The folder outside the checkout that keeps what was installed, keyed by the content of the files that pin it.
//!
//! An entry is there completely or not at all, so that an interrupted installation does no harm.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::progress::Task;

/// Enough of the hash to tell two versions apart, and short enough to be read.
const KEY_BYTES: usize = 8;

/// `$HEADGATE_CACHE`, else `$XDG_CACHE_HOME/headgate`, else `~/.cache/headgate`.
pub(crate) fn folder() -> Result<PathBuf> {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    path("HEADGATE_CACHE")
        .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("headgate")))
        .or_else(|| path("HOME").map(|home| home.join(".cache/headgate")))
        .context("no folder for the cache: set HEADGATE_CACHE")
}

/// The entry for these pinned contents; `install` fills a folder for it if it is not there yet.
pub(crate) fn entry(name: &str, pins: &[&[u8]], install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    entry_in(&folder()?, name, pins, install)
}

/// Whether the entry is there already.
pub(crate) fn holds(name: &str, pins: &[&[u8]]) -> Result<bool> {
    Ok(path(&folder()?, name, pins).is_dir())
}

fn path(cache: &Path, name: &str, pins: &[&[u8]]) -> PathBuf {
    cache.join(format!("{name}-{}", key(pins)))
}

fn entry_in(cache: &Path, name: &str, pins: &[&[u8]], install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = path(cache, name, pins);
    if folder.is_dir() {
        return Ok(folder);
    }
    let task = Task::start(&format!("installing {name} into {}", folder.display()));
    let outcome = install_aside(&folder, install);
    task.end(outcome.is_ok());
    outcome.with_context(|| format!("cannot install {name}"))?;
    Ok(folder)
}

/// Fills a folder beside the entry and renames it when it is complete.
fn install_aside(folder: &Path, install: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let aside = folder.with_extension(format!("{}.part", std::process::id()));
    fs::create_dir_all(&aside).with_context(|| format!("cannot make {}", aside.display()))?;
    let outcome = install(&aside).and_then(|()| match fs::rename(&aside, folder) {
        // Another run was faster; its entry is as good as ours.
        Err(_) if folder.is_dir() => Ok(()),
        renamed => Ok(renamed?),
    });
    if aside.is_dir() {
        fs::remove_dir_all(&aside).with_context(|| format!("cannot remove {}", aside.display()))?;
    }
    outcome
}

fn key(pins: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for pin in pins {
        // The length keeps ["ab", "c"] and ["a", "bc"] apart.
        hash.update((pin.len() as u64).to_be_bytes());
        hash.update(pin);
    }
    hash.finalize()[..KEY_BYTES].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn empty(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("headgate-xtask-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn the_key_follows_the_pins() {
        assert_eq!(key(&[b"a"]).len(), 2 * KEY_BYTES);
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    }

    #[test]
    fn an_entry_is_installed_once() {
        let cache = empty("once");
        let install = |folder: &Path| Ok(fs::write(folder.join("file"), "content")?);
        let first = entry_in(&cache, "tool", &[b"1"], install).unwrap();
        assert!(first.join("file").is_file());
        let second = entry_in(&cache, "tool", &[b"1"], |_| bail!("installed twice")).unwrap();
        assert_eq!(first, second);
        fs::remove_dir_all(cache).unwrap();
    }

    #[test]
    fn a_failed_installation_leaves_nothing() {
        let cache = empty("failed");
        let install = |folder: &Path| {
            fs::write(folder.join("half"), "")?;
            bail!("interrupted")
        };
        let error = entry_in(&cache, "tool", &[b"1"], install).unwrap_err();
        assert_eq!(format!("{error:#}"), "cannot install tool: interrupted");
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
        fs::remove_dir_all(cache).unwrap();
    }
}
