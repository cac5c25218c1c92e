//! Nobody gets more connections than one may have, and whoever leaves makes room (W27).

use crate::raw::{Answer, Raw};
use crate::stage::{SOON, Stage, bearer, config, issued, with_keys};
use anyhow::Result;
use futures_util::future::try_join_all;
use headgate_tests::wait::eventually;

const EVENTS: (&str, &str) = ("accept", "text/event-stream");

/// Tries until the gateway lets a client in again.
async fn admitted_again(stage: &Stage, headers: &[(&str, &str)]) -> Result<()> {
    eventually("a free place", SOON, async || {
        let Ok(mut client) = stage.raw().await else { return false };
        client.upgrade("/orders", headers).await.is_ok_and(|answer| answer.status == 101)
    })
    .await
}

async fn refused(stage: &Stage, headers: &[(&str, &str)], status: u16, word: &str) -> Result<Answer> {
    let mut client = stage.raw().await?;
    let answer = client.upgrade("/orders", &[headers, &[("connection", "close")]].concat()).await?;
    assert_eq!(answer.status, status);
    assert!(!answer.header("retry-after").is_empty());
    let body = client.body().await?;
    assert!(body.contains(word), "{body}");
    Ok(answer)
}

/// W27
#[tokio::test(flavor = "multi_thread")]
async fn a_full_gateway_answers_503_and_a_client_that_leaves_makes_room() -> Result<()> {
    let stage = Stage::with(|config| config.limits.max_connections = 2).await?;
    let first = stage.raw().await?.open("/orders", &[]).await?;
    let mut second = stage.raw().await?;
    assert_eq!(second.get("/orders", &[EVENTS]).await?.status, 200);
    refused(&stage, &[], 503, "GatewayFull").await?;
    drop(first);
    admitted_again(&stage, &[]).await
}

/// W27
#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_whose_client_leaves_makes_room_at_once_and_not_at_the_next_ping() -> Result<()> {
    // Pings come every 25 s, which is more than this test waits.
    let stage = Stage::with(|config| config.limits.max_connections = 1).await?;
    let mut events = stage.raw().await?;
    assert_eq!(events.get("/orders", &[EVENTS]).await?.status, 200);
    stage.produce_events("a", [1]).await?;
    // After the cursor that follows an event, nothing is written that could fail.
    events.until(r#""id":"1""#).await?;
    events.until("event: cursor").await?;
    refused(&stage, &[], 503, "GatewayFull").await?;
    drop(events);
    eventually("a free place", SOON / 3, async || {
        let Ok(mut client) = stage.raw().await else { return false };
        client.upgrade("/orders", &[]).await.is_ok_and(|answer| answer.status == 101)
    })
    .await
}

/// W27
#[tokio::test(flavor = "multi_thread")]
async fn an_address_at_its_limit_gets_429_and_a_client_that_leaves_makes_room() -> Result<()> {
    let stage = Stage::with(|config| config.limits.max_connections_per_address = 3).await?;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(stage.raw().await?.open("/orders", &[]).await?);
    }
    refused(&stage, &[], 429, "TooManyConnectionsOfAddress").await?;
    // A close in good order counts as leaving, too.
    clients[0].send_frame(0x88, &[3, 0xe8]).await?;
    assert_eq!(clients[0].closed().await?.0, 1000);
    admitted_again(&stage, &[]).await
}

/// W27
#[tokio::test(flavor = "multi_thread")]
async fn a_key_at_its_limit_gets_429_and_other_keys_do_not_notice() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (one, known_one) = issued("one", 1);
    let (two, known_two) = issued("two", 2);
    let (_, mut closed) = config()?;
    with_keys(&mut closed, &folder.path().join("keys.json"), &[known_one, known_two])?;
    closed.limits.max_connections_per_key = 2;
    let stage = Stage::with(|config| *config = closed).await?;
    let (one, two) = (bearer(&one), bearer(&two));
    let first = stage.raw().await?.open("/orders", &[("authorization", &one)]).await?;
    let _second = stage.raw().await?.open("/orders", &[("authorization", &one)]).await?;
    refused(&stage, &[("authorization", &one)], 429, "TooManyConnectionsOfKey").await?;
    let _other = stage.raw().await?.open("/orders", &[("authorization", &two)]).await?;
    drop(first);
    admitted_again(&stage, &[("authorization", &one)]).await
}

/// W27
#[tokio::test(flavor = "multi_thread")]
async fn more_handshakes_than_the_rate_get_429_with_retry_after_and_pass_later() -> Result<()> {
    let stage = Stage::with(|config| config.limits.handshakes_per_second = 5).await?;
    let mut clients = Vec::new();
    // One connection each, opened before, and all requests sent before the first answer is read, so that the handshakes
    // themselves come at once.
    for _ in 0..60 {
        clients.push(stage.raw().await?);
    }
    let statuses = try_join_all(clients.iter_mut().map(async |client| {
        let answer = client.upgrade("/orders", &[]).await?;
        anyhow::Ok(answer.status)
    }))
    .await?;
    assert!(statuses.contains(&101) && statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().all(|status| [101, 429].contains(status)), "{statuses:?}");
    admitted_again(&stage, &[]).await
}

/// W27
#[tokio::test(flavor = "multi_thread")]
async fn guessing_keys_is_slowed_down_and_the_right_key_of_another_connection_stays() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (right, known) = issued("web", 1);
    let (_, mut closed) = config()?;
    with_keys(&mut closed, &folder.path().join("keys.json"), &[known])?;
    let stage = Stage::with(|config| *config = closed).await?;
    let mut connected = stage.raw().await?.open("/orders", &[("authorization", &bearer(&right))]).await?;
    let mut last = 0;
    for guess in 10..100 {
        let (wrong, _) = issued("guess", guess);
        last = stage.raw().await?.upgrade("/orders", &[("authorization", &bearer(&wrong))]).await?.status;
    }
    assert_eq!(last, 429);
    stage.produce_events("a", [1]).await?;
    assert!(connected.text().await?.contains(r#""id":"1""#));
    Ok(())
}

/// W27
#[tokio::test(flavor = "multi_thread")]
async fn refused_and_abandoned_handshakes_hold_no_place() -> Result<()> {
    let stage = Stage::with(|config| config.limits.max_connections = 2).await?;
    for _ in 0..20 {
        let mut client = stage.raw().await?;
        assert_eq!(client.upgrade("/orders?x=1", &[]).await?.status, 400);
        let gone: Raw = stage.raw().await?;
        drop(gone);
    }
    let _first = stage.raw().await?.open("/orders", &[]).await?;
    let _second = stage.raw().await?.open("/orders", &[]).await?;
    Ok(())
}
