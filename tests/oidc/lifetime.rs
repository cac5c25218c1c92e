//! A connection ends with its token, is renewed in-band by the same subject only, and nobody else's is touched (W5, W6).

use crate::stage::{SOON, Stage, bearer};
use anyhow::Result;
use futures_util::future::try_join_all;
use headgate_tests::oidc::hostile::{AUDIENCE, Issuer};
use headgate_tests::oidc::provider::{Options, RealProvider};
use headgate_tests::raw::Raw;
use headgate_tests::wait::eventually;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

/// How long after its end a token may keep its sockets.
const CLOSED_WITHIN: SignedDuration = SignedDuration::from_millis(1500);
/// Far beyond the end of the short tokens of these tests, in seconds.
const LONG: i64 = 3600;

/// The message that renews a token.
fn refresh(token: &str) -> Vec<u8> {
    json!({ "type": "refresh", "token": token }).to_string().into_bytes()
}

/// The end of a token of this issuer that lasts so many seconds from now.
fn lasting(issuer: &Issuer, subject: &str, seconds: i64) -> Result<(String, Timestamp)> {
    let mut claims = issuer.claims(subject);
    let end = Timestamp::now().as_second() + seconds;
    claims["exp"] = end.into();
    Ok((issuer.token(&claims)?, Timestamp::from_second(end)?))
}

fn is_in_time(end: Timestamp) -> bool {
    let late = Timestamp::now().duration_since(end);
    late >= SignedDuration::ZERO && late <= CLOSED_WITHIN
}

async fn message(client: &mut Raw) -> Result<Value> {
    Ok(serde_json::from_str(&client.text().await?)?)
}

/// W5, W6, JWT-3
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_sockets_end_with_their_token_also_a_hundred_that_do_not_read() -> Result<()> {
    const SOCKETS: usize = 1000;
    const FROZEN: usize = 100;
    let issuer = Issuer::start().await?;
    let stage = Stage::open(issuer.url()).await?;
    let (token, end) = lasting(&issuer, "alice", 20)?;
    let (staying, _) = lasting(&issuer, "bob", LONG)?;
    let headers = [("authorization", bearer(&token))];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut frozen = Vec::new();
    for _ in 0..FROZEN {
        frozen.push(Raw::connect_small(stage.gateway.stream).await?.open("/orders", &headers).await?);
    }
    let mut reading = Vec::new();
    for _ in FROZEN..SOCKETS {
        reading.push(Raw::connect(stage.gateway.stream).await?.open("/orders", &headers).await?);
    }
    let mut stays = stage.connected(&staying).await?;
    assert!(Timestamp::now() < end, "connecting took longer than the token lasts");
    // More than the kernel takes for a client that does not read.
    stage.produce_large(40).await?;

    let closed = reading.iter_mut().map(async |client| {
        let close = client.closed().await?;
        anyhow::Ok((close, Timestamp::now()))
    });
    for (close, at) in try_join_all(closed).await? {
        assert_eq!(close, (1008, "token expired".to_owned()));
        let late = at.duration_since(end);
        assert!(late >= SignedDuration::ZERO && late <= CLOSED_WITHIN, "{late:?} after the end");
    }
    let line = r#"headgate_gateway_connections_closed_total{app="orders",code="1008",reason="token expired"}"#;
    eventually("the frozen ones to be closed too", SOON, async || {
        stage.gateway.metric(line).await.is_ok_and(|closed| closed >= SOCKETS as f64)
    })
    .await?;
    assert!(is_in_time(end), "the frozen ones took {:?}", Timestamp::now().duration_since(end));
    for _ in 0..40 {
        stays.text().await?;
    }
    drop(frozen);
    Ok(())
}

/// W6
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_token_of_the_same_subject_prolongs_the_connection_and_is_acknowledged() -> Result<()> {
    let issuer = Issuer::start().await?;
    let stage = Stage::open(issuer.url()).await?;
    let (first, end) = lasting(&issuer, "alice", 3)?;
    let mut client = stage.connected(&first).await?;
    let mut without = stage.connected(&first).await?;
    let (second, later) = lasting(&issuer, "alice", LONG)?;
    client.send_frame(0x81, &refresh(&second)).await?;
    assert_eq!(message(&mut client).await?, json!({ "type": "refreshed", "expiresAt": later.to_string() }));
    assert_eq!(without.closed().await?, (1008, "token expired".to_owned()));
    assert!(is_in_time(end));
    client.send_frame(0x81, br#"{"type":"ping"}"#).await?;
    assert_eq!(message(&mut client).await?, json!({ "type": "pong" }));
    Ok(())
}

/// W6
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_somebody_else_or_one_that_is_not_good_prolongs_nothing() -> Result<()> {
    let issuer = Issuer::start().await?;
    let stage = Stage::open(issuer.url()).await?;
    let (token, end) = lasting(&issuer, "alice", 4)?;
    let mut client = stage.connected(&token).await?;
    let stranger = Issuer::start().await?;
    let refused = [lasting(&issuer, "bob", LONG)?, lasting(&issuer, "alice", -10)?, lasting(&stranger, "alice", LONG)?];
    for (token, _) in refused {
        client.send_frame(0x81, &refresh(&token)).await?;
        let answer = message(&mut client).await?;
        assert_eq!((&answer["type"], &answer["code"]), (&"error".into(), &"unauthorized".into()), "{answer}");
        assert!(!answer.to_string().contains(&token), "the answer repeats the token");
    }
    assert_eq!(client.closed().await?, (1008, "token expired".to_owned()));
    assert!(is_in_time(end));
    Ok(())
}

/// W6
#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_that_a_real_provider_gives_for_a_refresh_token_keep_a_connection_open() -> Result<()> {
    let provider = RealProvider::start(&Options::default()).await?;
    let stage = Stage::open(provider.issuer()).await?;
    let first = provider.log_in("alice", AUDIENCE, Duration::from_secs(8)).await?;
    let mut client = stage.connected(&first.access).await?;
    let mut without = stage.connected(&first.access).await?;
    let second = provider.refresh(first.refresh.as_deref().unwrap_or_default(), Duration::ZERO).await?;
    client.send_frame(0x81, &refresh(&second.access)).await?;
    assert_eq!(message(&mut client).await?["type"], "refreshed");
    assert_eq!(without.closed().await?, (1008, "token expired".to_owned()));
    client.send_frame(0x81, br#"{"type":"ping"}"#).await?;
    assert_eq!(message(&mut client).await?, json!({ "type": "pong" }));
    Ok(())
}
