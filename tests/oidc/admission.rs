//! Which tokens of a real provider open a stream, and that the others are refused before the upgrade, all alike.

use crate::stage::{SOON, Stage, bearer};
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_tests::gateway::get;
use headgate_tests::oidc::browser::send;
use headgate_tests::oidc::hostile::AUDIENCE;
use headgate_tests::oidc::keys::{Algorithm, Key, claims, header, hmac_token, unsigned_token};
use headgate_tests::oidc::provider::{Options, RealProvider};
use headgate_tests::raw::Raw;
use headgate_tests::wait::eventually;
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;

/// JWT-1
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_users_and_services_open_a_stream_whatever_the_provider_signs_with() -> Result<()> {
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let provider = RealProvider::start(&Options { algorithm, ..Options::default() }).await?;
        let stage = Stage::open(provider.issuer()).await?;
        let user = provider.token("alice", AUDIENCE, Duration::ZERO).await?;
        let service = provider.service_token("till-3", AUDIENCE, Duration::ZERO).await?;
        assert_eq!(header(&user)?["alg"], algorithm);
        assert_eq!((stage.status(&user).await?, stage.status(&service).await?), (101, 101), "{algorithm}");
        let offer = format!("headgate.v1, base64url.bearer.authorization.k8s.io.{}", URL_SAFE_NO_PAD.encode(&user));
        let mut client = Raw::connect(stage.gateway.stream).await?;
        let answer = client.upgrade("/orders", &[("sec-websocket-protocol", &offer)]).await?;
        assert_eq!((answer.status, answer.header("sec-websocket-protocol").as_str()), (101, "headgate.v1"));
    }
    Ok(())
}

/// JWT-1, W10
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_for_us_not_theirs_or_tampered_with_gets_the_same_401_before_the_upgrade() -> Result<()> {
    let provider = RealProvider::start(&Options::default()).await?;
    let other = RealProvider::start(&Options::default()).await?;
    let stage = Stage::open(provider.issuer()).await?;
    let good = provider.token("alice", AUDIENCE, Duration::ZERO).await?;
    let (head, body) = (header(&good)?, claims(&good)?);
    let parts: Vec<&str> = good.split('.').collect();
    let with = |name: &str, value: Value| {
        let mut changed = body.clone();
        changed[name] = value;
        URL_SAFE_NO_PAD.encode(changed.to_string())
    };
    let (_, _, keys) = send(Request::get(format!("{}/jwks", provider.issuer())).body(String::new())?).await?;
    let keys: Value = serde_json::from_str(&keys)?;
    let modulus = URL_SAFE_NO_PAD.decode(keys["keys"][0]["n"].as_str().context("no RSA key")?)?;
    let with_hmac = json!({ "alg": "HS256", "typ": "JWT", "kid": head["kid"] });
    let foreign = Key::new(head["kid"].as_str().context("no kid")?, Algorithm::RS256)?;

    let refused = [
        ("for another audience", provider.token("alice", "urn:elsewhere", Duration::ZERO).await?),
        ("of another issuer", other.token("alice", AUDIENCE, Duration::ZERO).await?),
        ("with another subject than was signed", format!("{}.{}.{}", parts[0], with("sub", "bob".into()), parts[2])),
        ("with a later end than was signed", format!("{}.{}.{}", parts[0], with("exp", 9e9.into()), parts[2])),
        ("with a cut signature", good[..good.len() - 4].to_owned()),
        ("with the signature of another", format!("{}.{}.{}", parts[0], parts[1], other_signature(&other).await?)),
        ("without a signature", unsigned_token(&json!({ "alg": "none" }), &body)),
        (
            "with the algorithm none and a signature",
            format!("{}.{}.{}", encode(r#"{"alg":"none"}"#), parts[1], parts[2]),
        ),
        ("signed with the public key as a secret", hmac_token(&with_hmac, &body, &modulus)),
        ("signed with the key set as a secret", hmac_token(&with_hmac, &body, keys["keys"][0].to_string().as_bytes())),
        ("signed with a key of that name", foreign.token(&head, &body)?),
        ("signed with a key in the header", with_own_key(&foreign, &body)?),
    ];
    let mut bodies = Vec::new();
    for (what, token) in &refused {
        let answer = stage.answer(token).await?;
        assert_eq!(answer.status, 401, "a token {what}");
        assert!(answer.header("www-authenticate").starts_with(r#"Bearer realm="orders""#), "a token {what}");
        bodies.push(get(stage.gateway.stream, "/orders", &[("authorization", &bearer(token))]).await?);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "the answers tell why: {bodies:?}");
    assert_eq!(stage.status(&good).await?, 101, "and the good one is still good");
    Ok(())
}

/// JWT-1
#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_no_stream_after_its_end() -> Result<()> {
    let provider = RealProvider::start(&Options::default()).await?;
    let stage = Stage::open(provider.issuer()).await?;
    let token = provider.token("alice", AUDIENCE, Duration::from_secs(3)).await?;
    assert_eq!(stage.status(&token).await?, 101);
    eventually("the token to end", SOON, async || stage.status(&token).await.is_ok_and(|status| status == 401)).await
}

async fn other_signature(other: &RealProvider) -> Result<String> {
    let token = other.token("alice", AUDIENCE, Duration::ZERO).await?;
    Ok(token.rsplit('.').next().context("no signature")?.to_owned())
}

/// RFC 7515 section 4.1.3 lets a token bring its own key, which proves nothing.
fn with_own_key(key: &Key, claims: &Value) -> Result<String> {
    key.token(&json!({ "alg": "RS256", "typ": "JWT", "jwk": key.jwk() }), claims)
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}
