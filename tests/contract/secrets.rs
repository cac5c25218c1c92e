//! No credential, in whatever carrier, reaches a log, a metric, a status or an answer (W11).

use crate::draining::RealGateway;
use crate::raw::Raw;
use crate::stage::{HEADGATE, SOON, bearer, config, issued, rules, with_keys};
use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use headgate_tests::gateway::get;
use headgate_tests::oidc::hostile::Issuer;
use headgate_tests::wait::eventually;
use headgate_wire::config::{AuthMode, QueryCredentials};

/// Wrong on purpose, and easy to find again. The password has colons.
const PLANTED: [&str; 6] = [
    "planted-bearer-4711-abcdefghijklmnop",
    "planted-basic:with:colons-4712-abcdefg",
    "planted-subprotocol-4713-abcdefghijk",
    "planted-token-4714-abcdefghijklmnopq",
    "planted-apikey-4715-abcdefghijklmnop",
    "eyJhbGciOiJub25lIn0.planted-4716-payload.signature",
];
const SUBPROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

type Request = (String, Vec<(&'static str, String)>);

fn encoded(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(secret)
}

fn basic(password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("user:{password}")))
}

fn offer(secret: &str) -> String {
    format!("headgate.v1, {SUBPROTOCOL}{}", encoded(secret))
}

/// Wrong credentials in every carrier, and mistakes that put a secret where nobody expects one.
fn refused_requests(key: &str) -> Vec<Request> {
    let [in_bearer, in_basic, in_subprotocol, in_token, in_api_key, jwt] = PLANTED;
    let with = |name, value| ("/orders".to_owned(), vec![(name, value)]);
    let target = |target: String| (target, vec![]);
    vec![
        with("authorization", bearer(in_bearer)),
        with("authorization", basic(in_basic)),
        with("sec-websocket-protocol", offer(in_subprotocol)),
        target(format!("/orders?token={in_token}")),
        target(format!("/orders?username=u&api_key={in_api_key}")),
        target(format!("/orders?token={jwt}")),
        target(format!("/orders?tokn={in_token}")),
        target(format!("/orders?{in_token}")),
        target(format!("/orders?key={key}")),
        target(format!("/orders/{jwt}?x=1")),
        target(format!("/orders/{key}?x=1")),
        target(format!("/{key}")),
        target(format!("/orders?from={key}")),
        with("authorization", format!("Digest {in_bearer}")),
        with("authorization", in_bearer.to_owned()),
        with("sec-websocket-protocol", format!("{SUBPROTOCOL}{}", encoded(in_subprotocol))),
        ("/orders".to_owned(), vec![("authorization", bearer(in_bearer)), ("authorization", basic(in_basic))]),
        ("/orders".to_owned(), vec![("last-event-id", key.to_owned()), ("authorization", bearer(key))]),
    ]
}

/// The right key, or the right token, in every carrier.
fn accepted_requests(key: &str) -> Vec<Request> {
    vec![
        ("/orders".to_owned(), vec![("authorization", bearer(key))]),
        ("/orders".to_owned(), vec![("authorization", basic(key))]),
        ("/orders".to_owned(), vec![("sec-websocket-protocol", offer(key))]),
        (format!("/orders?token={key}"), vec![]),
        (format!("/orders?username=u&api_key={key}"), vec![]),
    ]
}

/// Everything that the gateway says to one request, which it must accept or refuse.
async fn said(gateway: &RealGateway, (target, headers): Request, accepted: bool) -> Result<String> {
    let mut client = Raw::connect(gateway.stream).await?;
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = client.upgrade(&target, &[&headers[..], &[("connection", "close")]].concat()).await?;
    ensure!((answer.status == 101) == accepted, "{target}: {answer:?}");
    let body = if accepted { String::new() } else { client.body().await? };
    Ok(format!("{answer:?} {body}"))
}

/// What a client is told that renews its token: once with a forged one, once with a good one.
async fn renewed(gateway: &RealGateway, token: &str, forged: &str) -> Result<String> {
    let client = Raw::connect(gateway.stream).await?;
    let mut client = client.open("/orders", &[HEADGATE, ("authorization", &bearer(token))]).await?;
    let mut told = client.text().await?;
    for token in [forged, token] {
        let message = serde_json::json!({ "type": "refresh", "token": token });
        client.send_frame(0x81, message.to_string().as_bytes()).await?;
        told += &client.text().await?;
    }
    ensure!(told.contains("unauthorized") && told.contains("refreshed"), "{told}");
    Ok(told)
}

async fn ticket(gateway: &RealGateway, key: &str) -> Result<String> {
    let mut client = Raw::connect(gateway.stream).await?;
    let headers = [("authorization", &*bearer(key)), ("content-length", "0"), ("connection", "close")];
    client.request("POST", "/orders/tickets", &headers).await?;
    let body: serde_json::Value = serde_json::from_str(&client.body().await?)?;
    Ok(body["ticket"].as_str().unwrap_or_default().to_owned())
}

