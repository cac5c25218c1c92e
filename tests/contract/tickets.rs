//! Tickets: one connection for a caller whose client can send no header (W12).

use crate::raw::{Answer, Raw};
use crate::stage::{HEADGATE, Stage, bearer, config, issued, with_keys, with_tokens};
use anyhow::Result;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::oidc::hostile::Issuer;
use headgate_wire::GatewayConfig;
use headgate_wire::config::{Auth, AuthMode, ClaimFilter};
use serde_json::{Value, json};

async fn post(gateway: &Gateway, target: &str, headers: &[(&str, &str)]) -> Result<(Answer, Value)> {
    let mut client = Raw::connect(gateway.stream).await?;
    let headers = [headers, &[("content-length", "0"), ("connection", "close")]].concat();
    let answer = client.request("POST", target, &headers).await?;
    let body = client.body().await?;
    Ok((answer, serde_json::from_str(&body).unwrap_or_default()))
}

/// A ticket for the holder of this credential.
pub async fn ticket(gateway: &Gateway, credential: &str) -> Result<String> {
    let (answer, body) = post(gateway, "/orders/tickets", &[("authorization", &bearer(credential))]).await?;
    assert_eq!(answer.status, 201, "{body}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(body["expiresAt"].as_str().is_some_and(|end| end.parse::<jiff::Timestamp>().is_ok()), "{body}");
    Ok(body["ticket"].as_str().unwrap_or_default().to_owned())
}

async fn upgrade(gateway: &Gateway, ticket: &str) -> Result<u16> {
    let target = format!("/orders?ticket={ticket}");
    Ok(Raw::connect(gateway.stream).await?.upgrade(&target, &[HEADGATE]).await?.status)
}

/// Two gateways of one endpoint, with one secret for tickets, and one that does not know it.
async fn gateways(change: impl Fn(&mut GatewayConfig) -> Result<()>) -> Result<([Gateway; 2], Gateway)> {
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("ticket-key");
    std::fs::write(&secret, [7; 32])?;
    let (_, mut shared) = config()?;
    change(&mut shared)?;
    let alone = shared.clone();
    shared.auth.ticket_key_file = Some(secret);
    let both = [Gateway::start(shared.clone()).await?, Gateway::start(shared).await?];
    Ok((both, Gateway::start(alone).await?))
}

/// W12
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_connection_on_any_gateway_of_the_endpoint_and_no_second_one_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (key, known) = issued("web", 1);
    let ([first, second], stranger) =
        gateways(|config| with_keys(config, &folder.path().join("keys.json"), std::slice::from_ref(&known))).await?;
    let ticket = ticket(&first, &key).await?;
    assert_eq!(upgrade(&stranger, &ticket).await?, 401, "it was sealed with another secret");
    assert_eq!(upgrade(&second, &ticket).await?, 101);
    assert_eq!(upgrade(&second, &ticket).await?, 401);
    assert_eq!(upgrade(&second, &format!("{ticket}x")).await?, 401);
    let (answer, _) = post(&first, &format!("/orders/tickets?ticket={ticket}"), &[]).await?;
    assert_eq!(answer.status, 400, "a ticket for a ticket");
    let with_key = format!("/orders?ticket={ticket}");
    let both = Raw::connect(first.stream).await?.upgrade(&with_key, &[("authorization", &bearer(&key))]).await?;
    assert_eq!(both.status, 400, "two credentials");
    Ok(())
}

/// W7
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_worth_nothing_once_its_key_is_revoked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("keys.json");
    let (key, known) = issued("web", 1);
    let stage = Stage::with(|config| with_keys(config, &file, &[known]).unwrap_or_default()).await?;
    let (mut connected, ticket) = (
        stage.raw().await?.open("/orders", &[HEADGATE, ("authorization", &bearer(&key))]).await?,
        ticket(&stage.gateway, &key).await?,
    );
    gateway::write_keys(&file, &[])?;
    assert_eq!(connected.closed().await?, (1008, "key revoked".to_owned()), "the change has arrived");
    assert_eq!(upgrade(&stage.gateway, &ticket).await?, 401);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_shows_the_rows_of_its_caller_and_ends_with_the_callers_token() -> Result<()> {
    let issuer = Issuer::start().await?;
    let stage = Stage::with(|config| {
        with_tokens(config, &issuer);
        let filters = vec![ClaimFilter { attribute: "subject".into(), claim: "device".into() }];
        config.auth.oidc.iter_mut().for_each(|oidc| oidc.filters.clone_from(&filters));
    })
    .await?;
    let mut claims = issuer.claims("alice");
    claims["device"] = json!("d1");
    claims["exp"] = json!(jiff::Timestamp::now().as_second() + 6);
    let ticket = ticket(&stage.gateway, &issuer.token(&claims)?).await?;
    let mut client = stage.raw().await?.open(&format!("/orders?ticket={ticket}"), &[HEADGATE]).await?;
    client.text().await?;
    stage.produce_events("d2", [1]).await?;
    stage.produce_events("d1", [2]).await?;
    assert!(client.text().await?.contains(r#""id":"2""#));
    assert_eq!(client.closed().await?, (1008, "token expired".to_owned()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_needs_credentials_an_allowed_page_and_a_post() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (key, known) = issued("web", 1);
    let stage = Stage::with(|config| {
        with_keys(config, &folder.path().join("keys.json"), &[known]).unwrap_or_default();
        config.public_access.allowed_origins = vec!["https://shop.example.com".into()];
    })
    .await?;
    let gateway = &stage.gateway;
    assert_eq!(post(gateway, "/orders/tickets", &[]).await?.0.status, 401);
    assert_eq!(post(gateway, "/orders/tickets", &[("authorization", "Bearer wrong")]).await?.0.status, 401);
    let credentials = ("authorization", &*bearer(&key));
    assert_eq!(post(gateway, "/orders/tickets?from=latest", &[credentials]).await?.0.status, 400);
    assert_eq!(post(gateway, "/other/tickets", &[credentials]).await?.0.status, 404);
    let (foreign, _) = post(gateway, "/orders/tickets", &[credentials, ("origin", "https://evil.example")]).await?;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (403, String::new()));
    let (ours, _) = post(gateway, "/ws/tickets", &[credentials, ("origin", "https://shop.example.com")]).await?;
    assert_eq!((ours.status, &*ours.header("access-control-allow-origin")), (201, "https://shop.example.com"));
    let got = stage.raw().await?.get("/orders/tickets", &[credentials]).await?;
    assert_eq!((got.status, &*got.header("allow")), (405, "POST"));
    let preflight = [("origin", "https://shop.example.com"), ("access-control-request-method", "POST")];
    let preflight = stage.raw().await?.request("OPTIONS", "/orders/tickets", &preflight).await?;
    assert!(preflight.header("access-control-allow-methods").contains("POST"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_caller_needs_no_ticket_and_gets_none() -> Result<()> {
    let stage = Stage::with(|config| {
        config.auth = Auth::keys(AuthMode::None, None);
        config.public_access.anonymous = true;
    })
    .await?;
    let (answer, body) = post(&stage.gateway, "/orders/tickets", &[]).await?;
    assert_eq!(answer.status, 400, "{body}");
    Ok(())
}
