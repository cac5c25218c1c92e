//! One term of leadership: wait for the Lease, work, and end in the right order.
//!
//! | what happens | what is done |
//! |---|---|
//! | shutdown | the work stops taking on more, has until the drain deadline, then the Lease is given back |
//! | the Lease is lost | the work is cut off at once, because another replica may work already |
//! | the work ends by itself | an error: without it, leading is of no use to anybody |
//!
//! Owns that order. Must never know what the work is.

use super::elector::{Elector, Ended, Leadership};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Why a term ended otherwise than by a shutdown.
#[derive(Debug, thiserror::Error)]
pub enum TermError {
    /// Somebody else may lead now.
    #[error("the Lease is lost, so that another replica may work now; this one starts again")]
    LeaseLost,
    /// The work is over although nobody asked for it.
    #[error("the controllers ended without being told to")]
    WorkEnded,
    /// A defect in the work or in the election.
    #[error("a task of the operator broke")]
    Broken(#[from] JoinError),
}

/// Works whenever this replica leads, until the shutdown. `work` gets the token that tells it to finish what is under way,
/// for which it has the time `drain`. Without an elector, this replica leads from the beginning.
pub async fn lead<W, F>(
    election: Option<(Elector, watch::Receiver<Leadership>)>,
    shutdown: &CancellationToken,
    drain: Duration,
    work: W,
) -> Result<(), TermError>
where
    W: FnOnce(CancellationToken) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let Some((elector, leadership)) = election else {
        return drained(spawn(work, shutdown), shutdown, drain).await;
    };
    let resign = CancellationToken::new();
    let mut election = AbortOnDropHandle::new(tokio::spawn(elector.run(resign.clone())));
    let result = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        ended = &mut election => return Err(unasked(ended)),
        () = leading(leadership) => {
            let work = spawn(work, shutdown);
            tokio::select! {
                biased;
                // Dropping the other branch cuts the work off.
                ended = &mut election => return Err(unasked(ended)),
                result = drained(work, shutdown, drain) => result,
            }
        }
    };
    resign.cancel();
    election.await?;
    result
}

fn spawn<W, F>(work: W, shutdown: &CancellationToken) -> AbortOnDropHandle<()>
where
    W: FnOnce(CancellationToken) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let handle: JoinHandle<()> = tokio::spawn(work(shutdown.clone()));
    AbortOnDropHandle::new(handle)
}

async fn leading(mut leadership: watch::Receiver<Leadership>) {
    if leadership.wait_for(|leadership| *leadership == Leadership::Leading).await.is_err() {
        // The election has ended, which its task tells better.
        std::future::pending::<()>().await;
    }
}

/// Waits for the end of the work, which is due `drain` after the shutdown.
async fn drained(
    mut work: AbortOnDropHandle<()>,
    shutdown: &CancellationToken,
    drain: Duration,
) -> Result<(), TermError> {
    tokio::select! {
        ended = &mut work => {
            ended?;
            return if shutdown.is_cancelled() { Ok(()) } else { Err(TermError::WorkEnded) };
        }
        () = shutdown.cancelled() => {}
    }
    if let Ok(ended) = timeout(drain, &mut work).await {
        ended?;
    } else {
        tracing::warn!(seconds = drain.as_secs(), "some reconciles did not end in time and are cut off");
        work.abort();
        // An aborted task ends where it waits next; whoever leads next must not meet it.
        let _ = work.await;
    }
    Ok(())
}

fn unasked(ended: Result<Ended, JoinError>) -> TermError {
    match ended {
        Ok(Ended::Lost | Ended::Resigned) => TermError::LeaseLost,
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests;
