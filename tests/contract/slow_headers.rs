//! Nobody holds a connection by sending a request, or a handshake, for ever.

use crate::raw::Raw;
use crate::stage::Stage;
use anyhow::{Result, bail};
use headgate_tests::wait::eventually;
use std::time::Duration;

/// The gateway gives 10 s for the headers of a request; the rest is for a busy machine.
const CUT_WITHIN: Duration = Duration::from_secs(45);

/// Sends one byte again and again until the gateway ends the connection.
async fn trickle(mut client: Raw, piece: &[u8]) -> Result<()> {
    eventually("the gateway to cut a client that never finishes its request", CUT_WITHIN, async || {
        client.send(piece).await.is_err()
    })
    .await
}

async fn silent(mut client: Raw) -> Result<()> {
    // The answer is the end of the connection; its own deadline is longer.
    match tokio::time::timeout(CUT_WITHIN, client.body()).await {
        Ok(body) => body.map(drop),
        Err(_) => bail!("the gateway keeps a client that says nothing"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_never_end_are_cut_after_the_header_timeout_and_clients_stay() -> Result<()> {
    let stage = Stage::open().await?;
    let mut connected = stage.raw().await?.open("/orders", &[]).await?;
    let mut half = stage.raw().await?;
    half.send(b"GET /orders HTTP/1.1\r\nhost: x\r\n").await?;
    let mut slow = stage.raw().await?;
    slow.send(b"GET /orders HTTP/1.1\r\nx-slow: ").await?;
    let mut idle = stage.raw().await?;
    assert_eq!(idle.get("/orders", &[]).await?.status, 426);
    let nothing = stage.raw().await?;
    tokio::try_join!(silent(half), trickle(slow, b"a"), silent(idle), silent(nothing))?;
    stage.produce_events("a", [1]).await?;
    assert!(connected.text().await?.contains(r#""id":"1""#));
    Ok(())
}
