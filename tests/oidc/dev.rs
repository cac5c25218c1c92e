//! `headgate dev --oidc`: everything that logging in takes, on one machine, without a network.

use crate::login::{PATIENCE, headgate, home, log_in, printed, told};
use anyhow::{Context as _, Result};
use headgate_tests::oidc::browser::Browser;
use headgate_tests::process::Process;
use serde_json::Value;
use std::path::Path;

/// Dev mode with a test issuer, and what it says when it is ready.
async fn dev(home: &Path) -> Result<(Process, Value)> {
    let words = ["dev", "--oidc=127.0.0.1:0", "-o", "json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut dev = headgate(home, &[&words[..], &["--demo-rate", "50"]].concat())?;
    let line = dev.line(PATIENCE, |line| line.starts_with('{')).await?;
    Ok((dev, serde_json::from_str(&line)?))
}

#[tokio::test]
async fn somebody_made_up_logs_in_and_sees_their_own_rows_only() -> Result<()> {
    let home = home()?;
    let (dev, ready) = dev(home.path()).await?;
    let issuer = ready["issuer"].as_str().context("no issuer")?;
    let streams = ready["streams"].as_array().context("no streams")?;
    let url = streams.iter().find(|stream| stream["app"] == "my-orders").and_then(|stream| stream["url"].as_str());
    let url = url.context("no stream for people")?;

    log_in(home.path(), issuer, "alice", &[]).await?;
    let stream = ["stream", url, "--issuer", issuer, "-n", "3", "-o", "json", "--from", "earliest"];
    let shown = printed(home.path(), &stream).await?;
    let events: Vec<Value> = shown.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event["subject"] == "eu"), "{shown}");

    log_in(home.path(), issuer, "carol", &[]).await?;
    let mut refused = headgate(home.path(), &stream)?;
    assert_eq!(refused.exit(PATIENCE).await?.code(), Some(2), "{:?}", refused.stderr());

    let mut device = headgate(home.path(), &["login", issuer, "--device"])?;
    let line = told(&device, |line| line.starts_with("Open ")).await?;
    let mut browser = Browser::default();
    let page = browser.visit(line.trim_start_matches("Open ")).await?;
    let code =
        page.body.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).context("no code")?.to_owned();
    let page = browser.submit(&page, &[("user_code", &code), ("user", "bob")]).await?;
    assert!(page.body.contains("The device is logged in"), "{page:?}");
    assert!(device.exit(PATIENCE).await?.success(), "{:?}", device.stderr());
    let shown = printed(home.path(), &stream).await?;
    assert!(shown.lines().all(|line| line.contains(r#""subject":"us""#)), "{shown}");
    dev.terminate()?;
    Ok(())
}
