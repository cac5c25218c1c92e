//! `headgate dev --oidc`: everything that logging in takes, on one machine, without a network.

use crate::login::{PATIENCE, headgate, home, log_in, printed, told};
use anyhow::{Context as _, Result};
use headgate_tests::oidc::browser::Browser;
use headgate_tests::process::Process;
use serde_json::Value;
use std::path::Path;

/// Dev mode with a test issuer, and what it says when it is ready.
async fn dev(home: &Path, files: &[&str]) -> Result<(Process, Value)> {
    let words = ["dev", "--oidc=127.0.0.1:0", "-o", "json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut dev = headgate(home, &[&words[..], &["--demo-rate", "50"], files].concat())?;
    let line = dev.line(PATIENCE, |line| line.starts_with('{')).await?;
    Ok((dev, serde_json::from_str(&line)?))
}

#[tokio::test]
async fn somebody_made_up_logs_in_and_sees_their_own_rows_only() -> Result<()> {
    let home = home()?;
    let (dev, ready) = dev(home.path(), &[]).await?;
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

#[tokio::test]
async fn the_examples_for_tokens_let_in_exactly_whom_dev_mode_says() -> Result<()> {
    let home = home()?;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let [rows, accounts] = ["oidc.yaml", "service-accounts.yaml"].map(|name| examples.join(name).display().to_string());
    let (dev, ready) = dev(home.path(), &["-f", &rows, "-f", &accounts]).await?;
    let issuer = ready["issuer"].as_str().context("no issuer")?;
    let streams: Vec<(&str, &str)> = ready["streams"]
        .as_array()
        .context("no streams")?
        .iter()
        .filter_map(|stream| Some((stream["app"].as_str()?, stream["url"].as_str()?)))
        .collect();
    assert_eq!(streams.len(), 2);
    let people = ready["people"].as_array().context("no people")?;
    assert_eq!(people.iter().map(|person| &person["user"]).collect::<Vec<_>>(), ["alice", "bob", "carol"]);
    for person in people {
        let (user, reads) =
            (person["user"].as_str().context("no user")?, person["reads"].as_array().context("no apps")?);
        assert_eq!(reads.len(), if user == "carol" { 0 } else { 2 }, "{person}");
        log_in(home.path(), issuer, user, &[]).await?;
        for (app, url) in &streams {
            let stream = ["stream", url, "--issuer", issuer, "-n", "2", "-o", "json", "--from", "earliest"];
            let mut shown = headgate(home.path(), &stream)?;
            let expected = if reads.iter().any(|read| read == app) { 0 } else { 2 };
            assert_eq!(shown.exit(PATIENCE).await?.code(), Some(expected), "{user} {app} {:?}", shown.stderr());
        }
    }
    dev.terminate()?;
    Ok(())
}
