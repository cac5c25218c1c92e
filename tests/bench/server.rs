//! The processes of a measurement: started on their core, found by what they announce, killed at the end.

use crate::order::Order;
use crate::placement::{CLIENT_CORE, SERVER_CORE};
use crate::report;
use anyhow::{Context as _, Result, ensure};
use headgate_tests::ports::free_port;
use headgate_tests::spawn::{Guarded, command};
use headgate_wire::GatewayConfig;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(30);
/// Pause between two looks at a gateway that is starting.
const LOOK: Duration = Duration::from_millis(20);
/// Long enough for every measurement: no client answers pings here.
const IDLE_TIMEOUT_SECONDS: u32 = 3600;

/// What a server tells about itself, as one line of JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Announcement {
    /// Where clients connect.
    pub stream: Option<SocketAddr>,
    /// Where orders go.
    pub control: Option<SocketAddr>,
    /// Kafka.
    pub bootstrap: Option<String>,
}

impl Announcement {
    /// Tells the parent process.
    pub fn make(&self) -> Result<()> {
        report::line(&serde_json::to_string(self)?);
        Ok(())
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    process: Guarded,
    /// Where clients connect.
    pub stream: SocketAddr,
    /// The admin port of a real gateway.
    pub admin: Option<SocketAddr>,
    /// Kafka, if this is one.
    pub bootstrap: String,
    control: Option<TcpStream>,
    /// Its configuration file lives as long as it does.
    _folder: Option<tempfile::TempDir>,
}

/// The configuration of every gateway here. `max_delay` is the coalescing window in milliseconds.
pub fn config(bootstrap: &str, topic: &str, max_delay: u32) -> GatewayConfig {
    let mut config = headgate_tests::gateway::config(bootstrap, topic);
    "bench".clone_into(&mut config.app);
    config.stream.max_delay_milliseconds = max_delay;
    config.limits.idle_timeout_seconds = IDLE_TIMEOUT_SECONDS;
    config.limits.ping_seconds = IDLE_TIMEOUT_SECONDS - 1;
    config.kafka.properties.0.insert("fetch.wait.max.ms".to_owned(), "5".to_owned());
    config
}

impl Server {
    /// One of our own servers, on the server's core.
    pub fn start(arguments: &[String]) -> Result<Self> {
        Self::start_on(SERVER_CORE, arguments)
    }

    /// A mock Kafka on the clients' core.
    pub fn broker(size: usize, partitions: u32) -> Result<Self> {
        let arguments = ["broker", "--size", &size.to_string(), "--partitions", &partitions.to_string()];
        Self::start_on(CLIENT_CORE, &arguments.map(str::to_owned))
    }

    /// The real program with this configuration, on the server's core.
    pub fn gateway(mut config: GatewayConfig) -> Result<Self> {
        let address = || Ok::<_, anyhow::Error>(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
        (config.listeners.stream, config.listeners.admin) = (address()?, address()?);
        let (stream, admin) = (config.listeners.stream, config.listeners.admin);
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("gateway.yaml");
        // JSON is YAML.
        std::fs::write(&file, serde_json::to_vec(&config)?)?;
        let program = std::env::current_exe()?.with_file_name("headgate-gateway");
        ensure!(program.is_file(), "headgate-gateway is not built: use `cargo xtask bench`");
        let mut process = pinned(SERVER_CORE, &program, &["--config".into(), file.into_os_string()])?;
        // An audit line per connection would be measured too.
        process.env("RUST_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::null());
        let process = Guarded::start("headgate-gateway", process)?;
        let mut server = Self {
            process,
            stream,
            admin: Some(admin),
            bootstrap: String::new(),
            control: None,
            _folder: Some(folder),
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn start_on(core: usize, arguments: &[String]) -> Result<Self> {
        let program = std::env::current_exe()?;
        let arguments: Vec<OsString> =
            std::iter::once("serve").chain(arguments.iter().map(String::as_str)).map(Into::into).collect();
        let mut command = pinned(core, &program, &arguments)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Guarded::start("a server", command)?;
        let stdout = process.child().stdout.take().context("stdout is a pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let told: Announcement = serde_json::from_str(&line).context("a server did not start")?;
        let control = TcpStream::connect(told.control.context("no place for orders")?)?;
        control.set_nodelay(true)?;
        let stream = told.stream.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
        let bootstrap = told.bootstrap.unwrap_or_default();
        Ok(Self { process, stream, admin: None, bootstrap, control: Some(control), _folder: None })
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let end = Instant::now() + START;
        while !self.admin_get("/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            ensure!(Instant::now() < end, "the gateway does not become ready");
            ensure!(self.process.exited()?.is_none(), "the gateway has ended");
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Signals to it.
    pub fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// A connection for orders, besides the server's own.
    pub fn control(&self) -> Result<TcpStream> {
        Ok(self.control.as_ref().context("this server takes no orders")?.try_clone()?)
    }

    /// Tells it to publish.
    pub fn publish(&self, order: Order) -> Result<()> {
        let mut control = self.control.as_ref().context("this server takes no orders")?;
        order.write(&mut control)?;
        if order.acknowledge {
            control.read_exact(&mut [0])?;
        }
        Ok(())
    }

    /// The value of one metric line of a real gateway, found by the beginning of its name; 0 if it is not there.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = self.admin_get("/metrics")?;
        let values = text.lines().filter(|line| line.starts_with(name));
        Ok(values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    fn admin_get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.admin.context("this server has no admin port")?)?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// A command that cannot outlive this process, on one core.
fn pinned(core: usize, program: &Path, arguments: &[OsString]) -> Result<std::process::Command> {
    let mut command = command(std::env::current_exe()?);
    command.args(["pinned", "--core", &core.to_string(), "--"]).arg(program).args(arguments);
    Ok(command)
}
