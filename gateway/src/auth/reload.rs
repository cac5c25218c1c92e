//! Tells when the content of mounted files changes.
//!
//! The kubelet swaps the `..data` symlink beside a mounted file and editors rename over it, so the *directory* is watched;
//! a slow poll covers file systems without notifications. Owns no parsing: whoever follows a generation reads the files.
//! A `subPath` mount never changes, and no watcher can help that.

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

/// Quiet time after the last event: a swap is several of them.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// Longest time for which events may keep a change waiting.
const MAX_DEBOUNCE: Duration = Duration::from_secs(1);
/// Bytes of a file that are compared; none of those that are watched may be larger.
const MAX_WATCHED_BYTES: u64 = 16 * 1024 * 1024;
/// Time between two looks at the files if nothing was notified.
const POLL: Duration = Duration::from_secs(30);

/// Watches one file; see [`watch_files`].
pub fn watch_file(path: &Path) -> watch::Receiver<u64> {
    watch_files(vec![path.to_owned()])
}

/// A generation that goes up whenever the content of one of the files has changed, a file that vanished included.
///
/// Call it *before* reading the files for the first time, else a change in between goes unseen. The watch ends when the
/// last receiver is dropped. Must be called within a Tokio runtime.
pub fn watch_files(paths: Vec<PathBuf>) -> watch::Receiver<u64> {
    let (generation, receiver) = watch::channel(0);
    let before = fingerprint(&paths);
    let changed = Arc::new(Notify::new());
    let watcher = watch_directories(&paths, &changed);
    tokio::spawn(async move {
        // The watcher stops notifying when it is dropped.
        let _watcher = watcher;
        tokio::select! {
            () = generation.closed() => {}
            () = follow(&paths, before, &changed, &generation) => {}
        }
    });
    receiver
}

async fn follow(paths: &[PathBuf], before: Fingerprint, changed: &Notify, generation: &watch::Sender<u64>) {
    let mut before = before;
    loop {
        if timeout(POLL, changed.notified()).await.is_ok() {
            let quiet = async { while timeout(DEBOUNCE, changed.notified()).await.is_ok() {} };
            // Running into the limit only means that the files are busy; they are looked at all the same.
            let _ = timeout(MAX_DEBOUNCE, quiet).await;
        }
        let owned = paths.to_vec();
        let Ok(now) = tokio::task::spawn_blocking(move || fingerprint(&owned)).await else {
            sleep(POLL).await;
            continue;
        };
        if now != before {
            before = now;
            generation.send_modify(|generation| *generation += 1);
        }
    }
}

type Fingerprint = Vec<Option<[u8; 32]>>;

/// What the files hold: comparing contents, not times, because a swapped symlink may lead to an older file.
fn fingerprint(paths: &[PathBuf]) -> Fingerprint {
    paths.iter().map(|path| digest(path).ok()).collect()
}

fn digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_WATCHED_BYTES).read_to_end(&mut content)?;
    Ok(Sha256::digest(content).into())
}

fn watch_directories(paths: &[PathBuf], changed: &Arc<Notify>) -> Option<RecommendedWatcher> {
    let notifier = Arc::clone(changed);
    let watcher = notify::recommended_watcher(move |_event| notifier.notify_one());
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "file notifications are not available; mounted files are looked at every 30 s");
            return None;
        }
    };
    let directories: BTreeSet<_> = paths.iter().map(|path| directory_of(path)).collect();
    for directory in directories {
        if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
            tracing::warn!(%error, directory = %directory.display(), "cannot watch; the files are looked at every 30 s");
        }
    }
    Some(watcher)
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Far above what a notification takes, below the poll.
    const SOON: Duration = Duration::from_secs(10);

    async fn changes(receiver: &mut watch::Receiver<u64>) -> bool {
        matches!(timeout(SOON, receiver.changed()).await, Ok(Ok(())))
    }

    #[tokio::test]
    async fn a_symlink_swap_as_the_kubelet_does_it_is_noticed() {
        let mount = tempfile::tempdir().unwrap();
        for (version, content) in [("v1", "old"), ("v2", "new")] {
            fs::create_dir(mount.path().join(version)).unwrap();
            fs::write(mount.path().join(version).join("keys.json"), content).unwrap();
        }
        symlink("v1", mount.path().join("..data")).unwrap();
        symlink("..data/keys.json", mount.path().join("keys.json")).unwrap();
        let mut receiver = watch_file(&mount.path().join("keys.json"));
        symlink("v2", mount.path().join("..data_tmp")).unwrap();
        fs::rename(mount.path().join("..data_tmp"), mount.path().join("..data")).unwrap();
        assert!(changes(&mut receiver).await);
    }

    #[tokio::test]
    async fn an_editors_rename_a_rewrite_and_a_removal_are_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keys.json");
        fs::write(&file, "one").unwrap();
        let mut receiver = watch_file(&file);
        fs::write(directory.path().join("swap"), "two").unwrap();
        fs::rename(directory.path().join("swap"), &file).unwrap();
        assert!(changes(&mut receiver).await, "rename");
        fs::write(&file, "three").unwrap();
        assert!(changes(&mut receiver).await, "rewrite");
        fs::remove_file(&file).unwrap();
        assert!(changes(&mut receiver).await, "removal");
    }

    #[tokio::test]
    async fn a_change_of_a_neighbour_or_of_times_only_is_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keys.json");
        fs::write(&file, "same").unwrap();
        let mut receiver = watch_file(&file);
        fs::write(directory.path().join("neighbour"), "x").unwrap();
        fs::write(&file, "same").unwrap();
        // A real change afterwards proves that the earlier events were seen and counted for nothing.
        fs::write(&file, "other").unwrap();
        assert!(changes(&mut receiver).await);
        assert_eq!(*receiver.borrow_and_update(), 1);
    }
}
