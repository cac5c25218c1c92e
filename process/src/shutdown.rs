//! Turns SIGTERM and SIGINT into a token that everything watches. Owns no order of shutting down: that is the process's.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code after a second signal: the one that shells report for a process ended by SIGINT (128 + 2).
pub const FORCED_EXIT_CODE: i32 = 130;

/// A token that is cancelled by the first SIGTERM or SIGINT. A second signal ends the process at once.
///
/// Must be called within a Tokio runtime. Fails if the system refuses signal handlers.
pub fn on_signals() -> io::Result<CancellationToken> {
    let mut signals =
        Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "shutting down; a second signal ends the process at once");
        cancelled.cancel();
        let name = signals.next().await;
        tracing::warn!(signal = name, "second signal, exiting without draining");
        std::process::exit(FORCED_EXIT_CODE);
    });
    Ok(token)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
