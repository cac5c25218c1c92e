//! Every refusal is an HTTP answer before the upgrade: its status, its headers, its words (W10, W13).

use crate::raw::{Answer, Frame, Raw};
use crate::stage::{HEADGATE, SOON, Stage, bearer, config, issued, with_keys};
use anyhow::{Result, ensure};
use headgate_tests::gateway::Gateway;
use headgate_tests::ports::free_port;
use headgate_tests::wait::eventually;
use headgate_wire::key::Permission;
use tempfile::TempDir;

/// A gateway that knows one key that may read and one that may only publish.
async fn closed_stage() -> Result<(TempDir, Stage, String, String)> {
    let folder = tempfile::tempdir()?;
    let (reader, known_reader) = issued("web", 1);
    let (writer, mut known_writer) = issued("etl", 2);
    known_writer.permissions = vec![Permission::Publish];
    let (_, mut config) = config()?;
    with_keys(&mut config, &folder.path().join("keys.json"), &[known_reader, known_writer])?;
    let stage = Stage::with(|changed| *changed = config).await?;
    Ok((folder, stage, reader, writer))
}

async fn refused(stage: &Stage, target: &str, headers: &[(&str, &str)]) -> Result<(Answer, serde_json::Value)> {
    let mut client = stage.raw().await?;
    let answer = client.upgrade(target, &[headers, &[("connection", "close")]].concat()).await?;
    ensure!(answer.status >= 400, "{target} was not refused: {answer:?}");
    let body = client.body().await?;
    Ok((answer, serde_json::from_str(&body)?))
}

/// W10
#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_get_401_with_challenges_before_the_upgrade_and_no_reason() -> Result<()> {
    let (_folder, stage, reader, _) = closed_stage().await?;
    let mistyped = format!("{}x", &reader[..reader.len() - 1]);
    let (unknown, _) = issued("unknown", 9);
    let mut bodies = Vec::new();
    for header in [None, Some(bearer(&mistyped)), Some(bearer(&unknown)), Some(bearer("short"))] {
        let headers: Vec<_> = header.iter().map(|value| ("authorization", value.as_str())).collect();
        let (answer, body) = refused(&stage, "/orders", &headers).await?;
        assert_eq!(answer.status, 401, "{header:?}");
        assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="orders", Basic realm="orders""#);
        assert_eq!(answer.header("cache-control"), "no-store");
        bodies.push(body);
    }
    assert_eq!(bodies[0]["error"], "Unauthorized");
    assert!(bodies.iter().all(|body| *body == bodies[0]), "the answers tell why: {bodies:?}");
    let accepted = stage.raw().await?.upgrade("/orders", &[("authorization", &bearer(&reader))]).await?;
    assert_eq!(accepted.status, 101);
    Ok(())
}

/// W10
#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_read_gets_403_and_an_unknown_app_404() -> Result<()> {
    let (_folder, stage, reader, writer) = closed_stage().await?;
    let (answer, body) = refused(&stage, "/orders", &[("authorization", &bearer(&writer))]).await?;
    assert_eq!((answer.status, &body["error"]), (403, &"Forbidden".into()));
    for path in ["/nothing", "/", "/ordersx", "/Orders", "/nothing/orders", "/livez", "/metrics"] {
        let (answer, body) = refused(&stage, path, &[("authorization", &bearer(&reader))]).await?;
        assert_eq!((answer.status, &body["error"]), (404, &"NotFound".into()), "{path}");
    }
    Ok(())
}

/// W10
#[tokio::test(flavor = "multi_thread")]
async fn another_method_gets_405_with_allow_and_a_bare_get_426() -> Result<()> {
    let stage = Stage::open().await?;
    for method in ["POST", "PUT", "DELETE", "HEAD", "PATCH", "TRACE"] {
        let answer = stage.raw().await?.request(method, "/orders", &[("connection", "close")]).await?;
        assert_eq!((answer.status, answer.header("allow").as_str()), (405, "GET"), "{method}");
    }
    let answer = stage.raw().await?.get("/orders", &[("connection", "close")]).await?;
    assert_eq!((answer.status, answer.header("upgrade").as_str()), (426, "websocket"));
    let answer = stage.raw().await?.upgrade("/orders", &[("sec-websocket-version", "12")]).await?;
    assert_eq!(answer.status, 426, "two versions are not version 13");
    Ok(())
}

