//! A gateway in this process, on free ports, as a pod would run it.

use crate::wait::eventually;
use anyhow::{Context as _, Result, bail};
use headgate_gateway::{App, Config};
use headgate_wire::GatewayConfig;
use headgate_wire::key::{KeyDigest, Permission, Verifier, VerifierFile};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a gateway may take to be ready, and to stop after its drain window.
const DEADLINE: Duration = Duration::from_mins(1);

/// The configuration of an open stream: anyone may read, free ports, a short drain, and patience with clients, who answer
/// pings only while their test reads from them. Change what the test is about.
#[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "the text below is fixed, and every test reads it")]
pub fn config(bootstrap: &str, topic: &str) -> GatewayConfig {
    let text = serde_json::json!({
        "app": "orders",
        "listeners": { "stream": "127.0.0.1:0", "admin": "127.0.0.1:0" },
        "kafka": { "bootstrapServers": bootstrap, "topic": topic, "properties": { "fetch.wait.max.ms": "10" } },
        "auth": { "mode": "None" },
        "publicAccess": { "anonymous": true },
        "limits": { "maxConnections": 20000, "maxConnectionsPerAddress": 20000, "maxConnectionsPerKey": 20000,
                    "handshakesPerSecond": 100_000, "idleTimeoutSeconds": 600 },
        "drainSeconds": 1,
    });
    serde_json::from_value(text).expect("the configuration of the tests is valid")
}

/// A key that may read, as the digest file knows it.
pub fn verifier(name: &str, key: &str) -> Verifier {
    let id = match headgate_wire::key::shape(key) {
        headgate_wire::key::KeyShape::Issued { id } => id.to_owned(),
        _ => name.to_owned(),
    };
    Verifier {
        id,
        name: name.to_owned(),
        digest: KeyDigest::of(key),
        permissions: vec![Permission::Read],
        expires_at: None,
        filters: Vec::new(),
    }
}

/// Writes a digest file as the kubelet does: a new file, moved over the old one.
pub fn write_keys(path: &Path, keys: &[Verifier]) -> Result<()> {
    let text = serde_json::to_vec(&VerifierFile { keys: keys.to_vec() })?;
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text)?;
    std::fs::rename(fresh, path).context("cannot replace the digest file")
}

/// Writes a configuration file, and replaces it as a whole if it is there.
pub fn write_config(path: &Path, config: &GatewayConfig) -> Result<()> {
    let fresh = path.with_extension("new");
    // JSON is YAML.
    std::fs::write(&fresh, serde_json::to_string(config)?)?;
    std::fs::rename(fresh, path).context("cannot replace the configuration file")
}

/// A running gateway. Dropping it stops it without draining.
#[derive(Debug)]
pub struct Gateway {
    /// Where clients connect.
    pub stream: SocketAddr,
    /// Where probes connect.
    pub admin: SocketAddr,
    shutdown: CancellationToken,
    running: Option<JoinHandle<std::io::Result<()>>>,
}

impl Gateway {
    /// Starts a gateway and waits until it is ready.
    pub async fn start(config: GatewayConfig) -> Result<Self> {
        let gateway = Self::start_unready(config, Vec::new()).await?;
        gateway.ready().await?;
        Ok(gateway)
    }

    /// Starts a gateway whose Kafka may not be there.
    pub async fn start_unready(config: GatewayConfig, keys: Vec<Verifier>) -> Result<Self> {
        Self::run(Config::load(config, keys)?).await
    }

    /// Starts a gateway that follows this file, and waits until it is ready. See [`write_config`].
    pub async fn start_from(file: &Path) -> Result<Self> {
        let config = Config::load(Config::read_yaml(file)?, Vec::new())?;
        let gateway = Self::run(Config { file: Some(file.to_owned()), ..config }).await?;
        gateway.ready().await?;
        Ok(gateway)
    }

    async fn run(config: Config) -> Result<Self> {
        let app = App::build(vec![config]).await?;
        let (stream, admin) = (app.stream_address(), app.admin_address());
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(app.run(shutdown.clone()));
        Ok(Self { stream, admin, shutdown, running: Some(running) })
    }

    /// Waits until the readiness probe says yes.
    pub async fn ready(&self) -> Result<()> {
        eventually("the gateway to be ready", DEADLINE, async || {
            self.admin_get("/readyz").await.is_ok_and(|(status, _)| status == 200)
        })
        .await
    }

    /// `ws://…` of a path, such as `/orders?from=earliest`.
    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.stream)
    }

    /// The JSON of `/status`.
    pub async fn status(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.admin_get("/status").await?.1)?)
    }

    /// The value of one metric line, found by the beginning of its name and labels; 0 if it is not there.
    pub async fn metric(&self, line: &str) -> Result<f64> {
        let (_, text) = self.admin_get("/metrics").await?;
        let values = text.lines().filter(|candidate| candidate.starts_with(line));
        Ok(values.filter_map(|found| found.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Status and body of a GET on the admin port.
    pub async fn admin_get(&self, path: &str) -> Result<(u16, String)> {
        get(self.admin, path, &[]).await
    }

    /// Status and body of a GET on the stream port.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<(u16, String)> {
        get(self.stream, path, headers).await
    }

    /// Begins to stop (SIGTERM in a pod).
    pub fn begin_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Stops and waits until everything is drained.
    pub async fn stop(mut self) -> Result<()> {
        self.shutdown.cancel();
        let Some(running) = self.running.take() else { return Ok(()) };
        match tokio::time::timeout(DEADLINE, running).await {
            Ok(result) => Ok(result??),
            Err(_) => bail!("the gateway does not stop"),
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// One GET over a connection of its own, which the server closes.
pub async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await.context("no end of the answer")??;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).context("not an HTTP answer")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}
