//! Waiting for a condition with a deadline: the only place of the tests that lets time pass.
//!
//! Never wait a fixed time in a test: say what you wait for.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

/// How often a condition is looked at: often enough not to be felt, seldom enough not to load two cores.
const POLL: Duration = Duration::from_millis(10);

/// Waits until `condition` holds; after `deadline` the error says `what` was waited for.
pub async fn eventually(
    what: impl Display,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Result<()> {
    let end = Instant::now() + deadline;
    loop {
        if condition().await {
            return Ok(());
        }
        if Instant::now() >= end {
            bail!("waited {deadline:?} in vain for {what}");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Repeats `attempt` until it succeeds and gives what it yields; after `deadline`, its last error.
pub async fn eventually_ok<T>(
    what: impl Display,
    deadline: Duration,
    mut attempt: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= end => {
                return Err(error.context(format!("waited {deadline:?} in vain for {what}")));
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        let outcome = eventually("the third look", Duration::from_mins(1), async || {
            looks += 1;
            looks == 3
        });
        outcome.await.unwrap();
    }

    #[tokio::test]
    async fn a_condition_that_never_comes_true_is_named() {
        let error = eventually("rain", Duration::from_millis(50), async || false).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 50ms in vain for rain");
    }

    #[tokio::test]
    async fn the_last_error_of_an_attempt_is_kept() {
        let attempt = async || -> Result<()> { bail!("refused") };
        let error = eventually_ok("an answer", Duration::from_millis(50), attempt).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "waited 50ms in vain for an answer: refused");
    }
}
