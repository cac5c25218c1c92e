//! Frames as fast as the network takes them, over TLS: a healthy client hardly notices.

use crate::probe::Probe;
use crate::process::GatewayProcess;
use crate::stage::{alone, mock};
use anyhow::{Result, ensure};
use headgate_tests::certificates::Authority;
use headgate_tests::raw::{Raw, masked};
use headgate_wire::config::ListenerTls;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

const NAME: &str = "localhost";
const FLOODS: usize = 6;
/// Pongs of one write.
const BURST: usize = 200;
const WORSE: u32 = 3;
/// What a record may be later, whatever it was before: the attackers take the processors from this test, too.
const CONSTANT: Duration = Duration::from_millis(if cfg!(debug_assertions) { 250 } else { 30 });

fn connector(authority: &Authority) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn open(connector: &TlsConnector, gateway: SocketAddr) -> Result<Raw> {
    let stream = connector.connect(ServerName::try_from(NAME)?, TcpStream::connect(gateway).await?).await?;
    Raw::over(stream, gateway).open("/orders?format=raw", &[]).await
}

/// Sends pongs, which no rate counts, until it is closed; then it comes again.
async fn flood(connector: TlsConnector, gateway: SocketAddr) {
    let burst = masked(0x8a, b"").repeat(BURST);
    loop {
        let Ok(mut client) = open(&connector, gateway).await else { continue };
        while client.send(&burst).await.is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_pongs_over_tls_hold_up_neither_the_stream_nor_a_healthy_client() -> Result<()> {
    let _alone = alone().await;
    let folder = tempfile::tempdir()?;
    let authority = Authority::new("adversity")?;
    let issued = authority.server(&[NAME])?;
    let (certificate_file, key_file) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&certificate_file, &issued.certificate)?;
    std::fs::write(&key_file, &issued.key)?;
    let mut config = mock(1)?;
    config.listeners.tls = Some(ListenerTls { certificate_file, key_file });
    let (bootstrap, topic) = (config.kafka.bootstrap_servers.clone(), config.kafka.topic.clone());
    let gateway = GatewayProcess::start(config).await?;
    let connector = connector(&authority)?;
    let mut probe = Probe::with(open(&connector, gateway.stream).await?, &bootstrap, &topic).await?;
    let calm = probe.measure().await?;
    let mut floods = JoinSet::new();
    for _ in 0..FLOODS {
        floods.spawn(flood(connector.clone(), gateway.stream));
    }
    let attacked = probe.measure().await?;
    println!("calm: {calm}; attacked: {attacked}");
    ensure!(attacked.p99 <= calm.p99 * WORSE + CONSTANT, "calm: {calm}; attacked: {attacked}");
    Ok(())
}
