//! A real Apache Kafka broker: one process, every listener that the product must speak to, in a folder of its own.
//!
//! It starts, stops, freezes and kills the broker; what is in it is the matter of the modules below. Topics are never
//! created by themselves. One broker per test process is enough for all tests that do not stop it: [`RealKafka::shared`].

mod acl;
mod java;
mod properties;
mod records;
mod topics;

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::OnceCell;

pub use self::acl::Operation;
use self::java::Java;
use self::properties::Ports;
pub use self::properties::{Listener, Mechanism, STRANGER, SUPER_USER, User};
pub use self::records::{Producer, Received, Record, produce_many, producer, read_as};
pub use self::topics::Group;
use crate::folders;
use crate::spawn::Guarded;
use crate::wait::eventually_ok;

/// A broker is there after about 1.5 s; a loaded machine gets a lot more.
const START: Duration = Duration::from_mins(1);
/// A broker asked to stop flushes and leaves; clients that hold on may delay it.
const STOP: Duration = Duration::from_mins(1);

/// A broker of its own, with its storage. Dropping it kills it and removes its folder.
pub struct RealKafka {
    folder: TempDir,
    ports: Ports,
    java: Java,
    server: Option<Guarded>,
    admin: Arc<AdminClient<DefaultClientContext>>,
    producer: Producer,
}

impl std::fmt::Debug for RealKafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RealKafka").field("bootstrap", &self.bootstrap()).finish_non_exhaustive()
    }
}

