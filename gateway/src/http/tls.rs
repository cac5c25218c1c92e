//! TLS on the stream port: the certificate files, read again when they change.

use crate::auth::reload::watch_files;
use arc_swap::ArcSwap;
use headgate_wire::config::ListenerTls;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Why the listener has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate chain cannot be read.
    #[error("listeners.tls.certificateFile: {0}; mount a PEM file with the certificate chain, leaf first")]
    Certificate(rustls_pki_types::pem::Error),
    /// The key cannot be read.
    #[error("listeners.tls.keyFile: {0}; mount a PEM file with the private key")]
    Key(rustls_pki_types::pem::Error),
    /// They do not fit.
    #[error("listeners.tls: the certificate and the key do not work together: {0}")]
    Pair(rustls::Error),
}

/// The certificate in use.
#[derive(Debug)]
pub struct Tls {
    files: ListenerTls,
    current: ArcSwap<ServerConfig>,
    changes: watch::Receiver<u64>,
}

impl Tls {
    /// Reads the files. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// If they are missing or do not fit.
    pub fn load(files: ListenerTls) -> Result<Self, TlsError> {
        // Watched before they are read, so that no change is missed.
        let changes = watch_files(vec![files.certificate_file.clone(), files.key_file.clone()]);
        let current = ArcSwap::from_pointee(server_config(&files)?);
        Ok(Self { files, current, changes })
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.current.load_full().into()
    }

    /// Takes changed files over; unusable ones leave the last good certificate in place and are an error in the log.
    pub async fn follow_files(self: Arc<Self>, shutdown: CancellationToken) {
        let mut changes = self.changes.clone();
        while let Some(Ok(())) = shutdown.run_until_cancelled(changes.changed()).await {
            match server_config(&self.files) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    tracing::info!("certificate reloaded");
                }
                Err(error) => tracing::error!(%error, "the new certificate cannot be used; keeping the one before"),
            }
        }
    }
}

fn server_config(files: &ListenerTls) -> Result<ServerConfig, TlsError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(TlsError::Certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file).map_err(TlsError::Key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    // WebSocket over HTTP/2 (RFC 8441) is not offered.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
