//! A gateway whose authentication is not clearly configured does not start (W9).

use crate::stage::SOON;
use anyhow::Result;
use headgate_tests::process::Process;
use serde_json::{Value, json};

const USAGE: Option<i32> = Some(64);

fn complete() -> Value {
    json!({
        "app": "orders",
        "listeners": { "stream": "127.0.0.1:0", "admin": "127.0.0.1:0" },
        "kafka": { "bootstrapServers": "127.0.0.1:1", "topic": "orders" },
        "auth": { "mode": "None" },
        "publicAccess": { "anonymous": true },
    })
}

/// Exit code and log of a gateway with this configuration file.
async fn with_file(config: &Value) -> Result<(Option<i32>, String)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, config.to_string())?;
    run(&["--config", &file.display().to_string()], &[]).await
}

async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(Option<i32>, String)> {
    let mut command = Process::command("headgate-gateway")?;
    command.args(arguments).envs(environment.iter().copied());
    let mut process = Process::start("headgate-gateway", command)?;
    let status = process.exit(SOON).await?;
    Ok((status.code(), process.stderr().join("\n")))
}

/// W9
#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_missing_or_misspelt_authentication_is_refused_with_64_and_names_the_setting() -> Result<()> {
    let change = |path: &str, value: Option<Value>| {
        let mut config = complete();
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let members = config.pointer_mut(parent).and_then(Value::as_object_mut).expect("the parent is an object");
        match value {
            Some(value) => members.insert(name.to_owned(), value),
            None => members.remove(name),
        };
        config
    };
    for (config, named) in [
        (change("/auth", None), "auth"),
        (change("/auth", Some(json!({}))), "mode"),
        (change("/auth/mode", Some(json!("none"))), "mode"),
        (change("/auth/mode", Some(json!("ApiKeys"))), "mode"),
        (change("/auth/mode", Some(json!("ApiKey"))), "auth.keysFile"),
        (change("/auth/mode", Some(json!("OIDC"))), "auth.oidc"),
        (change("/auth", Some(json!({"mode": "ApiKey", "keysfile": "k"}))), "keysfile"),
        (change("/auth", Some(json!({"mode": "ApiKey", "keysFile": "/nonexistent/keys.json"}))), "auth.keysFile"),
        (change("/publicAccess", None), "publicAccess.anonymous"),
        (change("/publicAccess/anonymous", Some(json!(false))), "publicAccess.anonymous"),
        (change("/publicAccess/allowedOrigin", Some(json!(["https://a"]))), "allowedOrigin"),
        (change("/publicAccess/allowedOrigins", Some(json!(["*"]))), "publicAccess.allowedOrigins"),
        (change("/authentication", Some(json!({"mode": "ApiKey"}))), "authentication"),
    ] {
        let (code, log) = with_file(&config).await?;
        assert_eq!(code, USAGE, "{config}\n{log}");
        assert!(log.contains(named), "{named} is not named for {config}:\n{log}");
    }
    Ok(())
}

/// W9
#[tokio::test(flavor = "multi_thread")]
async fn flags_and_variables_without_a_clear_decision_on_access_are_refused_with_64_and_named() -> Result<()> {
    let plain = ["--kafka", "127.0.0.1:1", "--topic", "orders", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let key = "a-long-enough-key-of-older-times-0123456789";
    for (extra, environment, named) in [
        (&[][..], &[][..], "anonymous"),
        (&[], &[("AUTH_ENABLED", "yes")], "AUTH_ENABLED"),
        (&[], &[("AUTH_ENABLED", "true")], "AUTH_API_KEYS"),
        (&[], &[("AUTH_API_KEY", key)], "AUTH_API_KEYS"),
        (&[], &[("AUTH_ENABLED", "true"), ("AUTH_API_KEYS", "a.b.c")], "AUTH_API_KEYS"),
        (&["--anonymous"], &[("HEADGATE_KEY_FILE", "k")], "HEADGATE_KEY_FILE"),
        (&["--anonymous"], &[("HEADGATE_ANONYMUS", "false")], "HEADGATE_ANONYM"),
        (&["--api-key", key], &[], "--keys-file"),
    ] {
        let (code, log) = run(&[&plain[..], extra].concat(), environment).await?;
        assert_eq!(code, USAGE, "{extra:?} {environment:?}\n{log}");
        assert!(log.contains(named), "{named} is not named for {extra:?} {environment:?}:\n{log}");
        assert!(!log.contains(key), "the key is in the log:\n{log}");
    }
    Ok(())
}