/// W10
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_has_not_reached_kafka_answers_503_with_retry_after() -> Result<()> {
    let (_, mut config) = config()?;
    config.kafka.bootstrap_servers = format!("127.0.0.1:{}", free_port()?);
    let gateway = Gateway::start_unready(config, Vec::new()).await?;
    let mut client = Raw::connect(gateway.stream).await?;
    let answer = client.upgrade("/orders", &[("connection", "close")]).await?;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").parse::<u32>()? > 0);
    assert!(client.body().await?.contains(r#""error":"Unavailable""#));
    assert_eq!(gateway.admin_get("/readyz").await?.0, 503);
    assert_eq!(gateway.admin_get("/livez").await?.0, 200);
    Ok(())
}

/// W10
#[tokio::test(flavor = "multi_thread")]
async fn a_query_parameter_that_is_unknown_or_not_offered_gets_400_that_names_it() -> Result<()> {
    let stage = Stage::open().await?;
    for (query, name) in [
        ("chanel=a", "chanel"),
        ("group_id=g", "group_id"),
        ("From=latest", "From"),
        ("filters.subject=a", "filters.subject"),
    ] {
        let (answer, body) = refused(&stage, &format!("/orders?{query}"), &[]).await?;
        assert_eq!((answer.status, &body["error"]), (400, &"UnknownParameter".into()), "{query}");
        assert!(body["message"].as_str().unwrap_or_default().contains(&format!("`{name}`")), "{query}: {body}");
    }
    for query in ["from=yesterday", "from=-0", "format=xml", "metadata=all", "from=latest&from=latest", "key=%ff"] {
        assert_eq!(refused(&stage, &format!("/orders?{query}"), &[]).await?.0.status, 400, "{query}");
    }
    Ok(())
}

/// W10
#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_at_once_or_one_in_the_url_get_400() -> Result<()> {
    let (_folder, stage, reader, _) = closed_stage().await?;
    let (answer, body) = refused(&stage, &format!("/orders?token={reader}"), &[]).await?;
    assert_eq!((answer.status, &body["error"]), (400, &"CredentialsInUrl".into()));
    assert!(body["message"].as_str().is_some_and(|message| message.contains("?ticket=")), "{body}");
    let twice = [("authorization", bearer(&reader)), ("authorization", bearer(&reader))];
    let twice: Vec<_> = twice.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (answer, body) = refused(&stage, "/orders", &twice).await?;
    assert_eq!((answer.status, &body["error"]), (400, &"MoreThanOneCredential".into()));
    Ok(())
}

/// W13
#[tokio::test(flavor = "multi_thread")]
async fn only_pages_of_allowed_origins_and_of_the_own_host_may_connect() -> Result<()> {
    const SHOP: &str = "https://shop.example.com";
    let stage = Stage::with(|config| config.public_access.allowed_origins = vec![SHOP.to_owned()]).await?;
    let own = format!("http://{}", stage.gateway.stream);
    for origin in [SHOP, "HTTPS://SHOP.example.com", &own] {
        let answer = stage.raw().await?.upgrade("/orders", &[("origin", origin)]).await?;
        assert_eq!(answer.status, 101, "{origin}");
    }
    for origin in [
        "https://shop.example.com.evil.test",
        "https://evilshop.example.com",
        "http://shop.example.com",
        "https://shop.example.com:8443",
        "http://127.0.0.1",
        "null",
        "",
        "https://shop.example.com https://evil.test",
    ] {
        let (answer, body) = refused(&stage, "/orders", &[("origin", origin)]).await?;
        assert_eq!((answer.status, &body["error"]), (403, &"OriginNotAllowed".into()), "{origin:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin:?}");
        let stream = [("origin", origin), ("accept", "text/event-stream")];
        assert_eq!(stage.raw().await?.get("/orders", &stream).await?.status, 403, "{origin:?}");
    }
    let both = [("origin", SHOP), ("origin", SHOP)];
    assert_eq!(refused(&stage, "/orders", &both).await?.0.status, 403);
    Ok(())
}

/// W13
#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_page_may_read_its_event_stream_and_its_refusals() -> Result<()> {
    const SHOP: &str = "https://shop.example.com";
    let stage = Stage::with(|config| config.public_access.allowed_origins = vec![SHOP.to_owned()]).await?;
    let ask = [("origin", SHOP), ("access-control-request-method", "GET")];
    let preflight = stage.raw().await?.request("OPTIONS", "/orders", &ask).await?;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-headers"), "authorization, content-type, last-event-id");
    let stream = stage.raw().await?.get("/orders", &[("origin", SHOP), ("accept", "text/event-stream")]).await?;
    let refusal = stage.raw().await?.get("/orders?x=1", &[("origin", SHOP), ("accept", "text/event-stream")]).await?;
    for answer in [preflight, stream, refusal] {
        assert_eq!(answer.header("access-control-allow-origin"), SHOP, "{answer:?}");
        assert_eq!(answer.header("vary"), "origin", "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{answer:?}");
    }
    let asked = "authorization,baggage,sentry-trace,traceparent,cache-control";
    let asks = [("origin", SHOP), ("access-control-request-method", "GET"), ("access-control-request-headers", asked)];
    let preflight = stage.raw().await?.request("OPTIONS", "/orders", &asks).await?;
    assert_eq!(preflight.header("access-control-allow-headers"), asked);
    let refusal = stage.raw().await?.get("/orders?x=1", &[("origin", SHOP)]).await?;
    assert_eq!(refusal.header("access-control-expose-headers"), "retry-after, www-authenticate");
    let foreign = [("origin", "https://evil.test"), ("access-control-request-method", "GET")];
    assert_eq!(stage.raw().await?.request("OPTIONS", "/orders", &foreign).await?.status, 403);
    Ok(())
}

