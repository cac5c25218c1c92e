//! TLS on the stream port: the certificate files, read again when they change.

use crate::auth::reload::watch_files;
use crate::config::followed::{FollowedFile, FollowedFiles};
use crate::config::pem::UnusablePem;
use arc_swap::ArcSwap;
use headgate_wire::config::ListenerTls;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Why the listener has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate chain cannot be read.
    #[error("listeners.tls.certificateFile: {0}; mount a PEM file with the certificate chain, leaf first")]
    Certificate(UnusablePem),
    /// The key cannot be read.
    #[error("listeners.tls.keyFile: {0}; mount a PEM file with the private key")]
    Key(UnusablePem),
    /// They do not fit.
    #[error("listeners.tls: the certificate and the key do not work together: {0}")]
    Pair(rustls::Error),
}

impl TlsError {
    /// The file that is to be corrected.
    fn file<'f>(&self, files: &'f ListenerTls) -> &'f Path {
        match self {
            Self::Certificate(_) | Self::Pair(_) => &files.certificate_file,
            Self::Key(_) => &files.key_file,
        }
    }
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

    /// Takes changed files over; unusable ones leave the last good certificate in place, are an error in the log and stand
    /// in `files`.
    pub async fn follow_files(self: Arc<Self>, files: Arc<FollowedFiles>, shutdown: CancellationToken) {
        let mut changes = self.changes.clone();
        files.in_force(FollowedFile::Certificate);
        while let Some(Ok(())) = shutdown.run_until_cancelled(changes.changed()).await {
            match server_config(&self.files) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    files.in_force(FollowedFile::Certificate);
                    tracing::info!("certificate reloaded");
                }
                Err(error) => {
                    tracing::error!(%error, "the new certificate cannot be used; keeping the one before");
                    files.unusable(FollowedFile::Certificate, error.file(&self.files), &error);
                }
            }
        }
    }
}

fn server_config(files: &ListenerTls) -> Result<ServerConfig, TlsError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| TlsError::Certificate(error.into()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file).map_err(|error| TlsError::Key(error.into()))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::followed::FollowedFiles;
    use rcgen::{CertificateParams, KeyPair};
    use std::fs;
    use std::time::Duration;

    /// Far above what a notification takes.
    const SOON: Duration = Duration::from_secs(10);

    fn files_in(folder: &Path) -> ListenerTls {
        let files = ListenerTls { certificate_file: folder.join("tls.crt"), key_file: folder.join("tls.key") };
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        fs::write(&files.certificate_file, certificate.pem()).unwrap();
        fs::write(&files.key_file, key.serialize_pem()).unwrap();
        files
    }

    async fn told(followed: &FollowedFiles, count: usize) {
        let told = async {
            while followed.report().len() != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, told).await.unwrap();
    }

    #[tokio::test]
    async fn a_key_that_becomes_unusable_leaves_the_certificate_in_use_and_is_told_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let files = files_in(folder.path());
        let good = fs::read_to_string(&files.key_file).unwrap();
        let tls = Arc::new(Tls::load(files.clone()).unwrap());
        let before = Arc::as_ptr(&tls.current.load_full());
        let followed = Arc::new(FollowedFiles::default());
        let shutdown = CancellationToken::new();
        let following = tokio::spawn(Arc::clone(&tls).follow_files(Arc::clone(&followed), shutdown.clone()));

        fs::write(&files.key_file, good.replace('\n', " ")).unwrap();
        told(&followed, 1).await;
        let report = followed.report()[0].clone();
        assert_eq!((report["file"].as_str(), report["path"].as_str()), (Some("certificate"), files.key_file.to_str()));
        let secret = good.lines().nth(1).unwrap();
        assert!(!report.to_string().contains(secret) && !report.to_string().contains("45, 45"), "{report}");
        assert_eq!(Arc::as_ptr(&tls.current.load_full()), before);

        fs::write(&files.key_file, good).unwrap();
        told(&followed, 0).await;
        shutdown.cancel();
        following.await.unwrap();
    }
}
