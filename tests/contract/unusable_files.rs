//! What of a mounted file is not in force can be seen without reading the log: all of it, if it has become unusable, or
//! what takes effect with the next start only.

use crate::stage::{HEADGATE, SOON, Stage, bearer, config, issued, rules, with_keys};
use anyhow::{Context as _, Result};
use headgate_tests::gateway::{Gateway, write_config};
use headgate_tests::oidc::hostile::Issuer;
use headgate_tests::wait::eventually;
use headgate_wire::config::{AuthMode, Oidc};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::Path;

/// In every spoiled file, and never to be seen.
const PLANTED: &str = "planted-31337";
/// What is followed, in the order of the status, and the file of it.
const FILES: [(&str, &str); 3] = [("configuration", "gateway.yaml"), ("keys", "keys.json"), ("jwks", "jwks.json")];
const SUCCESSFUL: &str = "headgate_config_last_reload_successful{";

fn replace(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("replacing");
    std::fs::write(&fresh, text)?;
    Ok(std::fs::rename(fresh, path)?)
}

/// A stream with all files in this folder, and a key and a token that open it.
async fn stage(folder: &Path) -> Result<(Stage, [String; 2])> {
    let issuer = Issuer::start().await?;
    let (key, known) = issued("web", 1);
    let (kafka, mut configured) = config()?;
    std::fs::write(folder.join("jwks.json"), json!({ "keys": [issuer.key().jwk()] }).to_string())?;
    with_keys(&mut configured, &folder.join("keys.json"), &[known])?;
    configured.auth.mode = AuthMode::ApiKeyOrOidc;
    configured.auth.oidc = Some(Oidc { jwks_file: Some(folder.join("jwks.json")), ..rules(&issuer) });
    write_config(&folder.join("gateway.yaml"), &configured)?;
    let topic = configured.kafka.topic.clone();
    let gateway = Gateway::start_from(&folder.join("gateway.yaml")).await?;
    Ok((Stage { kafka, topic, gateway }, [key, issuer.token_of("alice")?]))
}

async fn not_in_force(stage: &Stage) -> Result<Vec<Value>> {
    let status = stage.gateway.status().await?;
    assert!(!status.to_string().contains(PLANTED), "{status}");
    status["streams"][0]["filesNotInForce"].as_array().cloned().context("no list")
}

async fn becomes(stage: &Stage, files: &[(&str, &str)]) -> Result<()> {
    let expected: Vec<&str> = files.iter().map(|(file, _)| *file).collect();
    eventually(&format!("{expected:?} to be told of"), SOON, async || {
        let told = not_in_force(stage).await.unwrap_or_default();
        let in_force = stage.gateway.metric(SUCCESSFUL).await.unwrap_or_default() as usize;
        told.iter().filter_map(|file| file["file"].as_str()).eq(expected.iter().copied())
            && in_force == FILES.len() - expected.len()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_any_more_is_told_by_status_and_metrics_and_changes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (stage, credentials) = stage(folder.path()).await?;
    becomes(&stage, &[]).await?;
    let mut good = Vec::new();
    for (number, (_, name)) in FILES.into_iter().enumerate() {
        let path = folder.path().join(name);
        good.push(std::fs::read_to_string(&path)?);
        replace(&path, &format!(r#"{{ "app": "{PLANTED}", "#))?;
        becomes(&stage, &FILES[..=number]).await?;
    }
    for (told, (file, name)) in not_in_force(&stage).await?.iter().zip(FILES) {
        assert_eq!(told["path"].as_str().map(Path::new), Some(folder.path().join(name).as_path()));
        assert!(told["reason"].as_str().is_some_and(|reason| reason.len() > 20), "{told}");
        assert!(told["since"].as_str().is_some_and(|since| since.parse::<Timestamp>().is_ok()), "{told}");
        let failures = format!("headgate_config_reload_failures_total{{app=\"orders\",file=\"{file}\"}}");
        assert!(stage.gateway.metric(&failures).await? >= 1.0, "{file}");
    }
    for credential in &credentials {
        stage.raw().await?.open("/orders", &[HEADGATE, ("authorization", &bearer(credential))]).await?;
    }
    for ((_, name), text) in FILES.into_iter().zip(good) {
        replace(&folder.path().join(name), &text)?;
    }
    becomes(&stage, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_wait_for_a_restart_are_told_by_status_and_metrics_until_they_are_undone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (stage, _) = stage(folder.path()).await?;
    let path = folder.path().join("gateway.yaml");
    let good = std::fs::read_to_string(&path)?;
    let waits_for = async |expected: Value| {
        eventually(format!("{expected} to wait for a restart"), SOON, async || {
            let Ok(status) = stage.gateway.status().await else { return false };
            let required = stage.gateway.metric("headgate_config_restart_required{app=\"orders\"}").await;
            let is_required = if expected == json!([]) { 0.0 } else { 1.0 };
            status["streams"][0]["configurationWaitsForRestart"] == expected
                && required.is_ok_and(|value| (value - is_required).abs() < f64::EPSILON)
        })
        .await
    };
    waits_for(json!([])).await?;
    let mut changed: Value = serde_json::from_str(&good)?;
    changed["limits"]["maxConnections"] = json!(77);
    changed["stream"]["filters"] = json!([{ "exact": { "subject": PLANTED } }]);
    replace(&path, &changed.to_string())?;
    waits_for(json!(["limits.maxConnections", "stream.filters"])).await?;
    assert_eq!(not_in_force(&stage).await?, Vec::<Value>::new(), "the rest of the file is in force");
    replace(&path, &good)?;
    waits_for(json!([])).await
}
