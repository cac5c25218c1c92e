//! A connection shows what its newest token allows, under the rules that are in force (W7).

use crate::draining::RealGateway;
use crate::raw::{Frame, Raw};
use crate::stage::{HEADGATE, SOON, Stage, bearer, config, rules, with_keys, with_tokens};
use anyhow::{Context as _, Result};
use headgate_tests::gateway::{Gateway, write_config};
use headgate_tests::oidc::hostile::{Behaviour, Document, Issuer};
use headgate_tests::wait::{eventually, eventually_ok};
use headgate_wire::config::{AuthMode, ClaimFilter, ClaimMatch};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn open(gateway: &Gateway, token: &str) -> Result<Raw> {
    let mut client =
        Raw::connect(gateway.stream).await?.open("/orders", &[HEADGATE, ("authorization", &bearer(token))]).await?;
    client.text().await?;
    Ok(client)
}

fn claims(issuer: &Issuer, subject: &str, change: &Value) -> Value {
    let mut claims = issuer.claims(subject);
    for (name, value) in change.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    claims
}

async fn send(client: &mut Raw, message: &Value) -> Result<()> {
    client.send_frame(0x81, message.to_string().as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_token_that_shows_other_rows_sends_its_client_back_for_them() -> Result<()> {
    let issuer = Issuer::start().await?;
    let filters = vec![ClaimFilter { attribute: "subject".into(), claim: "device".into() }];
    let stage = Stage::with(|config| {
        with_tokens(config, &issuer);
        config.auth.oidc.iter_mut().for_each(|oidc| oidc.filters.clone_from(&filters));
    })
    .await?;
    let token = |device: &str| issuer.token(&claims(&issuer, "alice", &json!({ "device": device })));
    let mut client = open(&stage.gateway, &token("d1")?).await?;
    stage.produce_events("d2", [1]).await?;
    stage.produce_events("d1", [2]).await?;
    assert!(client.text().await?.contains(r#""id":"2""#), "it sees its own rows only");
    send(&mut client, &json!({ "type": "filter", "filters": [{ "exact": { "subject": "d2" } }] })).await?;
    send(&mut client, &json!({ "type": "refresh", "token": token("d2")? })).await?;
    assert_eq!(client.closed().await?, (1012, "access changed; connect again".to_owned()));
    let without = issuer.token_of("alice")?;
    assert_eq!(stage.raw().await?.upgrade("/orders", &[("authorization", &bearer(&without))]).await?.status, 403);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_whose_claim_is_not_accepted_and_the_client_learns_neither() -> Result<()> {
    let issuer = Issuer::start().await?;
    let (_, mut config) = config()?;
    with_tokens(&mut config, &issuer);
    let required = vec![ClaimMatch { claim: "tenant".into(), values: vec!["planted-wanted".into()] }];
    config.auth.oidc.iter_mut().for_each(|oidc| oidc.required.clone_from(&required));
    // With the level that it has by itself: operators have no other.
    let gateway = RealGateway::start(&config, &[]).await?;
    let token = issuer.token(&claims(&issuer, "alice", &json!({ "tenant": "planted-other" })))?;
    let mut client = Raw::connect(gateway.stream).await?;
    let headers = [("authorization", &*bearer(&token)), ("connection", "close")];
    assert_eq!(client.upgrade("/orders", &headers).await?.status, 403);
    let told = client.body().await?;
    assert!(!told.contains("tenant") && !told.contains("alice"), "{told}");

    let line = eventually_ok("the refusal to be logged", SOON, async || {
        let line = gateway.process.stderr().into_iter().find(|line| line.contains("ClaimsNotAccepted"));
        line.context("not logged yet")
    });
    let line = line.await?;
    let logged: Value = serde_json::from_str(&line)?;
    let fields = logged.get("fields").unwrap_or(&logged);
    assert_eq!(fields["principal"], "alice", "{line}");
    assert!(line.contains("`tenant` (auth.oidc.required) has another value") && !line.contains("planted"), "{line}");
    Ok(())
}

/// W7
#[tokio::test(flavor = "multi_thread")]
async fn changed_rules_of_access_reach_live_connections_within_seconds_and_need_no_restart() -> Result<()> {
    let issuer = Issuer::start().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gateway.yaml");
    let (kafka, mut config) = config()?;
    with_tokens(&mut config, &issuer);
    config.public_access.anonymous = true;
    write_config(&file, &config)?;
    let gateway = Gateway::start_from(&file).await?;
    let tenant = |tenant: &str| issuer.token(&claims(&issuer, "alice", &json!({ "tenant": tenant })));
    let (mut staying, mut leaving) =
        (open(&gateway, &tenant("shop")?).await?, open(&gateway, &tenant("other")?).await?);
    let mut anonymous = Raw::connect(gateway.stream).await?.open("/orders", &[HEADGATE]).await?;

    let changed = Instant::now();
    config.public_access.anonymous = false;
    let required = vec![ClaimMatch { claim: "tenant".into(), values: vec!["shop".into()] }];
    config.auth.oidc.iter_mut().for_each(|oidc| oidc.required.clone_from(&required));
    write_config(&file, &config)?;
    assert_eq!(anonymous.closed().await?, (1008, "access withdrawn".to_owned()));
    for client in [&mut staying, &mut leaving] {
        assert_eq!(client.closed().await?, (1012, "access changed; connect again".to_owned()));
    }
    println!("rules in force after {:?}", changed.elapsed());
    assert!(changed.elapsed() < Duration::from_secs(5), "it took {:?}", changed.elapsed());
    let mut staying = open(&gateway, &tenant("shop")?).await?;
    let refused = Raw::connect(gateway.stream)
        .await?
        .upgrade("/orders", &[("authorization", &bearer(&tenant("other")?))])
        .await?;
    assert_eq!(refused.status, 403);

    // A file that cannot be used changes nothing.
    std::fs::write(&file, "auth: {mode: None}")?;
    config.auth.oidc.iter_mut().for_each(|oidc| oidc.audiences.clear());
    write_config(&file, &config)?;
    kafka.produce([headgate_tests::kafka::Record::new(&config.kafka.topic, "{}")]).await?;
    assert!(matches!(staying.frame().await?, Frame::Text(_)));
    Ok(())
}

/// W6
#[tokio::test(flavor = "multi_thread")]
async fn an_older_token_does_not_cut_a_connection_short() -> Result<()> {
    let issuer = Issuer::start().await?;
    let stage = Stage::with(|config| with_tokens(config, &issuer)).await?;
    let end = |seconds: i64| jiff::Timestamp::now().as_second() + seconds;
    let (sooner, later) = (end(5), end(600));
    let token = |end: i64| issuer.token(&claims(&issuer, "alice", &json!({ "exp": end })));
    let mut client = open(&stage.gateway, &token(later)?).await?;
    let mut witness = open(&stage.gateway, &token(sooner)?).await?;
    send(&mut client, &json!({ "type": "refresh", "token": token(sooner)? })).await?;
    let answer: Value = serde_json::from_str(&client.text().await?)?;
    assert_eq!(answer["expiresAt"], jiff::Timestamp::from_second(later)?.to_string(), "{answer}");
    assert_eq!(witness.closed().await?, (1008, "token expired".to_owned()), "the older one has ended");
    stage.produce_events("a", [1]).await?;
    assert!(client.text().await?.contains(r#""id":"1""#));
    Ok(())
}

/// W7, W9
#[tokio::test(flavor = "multi_thread")]
async fn another_mode_in_the_file_closes_at_once_and_opens_nothing_before_the_restart() -> Result<()> {
    let issuer = Issuer::start().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gateway.yaml");
    let (_, mut tokens) = config()?;
    let mut open_to_all = tokens.clone();
    with_tokens(&mut tokens, &issuer);
    open_to_all.public_access.anonymous = true;
    write_config(&file, &tokens)?;
    let gateway = Gateway::start_from(&file).await?;
    let token = issuer.token_of("alice")?;
    let mut staying = open(&gateway, &token).await?;
    let upgrade = async || anyhow::Ok(Raw::connect(gateway.stream).await?.upgrade("/orders", &[]).await?.status);

    open_to_all.public_access.allowed_origins = vec!["https://seen.example".into()];
    write_config(&file, &open_to_all)?;
    let origin = ("origin", "https://seen.example");
    eventually("the file to be seen", SOON, async || {
        let Ok(mut client) = Raw::connect(gateway.stream).await else { return false };
        client.upgrade("/orders", &[origin]).await.is_ok_and(|answer| answer.status == 401)
    })
    .await?;
    assert_eq!(upgrade().await?, 401, "not open before the restart");
    open(&gateway, &token).await?;
    write_config(&file, &tokens)?;
    open(&gateway, &token).await?;
    send(&mut staying, &json!({ "type": "ping" })).await?;
    assert!(staying.text().await?.contains("pong"), "its rules were the same all along");
    Ok(())
}

/// W7, JWT-2: the old provider is slow, so that its keys are still on their way when another one takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_provider_that_was_replaced_check_no_token_of_the_next() -> Result<()> {
    let (old, new) = (Issuer::start().await?, Issuer::start().await?);
    old.behave(Document::Keys, Behaviour::Slow(Duration::from_secs(2)));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gateway.yaml");
    let (_, mut config) = config()?;
    with_keys(&mut config, &folder.path().join("keys.json"), &[])?;
    config.auth.mode = AuthMode::ApiKeyOrOidc;
    config.auth.oidc = Some(rules(&old));
    write_config(&file, &config)?;
    let gateway = Gateway::start_from(&file).await?;
    eventually("the old provider to be asked", SOON, async || old.requests(Document::Keys) > 0).await?;
    config.auth.oidc = Some(rules(&new));
    write_config(&file, &config)?;

    let token = new.token_of("alice")?;
    let asked = async |token: &str| {
        let headers = [("authorization", &*bearer(token))];
        anyhow::Ok(Raw::connect(gateway.stream).await?.upgrade("/orders", &headers).await?.status)
    };
    eventually("a token of the new provider to be accepted", Duration::from_secs(8), async || {
        asked(&token).await.is_ok_and(|status| status == 101)
    })
    .await?;
    let forged = old.token(&new.claims("alice"))?;
    assert_eq!(asked(&forged).await?, 401, "the old provider signs for the new one");
    Ok(())
}