/// Everything that the gateway says to all of these, and on its admin port.
async fn all_said(
    gateway: &RealGateway,
    (key, token, forged, ticket): (&str, &str, &str, &str),
) -> Result<Vec<String>> {
    let mut everything = Vec::new();
    for request in refused_requests(key).into_iter().chain(refused_requests(forged).into_iter().take(4)) {
        everything.push(said(gateway, request, false).await?);
    }
    for request in accepted_requests(key).into_iter().chain(accepted_requests(token)) {
        everything.push(said(gateway, request, true).await?);
    }
    everything.push(renewed(gateway, token, forged).await?);
    for accepted in [true, false] {
        everything.push(said(gateway, (format!("/orders?ticket={ticket}"), vec![]), accepted).await?);
    }
    let mut garbage = Raw::connect(gateway.stream).await?;
    garbage.send(format!("{key} {}\r\n\r\n", PLANTED[0]).as_bytes()).await?;
    everything.push(garbage.body().await?);
    for path in ["/status", "/metrics", "/readyz"] {
        everything.push(get(gateway.admin, path, &[]).await?.1);
    }
    Ok(everything)
}

/// W11
#[tokio::test(flavor = "multi_thread")]
async fn planted_secrets_show_up_in_no_log_metric_status_or_answer() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (key, known) = issued("web", 3);
    let (_, mut config) = config()?;
    with_keys(&mut config, &folder.path().join("keys.json"), &[known])?;
    let issuer = Issuer::start().await?;
    config.auth.mode = AuthMode::ApiKeyOrOidc;
    config.auth.oidc = Some(rules(&issuer));
    let token = issuer.token_of("alice")?;
    let forged = format!("{}.{}", token.rsplit_once('.').unwrap_or_default().0, encoded(PLANTED[0]));
    config.public_access.query_credentials = QueryCredentials::Allowed;
    config.drain_seconds = 1;
    let mut gateway = RealGateway::start(&config, &[("RUST_LOG", "trace")]).await?;
    eventually("the provider's keys to be known", SOON, async || {
        get(gateway.admin, "/status", &[]).await.is_ok_and(|(_, status)| status.contains(r#""usable":true"#))
    })
    .await?;
    let ticket = ticket(&gateway, &key).await?;
    let mut everything = all_said(&gateway, (&key, &token, &forged, &ticket)).await?;
    eventually("the audit lines", SOON, async || {
        gateway.process.stderr().iter().filter(|line| line.contains(r#""event":"close""#)).count() >= 12
    })
    .await?;
    #[cfg(feature = "pods")]
    let memory = crate::memory::of_process(gateway.process.pid())?;
    gateway.process.terminate()?;
    gateway.process.exit(SOON).await?;

    let log = gateway.process.stderr();
    assert!(log.iter().any(|line| line.contains(r#""level":"DEBUG""#)), "this log is not the whole one");
    everything.extend(log);
    everything.extend(gateway.process.stdout());
    let signature = |token: &str| token.rsplit('.').next().unwrap_or_default().to_owned();
    let (signature, forgery) = (signature(&token), signature(&forged));
    let own = [key.as_str(), &key[key.len() - 20..], &signature, &forgery, &ticket[4..60]];
    for secret in PLANTED.iter().copied().chain(own) {
        for form in
            [secret.to_owned(), encoded(secret), STANDARD.encode(secret), basic(secret)["Basic ".len()..].to_owned()]
        {
            let line = everything.iter().find(|line| line.contains(&form));
            assert!(line.is_none(), "{form} was shown: {}", line.map_or("", String::as_str));
            #[cfg(feature = "pods")]
            assert!(memchr::memmem::find(&memory, form.as_bytes()).is_none(), "{form} is still in memory");
        }
    }
    Ok(())
}

/// W11
#[tokio::test(flavor = "multi_thread")]
async fn the_subprotocol_that_carries_a_token_is_never_the_answer() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (key, known) = issued("web", 4);
    let (_, mut config) = config()?;
    with_keys(&mut config, &folder.path().join("keys.json"), &[known])?;
    let gateway = headgate_tests::gateway::Gateway::start(config).await?;
    let token = format!("{SUBPROTOCOL}{}", encoded(&key));
    for (offer, chosen) in [
        (format!("{token}, headgate.v1"), "headgate.v1"),
        (format!("cloudevents.json, {token}"), "cloudevents.json"),
        (format!("other, {token}"), ""),
    ] {
        let mut client = Raw::connect(gateway.stream).await?;
        let answer = client.upgrade("/orders", &[("sec-websocket-protocol", &offer)]).await?;
        assert_eq!((answer.status, answer.header("sec-websocket-protocol").as_str()), (101, chosen), "{chosen}");
    }
    let alone = Raw::connect(gateway.stream).await?.upgrade("/orders", &[("sec-websocket-protocol", &token)]).await?;
    assert_eq!((alone.status, alone.header("sec-websocket-protocol").as_str()), (400, ""));
    Ok(())
}

/// W11
#[tokio::test(flavor = "multi_thread")]
async fn a_password_with_colons_is_a_password() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let password = "with:several:colons-and-enough-length-0123456789";
    let (_, mut config) = config()?;
    let known = headgate_tests::gateway::verifier("brought", password);
    with_keys(&mut config, &folder.path().join("keys.json"), &[known])?;
    let gateway = headgate_tests::gateway::Gateway::start(config).await?;
    let basic = format!("Basic {}", STANDARD.encode(format!("user:{password}")));
    let answer = Raw::connect(gateway.stream).await?.upgrade("/orders", &[("authorization", &basic)]).await?;
    assert_eq!(answer.status, 101);
    Ok(())
}
