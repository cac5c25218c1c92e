//! A provider that is late, down, rotating or hostile: what a gateway says, what keeps working, and that strangers cannot
//! make it ask (JWT-2).

use crate::stage::{SOON, Stage, config};
use anyhow::{Context as _, Result};
use headgate_tests::certificates::Authority;
use headgate_tests::gateway::Gateway;
use headgate_tests::oidc::hostile::{AUDIENCE, Behaviour, Document, Issuer};
use headgate_tests::oidc::keys::{Algorithm, Key};
use headgate_tests::oidc::provider::{Options, RealProvider};
use headgate_tests::ports::free_port;
use headgate_tests::raw::Raw;
use headgate_tests::wait::eventually;
use http::StatusCode;
use serde_json::json;
use std::time::Duration;

/// More than any set of keys needs.
const TOO_LARGE: usize = 8 * 1024 * 1024;
/// A gateway asks its provider at most so often within the seconds that a test takes.
const FEW: usize = 3;

/// W17, JWT-2
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_at_the_start_holds_readiness_back_with_a_reason_until_it_is_up() -> Result<()> {
    let port = free_port()?;
    let issuer = format!("http://127.0.0.1:{port}");
    let stage = Stage::unready(&issuer).await?;
    eventually("the reason", SOON, async || {
        stage.provider().await.is_ok_and(|report| report["problem"].as_str().is_some_and(|text| text.contains(&issuer)))
    })
    .await?;
    let (status, body) = stage.gateway.admin_get("/readyz").await?;
    assert_eq!((status, body.contains("oidc")), (503, true), "{body}");
    assert_eq!(stage.gateway.admin_get("/livez").await?.0, 200);
    let stranger = Issuer::start().await?;
    assert_eq!(stage.status(&stranger.token_of("alice")?).await?, 503, "nobody is refused for what cannot be checked");

    let provider = RealProvider::start(&Options { port, ..Options::default() }).await?;
    stage.gateway.ready().await?;
    assert_eq!(stage.status(&provider.token("alice", AUDIENCE, Duration::ZERO).await?).await?, 101);
    assert_eq!(stage.provider().await?["problem"], serde_json::Value::Null);
    Ok(())
}

/// JWT-2
#[tokio::test(flavor = "multi_thread")]
async fn known_keys_keep_working_while_the_provider_is_down() -> Result<()> {
    let mut provider = RealProvider::start(&Options::default()).await?;
    let stage = Stage::open(provider.issuer()).await?;
    let token = provider.token("alice", AUDIENCE, Duration::ZERO).await?;
    provider.kill()?;
    let foreign = Key::new("unknown", Algorithm::ES256)?;
    let unknown = foreign.token(&foreign.header(), &json!({ "iss": provider.issuer() }))?;
    assert_eq!(stage.status(&unknown).await?, 401);
    assert_eq!(stage.status(&token).await?, 101);
    assert_eq!(stage.gateway.admin_get("/readyz").await?.0, 200);
    Ok(())
}

/// JWT-2
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_new_key_is_accepted_without_a_restart() -> Result<()> {
    let provider = RealProvider::start(&Options::default()).await?;
    let stage = Stage::open(provider.issuer()).await?;
    let old = provider.token("alice", AUDIENCE, Duration::ZERO).await?;
    provider.rotate_keys(true).await?;
    let new = provider.token("alice", AUDIENCE, Duration::ZERO).await?;
    eventually("the new key", SOON, async || stage.status(&new).await.is_ok_and(|status| status == 101)).await?;
    assert_eq!(stage.status(&old).await?, 101, "the old key is still published");
    provider.rotate_keys(false).await?;
    let newest = provider.token("alice", AUDIENCE, Duration::ZERO).await?;
    eventually("the newest key", SOON, async || stage.status(&newest).await.is_ok_and(|status| status == 101)).await?;
    assert_eq!(stage.status(&old).await?, 401, "the old key is no longer published");
    Ok(())
}

/// JWT-2
#[tokio::test(flavor = "multi_thread")]
async fn random_key_ids_do_not_become_requests_to_the_provider() -> Result<()> {
    let issuer = Issuer::start().await?;
    let stage = Stage::open(issuer.url()).await?;
    let key = issuer.key();
    for number in 0..25 {
        let header = key.named(&format!("random-{number}")).header();
        assert_eq!(stage.status(&key.token(&header, &issuer.claims("alice"))?).await?, 401);
    }
    assert!(issuer.requests(Document::Keys) <= FEW, "{} requests", issuer.requests(Document::Keys));
    assert_eq!(stage.status(&issuer.token_of("alice")?).await?, 101);
    Ok(())
}

