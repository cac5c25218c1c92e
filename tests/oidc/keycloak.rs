//! Keycloak, which most teams have: its roles in a nested claim, its encryption key, its rotation, its absence.

use crate::stage::{SOON, Stage, config};
use anyhow::{Context as _, Result};
use headgate_tests::gateway::Gateway;
use headgate_tests::kafka::Record;
use headgate_tests::oidc::keycloak::Keycloak;
use headgate_tests::oidc::keys::{Algorithm, Key, claims, header};
use headgate_tests::raw::Raw;
use headgate_tests::wait::eventually;
use serde_json::{Value, json};

/// A stream for viewers, who see the events of their own tenant.
async fn open(keycloak: &Keycloak) -> Result<Stage> {
    let (kafka, mut config) = config(&keycloak.issuer())?;
    let oidc = config.auth.oidc.as_mut().context("tokens are accepted")?;
    oidc.required = serde_json::from_value(json!([{ "claim": "realm_access.roles", "values": ["viewer"] }]))?;
    oidc.filters = serde_json::from_value(json!([{ "attribute": "subject", "claim": "https://headgate.dev/tenant" }]))?;
    let topic = config.kafka.topic.clone();
    Ok(Stage { kafka, topic, gateway: Gateway::start(config).await? })
}

/// One event for each of these tenants, with the tenant as its id.
async fn produce(stage: &Stage, tenants: &[&str]) -> Result<()> {
    let event = |tenant: &&str| {
        let event = json!({ "specversion": "1.0", "id": tenant, "source": "/till", "type": "sale", "subject": tenant });
        Record::new(&stage.topic, event.to_string())
    };
    stage.kafka.produce(tenants.iter().map(event)).await.map(drop)
}

/// The tenant of the next event.
async fn tenant(client: &mut Raw) -> Result<Value> {
    let message: Value = serde_json::from_str(&client.text().await?)?;
    Ok(message["event"]["id"].clone())
}

/// One server for all of it, as it takes as long to start as the rest together. JWT-1, JWT-2, JWT-4
#[tokio::test(flavor = "multi_thread")]
async fn keycloaks_users_get_in_by_role_see_their_rows_and_stay_when_its_keys_change_or_it_is_gone() -> Result<()> {
    let mut keycloak = Keycloak::start().await?;
    let stage = open(&keycloak).await?;
    let alice = keycloak.user_token("alice").await?;
    let till = keycloak.service_token("till-3").await?;
    let mut till_streams = only_roles_admit_and_only_own_rows_show(&keycloak, &stage, &alice, &till).await?;
    the_encryption_key_checks_no_signature(&keycloak, &stage, &alice).await?;

    keycloak.rotate_keys().await?;
    let renewed = keycloak.user_token("alice").await?;
    assert_ne!(header(&alice)?["kid"], header(&renewed)?["kid"], "the key is the same");
    eventually("the new key", SOON, async || stage.status(&renewed).await.is_ok_and(|status| status == 101)).await?;
    assert_eq!(stage.status(&alice).await?, 101, "a token of the old key");
    assert_eq!(till_streams.closed().await?, (1008, "token expired".to_owned()), "another one, until its end");
    assert_eq!(stage.status(&till).await?, 401);

    keycloak.kill()?;
    let stranger = Key::new("unknown", Algorithm::RS256)?;
    assert_eq!(stage.status(&stranger.token(&stranger.header(), &claims(&alice)?)?).await?, 401);
    assert_eq!((stage.status(&alice).await?, stage.status(&renewed).await?), (101, 101), "known keys go on");
    assert_eq!(stage.gateway.admin_get("/readyz").await?.0, 200);
    Ok(())
}

/// Gives the stream of the service.
async fn only_roles_admit_and_only_own_rows_show(
    keycloak: &Keycloak,
    stage: &Stage,
    alice: &str,
    till: &str,
) -> Result<Raw> {
    assert_eq!(stage.status(&keycloak.user_token("bob").await?).await?, 403, "bob is a guest");
    let (mut alice, mut till) = (stage.connected(alice).await?, stage.connected(till).await?);
    produce(stage, &["globex", "acme", "globex", "acme"]).await?;
    for _ in 0..2 {
        assert_eq!((tenant(&mut alice).await?, tenant(&mut till).await?), (json!("acme"), json!("globex")));
    }
    Ok(till)
}

/// The realm publishes it beside the one that signs.
async fn the_encryption_key_checks_no_signature(keycloak: &Keycloak, stage: &Stage, token: &str) -> Result<()> {
    let keys = keycloak.key_set().await?;
    let encryption = keys["keys"].as_array().into_iter().flatten().find(|key| key["use"] == "enc");
    let name = encryption.and_then(|key| key["kid"].as_str()).context("no encryption key is published")?;
    let forged = Key::new(name, Algorithm::RS256)?;
    assert_eq!(stage.status(&forged.token(&forged.header(), &claims(token)?)?).await?, 401);
    assert_eq!(stage.provider().await?["problem"], Value::Null);
    Ok(())
}
