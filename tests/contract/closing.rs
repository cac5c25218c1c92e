//! Every disconnect says why: its code and its stable words (W20). Revocation, drain and slowness have files of their own.

use crate::raw::{Frame, Raw, masked};
use crate::stage::{HEADGATE, SOON, Stage};
use anyhow::{Context as _, Result};
use headgate_tests::wait::eventually;
use tokio::time::timeout;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;

async fn ready(stage: &Stage) -> Result<Raw> {
    let mut client = stage.raw().await?.open("/orders", &[HEADGATE]).await?;
    assert!(client.text().await?.starts_with(r#"{"type":"ready""#));
    Ok(client)
}

async fn expect(client: &mut Raw, first: u8, payload: &[u8], code: u16, reason: &str) -> Result<()> {
    client.send_frame(first, payload).await?;
    assert_eq!(client.closed().await?, (code, reason.to_owned()), "{first:#x} {payload:.20?}");
    Ok(())
}

/// Answers the gateway's close, after which it must end the connection.
async fn answer_close(mut client: Raw, code: u16) -> Result<()> {
    client.send_frame(CLOSE, &code.to_be_bytes()).await?;
    assert_eq!(client.message().await?, Frame::End);
    Ok(())
}

/// W20
#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_protocol_closes_with_the_code_for_it_and_ends_with_the_answer() -> Result<()> {
    // A gateway that waited for its own deadline each time would take longer for all of them.
    timeout(SOON, break_the_protocol()).await.context("the connections do not end with the answers to their closes")?
}

async fn break_the_protocol() -> Result<()> {
    let stage = Stage::with(|config| config.limits.max_inbound_bytes = 1000).await?;
    for (first, payload, code, reason) in [
        (TEXT, &b"not json"[..], 1002, "protocol error"),
        (0xc1, b"{}", 1002, "protocol error"),
        (0x83, b"", 1002, "protocol error"),
        (0x80, b"a continuation of nothing", 1002, "protocol error"),
        (0x09, b"", 1002, "protocol error"),
        (PING, &[0; 126], 1002, "protocol error"),
        (CLOSE, &[3], 1002, "protocol error"),
        (CLOSE, &[0, 0], 1002, "protocol error"),
        (BINARY, b"x", 1003, "binary not accepted"),
        (TEXT, b"\xff\xfe", 1007, "not UTF-8"),
        (TEXT, &[b' '; 1001], 1009, "message too large"),
    ] {
        let mut client = ready(&stage).await?;
        expect(&mut client, first, payload, code, reason).await?;
        if first == CLOSE {
            // It has said its last word.
            assert_eq!(client.message().await?, Frame::End);
        } else {
            answer_close(client, code).await?;
        }
    }
    let mut unmasked = ready(&stage).await?;
    unmasked.send(&[TEXT, 2, b'{', b'}']).await?;
    assert_eq!(unmasked.closed().await?, (1002, "protocol error".to_owned()));
    answer_close(unmasked, 1002).await
}

/// W20
#[tokio::test(flavor = "multi_thread")]
async fn an_event_sent_to_a_stream_that_may_only_be_read_closes_with_1008() -> Result<()> {
    let stage = Stage::open().await?;
    for headers in [&[][..], &[("sec-websocket-protocol", "cloudevents.json")]] {
        let mut client = stage.raw().await?.open("/orders", headers).await?;
        expect(&mut client, TEXT, b"{}", 1008, "read only").await?;
    }
    Ok(())
}

/// W20
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_too_much_is_closed_with_1013() -> Result<()> {
    let stage = Stage::open().await?;
    let mut client = ready(&stage).await?;
    // All at once: in one second, however busy the machine is.
    client.send(&masked(PING, b"").repeat(51)).await?;
    assert_eq!(client.closed().await?, (1013, "over limit".to_owned()));
    Ok(())
}

/// W20
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_answers_a_ping_is_closed_with_1001_idle_timeout_and_one_that_does_stays() -> Result<()> {
    let stage = Stage::with(|config| {
        // So far apart that a busy machine does not silence the one that answers.
        config.limits.idle_timeout_seconds = 8;
        config.limits.ping_seconds = 1;
    })
    .await?;
    let (mut silent, mut lively) = (ready(&stage).await?, ready(&stage).await?);
    let mut pings = 0;
    let ended = loop {
        match silent.frame().await? {
            Frame::Ping => {
                pings += 1;
                while lively.frame().await? != Frame::Ping {}
                lively.send_frame(0x8a, b"").await?;
            }
            Frame::Close(code, reason) => break (code, reason),
            Frame::Text(text) if text.contains(r#""type":"cursor""#) => {}
            other => panic!("unexpected {other:?}"),
        }
    };
    assert_eq!(ended, (1001, "idle timeout".to_owned()));
    assert!(pings >= 1);
    stage.produce_events("a", [1]).await?;
    assert!(lively.text().await?.contains(r#""type":"event""#));
    Ok(())
}

/// W20
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_reaches_its_age_is_closed_with_1001_connection_age() -> Result<()> {
    let stage = Stage::with(|config| config.limits.max_connection_age_seconds = 1).await?;
    assert_eq!(ready(&stage).await?.closed().await?, (1001, "connection age".to_owned()));
    let mut events = stage.raw().await?;
    assert_eq!(events.get("/orders", &[("accept", "text/event-stream")]).await?.status, 200);
    events.until("event: close").await?;
    assert!(events.until("}").await?.ends_with(r#"data: {"code":1001,"reason":"connection age"}"#));
    Ok(())
}

/// W20
#[tokio::test(flavor = "multi_thread")]
async fn a_clients_close_is_answered_with_its_code_and_the_connection_ends() -> Result<()> {
    let stage = Stage::open().await?;
    for (payload, code) in [(&[0x03, 0xe8][..], 1000), (&[0x0f, 0xa0], 4000), (&[], 1005)] {
        let mut client = ready(&stage).await?;
        client.send_frame(CLOSE, payload).await?;
        assert_eq!(client.closed().await?.0, code);
        assert_eq!(client.frame().await?, Frame::End);
    }
    let line = r#"connections_closed_total{app="orders",code="1000",reason="bye"}"#;
    eventually("three goodbyes", SOON, async || stage.metric(line).await.is_ok_and(|n| n == 3)).await
}

/// W20
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_this_version_does_not_offer_is_answered_and_the_stream_goes_on() -> Result<()> {
    let stage = Stage::open().await?;
    let mut client = ready(&stage).await?;
    for (message, code) in [
        (r#"{"type":"publish","id":"7","event":{}}"#, "not-offered"),
        (r#"{"type":"refresh","token":"t"}"#, "not-offered"),
        (r#"{"type":"filter","filters":[{"nonsense":{}}]}"#, "bad-message"),
        (r#"{"type":"dance"}"#, "bad-message"),
        ("[]", "bad-message"),
    ] {
        client.send_frame(TEXT, message.as_bytes()).await?;
        let answer = client.text().await?;
        assert!(answer.contains(r#""type":"error""#) && answer.contains(code), "{message}: {answer}");
    }
    client.send_frame(TEXT, br#"{"type":"ping"}"#).await?;
    assert_eq!(client.text().await?, r#"{"type":"pong"}"#);
    client.send_frame(PING, b"payload").await?;
    assert_eq!(client.message().await?, Frame::Pong(b"payload".to_vec()));
    stage.produce_events("a", [1]).await?;
    assert!(client.text().await?.contains(r#""type":"event""#));
    Ok(())
}