impl RealKafka {
    /// Formats and starts a broker and waits until it answers.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with properties of the broker added or replaced.
    pub async fn start_with(extra: &[(&str, &str)]) -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, extra).await
    }

    /// The same at another address of this machine, such as the one at which pods reach it
    /// ([`Cluster::host`](crate::cluster::Cluster::host)).
    pub async fn start_at(host: Ipv4Addr, extra: &[(&str, &str)]) -> Result<Self> {
        Self::start_on(Ports::choose(host)?, host, extra).await
    }

    /// A further broker of the same cluster, with this number. It can be killed without the cluster: the first broker is
    /// the controller.
    pub async fn start_beside(&self, node: i32) -> Result<Self> {
        let host = Ipv4Addr::LOCALHOST;
        let ports = Ports::choose(host)?;
        let settings = properties::beside(self.ports, ports, node);
        let extra: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
        Self::start_on(ports, host, &extra).await
    }

    async fn start_on(ports: Ports, host: Ipv4Addr, extra: &[(&str, &str)]) -> Result<Self> {
        let folder = folders::of_this_process(FOLDER_PREFIX)?;
        properties::write_certificates(folder.path(), host)?;
        let text = properties::render(folder.path(), ports, extra);
        fs::write(folder.path().join(properties::FILE), text)?;
        let java = Java::find()?;
        java.format(folder.path()).await?;
        let config = properties::client(folder.path(), ports, Listener::Plaintext);
        let producer = producer(config.clone())?;
        let mut kafka = Self { folder, ports, java, server: None, admin: Arc::new(config.create()?), producer };
        kafka.start_again().await?;
        Ok(kafka)
    }

    /// The broker that the tests of this process share. Never stop it, and give your topics [`unique`] names.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<RealKafka> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill): same ports, same storage.
    pub async fn start_again(&mut self) -> Result<()> {
        self.server = Some(self.java.serve(self.folder.path())?);
        self.wait_until_up().await
    }

    /// A copy of what a stopped broker has stored: a backup of its volume.
    pub fn keep_storage(&self) -> Result<TempDir> {
        let copy = folders::of_this_process(FOLDER_PREFIX)?;
        folders::copy(&self.folder.path().join(properties::DATA), copy.path())?;
        Ok(copy)
    }

    /// Puts a stopped broker back to what it had stored then.
    pub fn restore_storage(&self, kept: &TempDir) -> Result<()> {
        let data = self.folder.path().join(properties::DATA);
        fs::remove_dir_all(&data)?;
        folders::copy(kept.path(), &data)
    }

    /// Stops it in good order (SIGTERM).
    pub async fn stop(&mut self) -> Result<()> {
        let mut server = self.server.take().context("the broker is not running")?;
        server.signal(Signal::TERM)?;
        server.wait(STOP).await.map(drop)
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.server.take().context("the broker is not running")?.kill()
    }

    /// Freezes it (SIGSTOP): connections stay open and nothing answers.
    pub fn pause(&self) -> Result<()> {
        self.running()?.signal(Signal::STOP)
    }

    /// Lets a frozen broker go on (SIGCONT).
    pub fn resume(&self) -> Result<()> {
        self.running()?.signal(Signal::CONT)
    }

    /// Where clients without credentials connect: `127.0.0.1:port`, or the address given to [`Self::start_at`]. They may do everything.
    pub fn bootstrap(&self) -> String {
        self.address(Listener::Plaintext)
    }

    /// The address of any listener.
    pub fn address(&self, listener: Listener) -> String {
        self.ports.address(listener)
    }

    /// Settings for a client of this listener: addresses and TLS files. Where users log in, add [`Self::client_as`].
    pub fn client(&self, listener: Listener) -> ClientConfig {
        properties::client(self.folder.path(), self.ports, listener)
    }

    /// Settings for a client that logs in as `user`.
    pub fn client_as(&self, listener: Listener, mechanism: Mechanism, user: User) -> ClientConfig {
        let mut config = self.client(listener);
        config.set("sasl.mechanism", mechanism.name());
        config.set("sasl.username", user.name).set("sasl.password", user.password);
        config
    }

    /// The PEM file with the authority that signed the broker's certificate.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.path().join(properties::AUTHORITY)
    }

    /// The PEM files of a client certificate that the broker accepts (certificate, key).
    pub fn client_certificate_files(&self) -> (PathBuf, PathBuf) {
        (self.folder.path().join(properties::CLIENT_CERTIFICATE), self.folder.path().join(properties::CLIENT_KEY))
    }

    /// How many connections clients hold open to this listener.
    pub fn connections(&self, listener: Listener) -> Result<usize> {
        let table = fs::read_to_string("/proc/net/tcp").context("connections can only be counted on Linux")?;
        Ok(established(&table, self.ports.port(listener)))
    }

    fn running(&self) -> Result<&Guarded> {
        self.server.as_ref().context("the broker is not running")
    }

    async fn wait_until_up(&mut self) -> Result<()> {
        let outcome = eventually_ok("the broker to answer", START, async || {
            let server = self.server.as_mut().context("the broker is not running")?;
            if let Some(status) = server.exited()? {
                // Nothing to wait for: the loop ends with the outer Err.
                return Ok(Err(anyhow::anyhow!("the broker ended with {status}")));
            }
            self.brokers().await?;
            Ok(Ok(()))
        });
        let outcome = outcome.await.and_then(|inner| inner);
        outcome.with_context(|| format!("its log ends with:\n{}", java::log_tail(self.folder.path())))
    }
}

/// A name that no other test of this process uses.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

const FOLDER_PREFIX: &str = "headgate-kafka-";

/// Counts the rows of the table /proc/net/tcp that are established connections at this local port.
pub fn established(table: &str, port: u16) -> usize {
    const ESTABLISHED: &str = "01";
    let suffix = format!(":{port:04X}");
    let mut rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.by_ref().filter(|row| row.len() > 3 && row[1].ends_with(&suffix) && row[3] == ESTABLISHED).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_established_connections_to_the_port_count() {
        let table = "  sl  local_address rem_address   st\n\
                     0: 0100007F:4E20 00000000:0000 0A 0\n\
                     1: 0100007F:4E20 0100007F:9C40 01 0\n\
                     2: 0100007F:9C40 0100007F:4E20 01 0\n";
        assert_eq!(established(table, 20_000), 1);
    }

    #[test]
    fn unique_names_differ() {
        assert_ne!(unique("orders"), unique("orders"));
    }
}
