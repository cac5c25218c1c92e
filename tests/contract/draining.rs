//! A gateway that stops sends everybody elsewhere, in time and with words (W19).

use crate::raw::{Frame, Raw};
use crate::stage::{HEADGATE, SOON, Stage, config};
use anyhow::{Context as _, Result};
use headgate_tests::gateway::get;
use headgate_tests::process::Process;
use headgate_tests::wait::eventually_ok;
use headgate_wire::Cursor;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Long enough for a busy machine to say goodbye to everybody.
const DRAIN_SECONDS: u32 = 10;
/// How long after the end of its drain window a process may take to be gone.
const GRACE: Duration = Duration::from_secs(18);

/// W19
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_gives_every_client_its_cursor_and_closes_with_1012_while_upgrades_get_503() -> Result<()> {
    let stage = Stage::with(|config| config.drain_seconds = DRAIN_SECONDS).await?;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = stage.raw().await?.open("/orders", &[HEADGATE]).await?;
        client.text().await?;
        clients.push(client);
    }
    let mut plain = stage.raw().await?.open("/orders", &[]).await?;
    let mut events = stage.raw().await?;
    assert_eq!(events.get("/orders", &[("accept", "text/event-stream")]).await?.status, 200);
    stage.produce_events("a", [1, 2]).await?;
    for client in &mut clients {
        client.text().await?;
        client.text().await?;
    }
    // Two answers on connections from before, because the drain ends with the last client.
    let mut late = stage.raw().await?;
    stage.gateway.begin_shutdown();
    let ready = eventually_ok("an answer of the draining gateway", SOON, async || {
        let (status, _) = stage.gateway.admin_get("/readyz").await?;
        anyhow::ensure!(status == 503, "still ready");
        // It is not ready a moment before it refuses clients, so that whoever routes to it hears of it first.
        let status = stage.gateway.status().await?;
        anyhow::ensure!(status["streams"][0]["draining"] == true, "not draining yet: {status}");
        Ok(())
    });
    ready.await?;
    let refusal = late.upgrade("/orders", &[]).await?;
    assert_eq!((refusal.status, refusal.header("retry-after").is_empty()), (503, false));
    for client in &mut clients {
        let draining: serde_json::Value = serde_json::from_str(&client.text().await?)?;
        assert_eq!(draining["type"], "draining");
        let cursor: Cursor = draining["cursor"].as_str().context("no cursor")?.parse()?;
        assert_eq!(cursor.next, [2, 0, 0], "the cursor is the position after everything sent");
        assert!(draining["retryAfterMs"].as_u64().is_some_and(|wait| wait > 0));
        assert_eq!(client.message().await?, Frame::Close(1012, "restart; retry soon".to_owned()));
    }
    assert_eq!(plain.closed().await?, (1012, "restart; retry soon".to_owned()));
    events.until("event: draining\nid: ").await?;
    assert!(events.until("\n\n").await?.contains("\nretry: "));
    assert!(events.until("}").await?.ends_with(r#"data: {"code":1012,"reason":"restart; retry soon"}"#));
    drop((clients, plain, events));
    stage.gateway.stop().await
}

/// W19
#[tokio::test(flavor = "multi_thread")]
async fn the_real_binary_exits_with_0_in_time_after_sigterm_even_if_a_client_never_reads() -> Result<()> {
    let (_, mut config) = config()?;
    config.drain_seconds = DRAIN_SECONDS;
    let mut gateway = RealGateway::start(&config, &[]).await?;
    let mut polite = Raw::connect(gateway.stream).await?.open("/orders", &[HEADGATE]).await?;
    let _frozen = Raw::connect_small(gateway.stream).await?.open("/orders", &[HEADGATE]).await?;
    gateway.process.terminate()?;
    let told = Instant::now();
    assert!(polite.closed().await?.0 == 1012);
    let status = gateway.process.exit(Duration::from_secs(DRAIN_SECONDS.into()) + GRACE).await?;
    assert_eq!(status.code(), Some(0), "after {:?}", told.elapsed());
    Ok(())
}

/// The gateway's own binary with a configuration file.
pub struct RealGateway {
    pub process: Process,
    pub stream: SocketAddr,
    pub admin: SocketAddr,
    _folder: tempfile::TempDir,
}

impl RealGateway {
    pub async fn start(config: &headgate_wire::GatewayConfig, environment: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("gateway.yaml");
        std::fs::write(&file, serde_json::to_string(config)?)?;
        let mut command = Process::command("headgate-gateway")?;
        command.arg("--config").arg(&file).args(["--log-format", "json"]);
        command.envs(environment.iter().copied());
        let process = Process::start("headgate-gateway", command)?;
        let addresses = eventually_ok("the gateway to say where it listens", SOON, async || {
            let lines = process.stderr();
            let line = lines.iter().find(|line| line.contains("gateway is listening"));
            let line: serde_json::Value = serde_json::from_str(line.context("not listening yet")?)?;
            let fields = line.get("fields").unwrap_or(&line);
            let address = |name: &str| anyhow::Ok(fields[name].as_str().context("no address")?.parse::<SocketAddr>()?);
            Ok((address("stream")?, address("admin")?))
        });
        let (stream, admin) = addresses.await.with_context(|| process.stderr().join("\n"))?;
        let ready = eventually_ok("the gateway to be ready", SOON, async || {
            anyhow::ensure!(get(admin, "/readyz", &[]).await?.0 == 200, "not ready");
            Ok(())
        });
        ready.await?;
        Ok(Self { process, stream, admin, _folder: folder })
    }
}
