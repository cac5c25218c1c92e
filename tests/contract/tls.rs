//! TLS on the stream's own listener: WebSocket and HTTP, and a certificate that is replaced while it runs (F23).

use crate::raw::{Frame, Raw, small_socket};
use crate::stage::{HEADGATE, SOON, Stage, config};
use anyhow::{Context as _, Result};
use headgate_tests::certificates::{Authority, Issued};
use headgate_tests::kafka::Record;
use headgate_tests::wait::eventually;
use headgate_wire::config::ListenerTls;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const NAME: &str = "localhost";

struct Secure {
    folder: TempDir,
    authority: Authority,
    stage: Stage,
}

impl Secure {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new("contract")?;
        store(folder.path(), &authority.server(&[NAME])?)?;
        let (_, mut secure) = config()?;
        secure.listeners.tls = Some(ListenerTls {
            certificate_file: folder.path().join("tls.crt"),
            key_file: folder.path().join("tls.key"),
        });
        secure.stream.replay.ring_bytes = 1024 * 1024;
        let stage = Stage::with(|config| *config = secure).await?;
        Ok(Self { folder, authority, stage })
    }

    /// A connection, and the certificate that the gateway showed.
    async fn connect(&self, socket: TcpStream) -> Result<(Raw, Vec<u8>)> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.certificate().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(ServerName::try_from(NAME)?, socket).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).context("no certificate")?.to_vec();
        Ok((Raw::over(stream, self.address()), shown))
    }

    async fn raw(&self) -> Result<Raw> {
        Ok(self.connect(TcpStream::connect(self.address()).await?).await?.0)
    }

    fn address(&self) -> SocketAddr {
        self.stage.gateway.stream
    }
}

/// Writes a pair as cert-manager's mount does: each file moved over the old one.
fn store(folder: &Path, issued: &Issued) -> Result<()> {
    for (name, text) in [("tls.crt", &issued.certificate), ("tls.key", &issued.key)] {
        std::fs::write(folder.join("fresh"), text)?;
        std::fs::rename(folder.join("fresh"), folder.join(name))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_page_and_event_stream_work_over_tls_and_plain_http_does_not() -> Result<()> {
    let secure = Secure::start().await?;
    let mut client = secure.raw().await?.open("/orders", &[HEADGATE]).await?;
    client.text().await?;
    let mut events = secure.raw().await?;
    assert_eq!(events.get("/orders", &[("accept", "text/event-stream")]).await?.status, 200);
    assert_eq!(secure.raw().await?.get("/orders", &[("accept", "text/html")]).await?.status, 200);
    let big = "x".repeat(300_000);
    secure.stage.produce([big.clone(), "small".to_owned()]).await?;
    assert!(client.text().await?.contains(&big));
    assert!(client.text().await?.contains("small"));
    events.until("small").await?;
    client.send_frame(0x88, &[3, 0xe8]).await?;
    assert_eq!(client.closed().await?.0, 1000);
    assert_eq!(client.frame().await?, Frame::End);
    let mut plain = secure.stage.raw().await?;
    plain.send(b"GET /orders HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    assert!(!plain.body().await?.contains("HTTP/1.1"), "an answer without TLS");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_is_used_for_the_next_handshake_and_old_connections_stay() -> Result<()> {
    let secure = Secure::start().await?;
    let (client, first) = secure.connect(TcpStream::connect(secure.address()).await?).await?;
    let mut client = client.open("/orders", &[]).await?;
    let replacement = secure.authority.server(&[NAME])?;
    store(secure.folder.path(), &replacement)?;
    let fresh = CertificateDer::from_pem_slice(replacement.certificate.as_bytes())?.to_vec();
    eventually("the new certificate", SOON, async || {
        let Ok(socket) = TcpStream::connect(secure.address()).await else { return false };
        secure.connect(socket).await.is_ok_and(|(_, shown)| shown == fresh && shown != first)
    })
    .await?;
    // Files that do not fit leave the last good pair in place.
    std::fs::write(secure.folder.path().join("tls.key"), "no key")?;
    secure.stage.produce(["still here".to_owned()]).await?;
    assert!(client.text().await?.contains("still here"));
    assert_eq!(secure.connect(TcpStream::connect(secure.address()).await?).await?.1, fresh);
    Ok(())
}

/// W4
#[tokio::test(flavor = "multi_thread")]
async fn frozen_clients_behind_tls_and_event_streams_are_cut_in_bounded_time_and_hold_no_socket() -> Result<()> {
    let secure = Secure::start().await?;
    let (frozen, _) = secure.connect(small_socket(secure.address()).await?).await?;
    let _frozen = frozen.open("/orders", &[]).await?;
    let (mut events, _) = secure.connect(small_socket(secure.address()).await?).await?;
    assert_eq!(events.get("/orders", &[("accept", "text/event-stream")]).await?.status, 200);
    let stage = &secure.stage;
    let port = secure.address().port();
    let open =
        || headgate_tests::kafka::established(&std::fs::read_to_string("/proc/net/tcp").unwrap_or_default(), port);
    assert_eq!(open(), 2);
    let mut partition = 0;
    eventually("both to be closed as too slow", SOON, async || {
        partition = (partition + 1) % 3;
        let record = Record::new(&stage.topic, vec![b'x'; 100_000]).partition(partition);
        if stage.metric("slow_clients_total").await.is_ok_and(|slow| slow < 2) {
            return stage.kafka.produce([record]).await.is_err();
        }
        let line = r#"connections_closed_total{app="orders",code="1013""#;
        stage.metric(line).await.is_ok_and(|closed| closed == 2)
    })
    .await?;
    eventually("both sockets to be gone", SOON, async || open() == 0).await
}