/// W10
#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_by_status_and_word() -> Result<()> {
    let stage = Stage::open().await?;
    refused(&stage, "/orders?x=1", &[]).await?;
    let line = r#"requests_refused_total{app="orders",status="400",error="UnknownParameter"}"#;
    eventually("the refusal to be counted", SOON, async || stage.metric(line).await.is_ok_and(|n| n == 1)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compression_offer_is_not_negotiated() -> Result<()> {
    let stage = Stage::open().await?;
    let mut client = stage.raw().await?;
    let offer = ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits");
    let answer = client.upgrade("/orders", &[HEADGATE, offer]).await?;
    assert_eq!((answer.status, answer.header("sec-websocket-extensions").as_str()), (101, ""));
    assert!(client.text().await?.contains("ready"));
    stage.produce_events("a", [1]).await?;
    assert!(client.text().await?.contains(r#""id":"1""#));
    // A client that compresses all the same uses a reserved bit.
    client.send_frame(0xc1, b"x").await?;
    assert_eq!(client.closed().await?, (1002, "protocol error".to_owned()));
    assert_eq!(client.frame().await?, Frame::End);
    Ok(())
}

/// Load balancers ask the port that they serve.
#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_the_stream_port_is_told_to_anybody_and_nothing_else_is() -> Result<()> {
    let stage = Stage::open().await?;
    let mut client = stage.raw().await?;
    let answer = client.get("/healthz", &[]).await?;
    assert_eq!((answer.status, client.body().await?.as_str()), (200, "ok\n"));
    assert_eq!(stage.raw().await?.request("HEAD", "/healthz", &[]).await?.status, 200);
    assert_eq!(stage.raw().await?.request("POST", "/healthz", &[]).await?.status, 404);
    Ok(())
}

/// nginx speaks HTTP/1.0 to its upstream unless it is told otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_over_http_1_0_is_refused_with_the_setting_of_the_proxy() -> Result<()> {
    let stage = Stage::open().await?;
    let mut client = stage.raw().await?;
    let head = "GET /orders HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    client.send(head.as_bytes()).await?;
    let answer = client.answer().await?;
    let body = client.body().await?;
    assert_eq!(answer.status, 400);
    assert!(body.contains("proxy_http_version 1.1"), "{body}");
    Ok(())
}