/// JWT-2
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_badly_is_a_reason_and_no_harm_and_is_used_once_it_recovers() -> Result<()> {
    let other = Issuer::start().await?;
    let wrong_issuer = json!({ "issuer": other.url(), "jwks_uri": format!("{}/keys", other.url()) }).to_string();
    let no_keys = json!({ "keys": [] }).to_string();
    let symmetric = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0", "kid": "first", "alg": "HS256" }] }).to_string();
    let cases = [
        (Document::Discovery, Behaviour::Status(StatusCode::INTERNAL_SERVER_ERROR)),
        (Document::Discovery, Behaviour::Text(wrong_issuer)),
        (Document::Discovery, Behaviour::Text("<html>".to_owned())),
        (Document::Discovery, Behaviour::Redirect(format!("{}/.well-known/openid-configuration", other.url()))),
        (Document::Discovery, Behaviour::Endless(TOO_LARGE)),
        (Document::Keys, Behaviour::Status(StatusCode::SERVICE_UNAVAILABLE)),
        (Document::Keys, Behaviour::Redirect(format!("{}/keys", other.url()))),
        (Document::Keys, Behaviour::Close),
        (Document::Keys, Behaviour::Endless(TOO_LARGE)),
        (Document::Keys, Behaviour::Silent),
        (Document::Keys, Behaviour::Text(no_keys)),
        (Document::Keys, Behaviour::Text(symmetric)),
    ];
    let outcomes = cases.map(|(document, behaviour)| async move {
        let issuer = Issuer::start().await?;
        let what = format!("{document:?} {behaviour:?}");
        issuer.behave(document, behaviour);
        let stage = Stage::unready(issuer.url()).await?;
        let reason = eventually("the reason", SOON, async || {
            stage.provider().await.is_ok_and(|report| report["problem"].is_string())
        });
        reason.await.with_context(|| what.clone())?;
        assert_eq!(stage.provider().await?["usable"], false, "{what}");
        assert_eq!(stage.status(&issuer.token_of("alice")?).await?, 503, "{what}");
        issuer.recover();
        stage.gateway.ready().await.with_context(|| what.clone())?;
        assert_eq!(stage.status(&issuer.token_of("alice")?).await?, 101, "{what}");
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(outcomes).await?;
    assert_eq!(other.requests(Document::Keys), 0, "somebody else was asked for keys");
    Ok(())
}

/// JWT-1
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_not_for_signatures_are_passed_over_and_swapped_ones_accept_nothing() -> Result<()> {
    let issuer = Issuer::start().await?;
    let signing = issuer.key();
    let mut encryption = Key::new("encryption", Algorithm::ES256)?.jwk();
    encryption["use"] = "enc".into();
    let mut same_name = encryption.clone();
    same_name["kid"] = signing.id.clone().into();
    let unknown = json!({ "kty": "from-the-future", "kid": "x", "alg": "PQ512" });
    issuer.publish([encryption, same_name, unknown, json!({ "kid": "nothing else" }), signing.jwk()]);
    let stage = Stage::open(issuer.url()).await?;
    assert_eq!(stage.status(&issuer.token_of("alice")?).await?, 101);

    // Two keys that have each other's names: a signature is good by its own key only.
    let (first, second) = (Key::new("a", Algorithm::ES256)?, Key::new("b", Algorithm::ES256)?);
    let swapped = Issuer::start_at(0, first.clone()).await?;
    swapped.publish([first.named("b").jwk(), second.named("a").jwk()]);
    let stage = Stage::open(swapped.url()).await?;
    assert_eq!(stage.status(&swapped.token_of("alice")?).await?, 401);
    Ok(())
}

/// JWT-2
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_with_a_certificate_of_the_own_authority_is_trusted_only_if_that_is_configured() -> Result<()> {
    let authority = Authority::new("company")?;
    let issuer = Issuer::start_tls(&authority.server(&["127.0.0.1"])?).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, authority.certificate())?;
    let stranger = Stage::unready(issuer.url()).await?;
    eventually("the reason", SOON, async || {
        stranger.provider().await.is_ok_and(|report| report["problem"].as_str().is_some_and(|p| p.contains("https://")))
    })
    .await?;
    let (_, mut trusting) = config(issuer.url())?;
    if let Some(oidc) = &mut trusting.auth.oidc {
        oidc.ca_file = Some(file);
    }
    let gateway = Gateway::start(trusting).await?;
    let token = format!("Bearer {}", issuer.token_of("alice")?);
    let answer = Raw::connect(gateway.stream).await?.upgrade("/orders", &[("authorization", &token)]).await?;
    assert_eq!(answer.status, 101);
    assert_eq!(stranger.provider().await?["usable"], false);
    Ok(())
}
