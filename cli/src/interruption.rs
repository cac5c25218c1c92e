//! When somebody wants this process to end: Ctrl-C, SIGTERM, or the terminal went away.

use std::future::Future;
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Resolves at the first such signal from now on; from now on none of them ends the process by itself.
pub(crate) fn interruption() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
