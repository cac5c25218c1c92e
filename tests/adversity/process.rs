//! The gateway's binary as a process of its own, with its memory as the kernel counts it.

use anyhow::{Context as _, Result, ensure};
use headgate_tests::gateway::get;
use headgate_tests::ports::free_port;
use headgate_tests::process::Process;
use headgate_tests::spawn::Guarded;
use headgate_tests::wait::eventually_ok;
use headgate_wire::GatewayConfig;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A gateway is ready after some 100 ms; a loaded machine gets more.
const READY: Duration = Duration::from_secs(20);
/// Bytes of the unit of `/proc/<pid>/status`.
const KIB: usize = 1024;

/// A running gateway. Dropping it kills it.
pub struct GatewayProcess {
    pub stream: SocketAddr,
    pub admin: SocketAddr,
    /// None if nobody reads its log.
    process: Option<Process>,
    _folder: TempDir,
}

impl GatewayProcess {
    /// Starts a gateway and waits until it is ready.
    pub async fn start(config: GatewayConfig) -> Result<Self> {
        let gateway = Self::start_unready(config)?;
        gateway.ready(READY).await?;
        Ok(gateway)
    }

    /// Starts a gateway whose log nobody reads, and waits until it is ready. The answer is the other end of its log.
    pub async fn start_unread(config: GatewayConfig) -> Result<(Self, Guarded)> {
        let (stream, admin, folder, mut command) = Self::prepare(config)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut log = Guarded::start("headgate-gateway", command)?;
        let pid = log.pid();
        // Whoever holds it does not read it.
        ensure!(log.child().stderr.is_some(), "no pipe");
        let outcome = eventually_ok("a gateway to be ready", READY, async || {
            ensure!(get(admin, "/readyz", &[]).await?.0 == 200, "not ready");
            Ok(())
        });
        outcome.await.with_context(|| format!("process {pid}"))?;
        Ok((Self { stream, admin, process: None, _folder: folder }, log))
    }

    /// Starts a gateway that may not get ready.
    pub fn start_unready(config: GatewayConfig) -> Result<Self> {
        let (stream, admin, folder, command) = Self::prepare(config)?;
        let process = Some(Process::start("headgate-gateway", command)?);
        Ok(Self { stream, admin, process, _folder: folder })
    }

    fn prepare(mut config: GatewayConfig) -> Result<(SocketAddr, SocketAddr, TempDir, Command)> {
        let folder = tempfile::tempdir()?;
        let address = || -> Result<SocketAddr> { Ok((Ipv4Addr::LOCALHOST, free_port()?).into()) };
        let (stream, admin) = (address()?, address()?);
        (config.listeners.stream, config.listeners.admin) = (stream, admin);
        let file = folder.path().join("gateway.yaml");
        // JSON is YAML.
        std::fs::write(&file, serde_json::to_vec(&config)?)?;
        let mut command = Process::command("headgate-gateway")?;
        command.arg("--config").arg(file);
        Ok((stream, admin, folder, command))
    }

    /// Waits until the readiness probe says yes.
    pub async fn ready(&self, within: Duration) -> Result<()> {
        let outcome = eventually_ok("a gateway to be ready", within, async || {
            let (status, body) = get(self.admin, "/readyz", &[]).await?;
            ensure!(status == 200, "{status} {body}");
            Ok(())
        });
        outcome
            .await
            .with_context(|| self.process.as_ref().map(|process| process.stderr().join("\n")).unwrap_or_default())
    }

    /// Sum over the lines of one metric, such as `connections{` or `replays_running`.
    pub async fn metric(&self, name: &str) -> Result<usize> {
        let (_, text) = get(self.admin, "/metrics", &[]).await?;
        let line = format!("headgate_gateway_{name}");
        let found = text.lines().filter(|candidate| candidate.starts_with(&line));
        Ok(found.filter_map(|found| found.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as usize)
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::pid)
    }

    /// Memory that it holds, in bytes; an error once it is gone.
    pub fn resident_bytes(&self) -> Result<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the gateway is gone")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * KIB)
    }
}
