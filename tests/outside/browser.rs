//! A real Chromium: the gateway's own page, and pages of other origins (W12, W13).

use crate::{PATIENCE, config, events, script};
use anyhow::Result;
use headgate_tests::gateway::{self, Gateway};
use headgate_tests::oidc::hostile::{AUDIENCE, Issuer};
use headgate_tests::ports::free_port;
use headgate_tests::process::Process;
use headgate_tests::spawn::command;
use headgate_tests::tools;
use headgate_wire::config::{Auth, AuthMode};
use headgate_wire::key::mint;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Starts one of the scripts with a browser and a profile of its own.
fn drive(name: &str, arguments: &[&str]) -> Result<(TempDir, Process)> {
    let profile = tempfile::tempdir()?;
    let mut node = command("node");
    node.env("NODE_PATH", tools::playwright()?);
    node.arg(script(name)).arg(tools::chromium()?).arg(profile.path()).args(arguments);
    Ok((profile, Process::start("node", node)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_live_events_and_resumes_after_a_drop_without_losing_one() -> Result<()> {
    let (kafka, config) = config()?;
    let topic = config.kafka.topic.clone();
    let gateway = Gateway::start(config).await?;
    let (_profile, mut browser) = drive("page.cjs", &[&format!("http://{}/orders", gateway.stream)])?;
    assert_eq!(browser.line(PATIENCE, |_| true).await?, "live");
    kafka.produce(events(&topic, 0..5)).await?;
    assert_eq!(browser.line(PATIENCE, |_| true).await?, "shown 5");
    assert_eq!(browser.line(PATIENCE, |_| true).await?, "dropped");
    kafka.produce(events(&topic, 5..10)).await?;
    let result: Value = serde_json::from_str(&browser.line(PATIENCE, |_| true).await?)?;
    assert_eq!(
        result["figures"],
        serde_json::json!({"total": "10", "missing": "0", "repeats": "0", "connections": "2"})
    );
    assert_eq!(result["rows"], 10);
    assert!(result["log"].as_str().is_some_and(|log| log.contains("resumed with the cursor, nothing is lost")));
    assert_eq!(result["problems"], serde_json::json!([]), "the page broke its own policy or threw");
    assert!(browser.exit(PATIENCE).await?.success());
    Ok(())
}

/// What a page of another origin saw with a key, or with a token.
async fn seen_from(name: &str, allowed: bool, with_token: bool) -> Result<Value> {
    let (kafka, mut config) = config()?;
    let topic = config.kafka.topic.clone();
    let port = free_port()?;
    let folder = tempfile::tempdir()?;
    let issuer = Issuer::start().await?;
    let (_, key) = mint(7, &[7; 32]);
    gateway::write_keys(&folder.path().join("keys.json"), &[gateway::verifier("web", &key)])?;
    let rules = json!({ "issuerURL": issuer.url(), "audiences": [AUDIENCE] });
    config.auth = if with_token {
        Auth { oidc: Some(serde_json::from_value(rules)?), ..Auth::keys(AuthMode::Oidc, None) }
    } else {
        Auth::keys(AuthMode::ApiKey, Some(folder.path().join("keys.json")))
    };
    config.public_access.anonymous = false;
    if allowed {
        config.public_access.allowed_origins = vec![format!("http://127.0.0.1:{port}")];
    }
    let gateway = Gateway::start(config).await?;
    kafka.produce(events(&topic, 0..1)).await?;
    let address = gateway.stream.to_string();
    let credential = if with_token { issuer.token_of("alice")? } else { key };
    let (_profile, mut browser) = drive(name, &[&port.to_string(), &address, &credential])?;
    let line = browser.line(PATIENCE, |_| true).await?;
    assert!(browser.exit(PATIENCE).await?.success());
    Ok(serde_json::from_str(&line)?)
}

/// W13
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_foreign_origin_is_refused_even_with_a_valid_key_or_token() -> Result<()> {
    for with_token in [false, true] {
        let seen = seen_from("foreign.cjs", false, with_token).await?;
        assert_eq!(seen["socket"], json!({"opened": false, "code": 1006, "messages": 0}));
        assert_eq!(seen["fetch"], "refused by the browser");
        assert_eq!(seen["ticket"], "refused by the browser");
    }
    Ok(())
}

/// W12, W13
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_allowed_origin_streams_with_its_credential_in_the_subprotocol_and_with_a_ticket() -> Result<()> {
    for with_token in [false, true] {
        let seen = seen_from("foreign.cjs", true, with_token).await?;
        let streamed = json!({"opened": true, "protocol": "headgate.v1", "messages": 2});
        assert_eq!(seen["socket"], streamed);
        assert_eq!(seen["fetch"], "200 text/event-stream");
        assert_eq!(seen["ticket"], streamed);
    }
    Ok(())
}
