//! Whom a client trusts: the system's certificate authorities, or only those of `--ca-cert`. There is no way to trust nobody.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_tungstenite::Connector;

/// Why `--ca-cert` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// Not readable, or not PEM.
    #[error("failed to read certificates from {path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// PEM without a certificate.
    #[error("{0} has no certificate: it needs a PEM block that begins with -----BEGIN CERTIFICATE-----")]
    Empty(PathBuf),
    /// Something else in rustls.
    #[error("failed to set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Makes ring the provider of all TLS of this process; without effect if one is chosen already.
pub(crate) fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What to connect with; `None` means the system's certificate authorities.
pub(crate) fn connector(ca_cert: Option<&Path>) -> Result<Option<Connector>, TrustError> {
    ca_cert.map(|path| Ok(Connector::Rustls(Arc::new(client_config(Some(path))?)))).transpose()
}

/// The same for HTTP.
pub(crate) fn client_config(ca_cert: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_cert {
        add_file(&mut roots, path)?;
    } else {
        // What cannot be read or parsed is trusted less, never more.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TrustError> {
    let unreadable =
        |error: &dyn std::fmt::Display| TrustError::File { path: path.to_owned(), cause: error.to_string() };
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
        roots.add(certificate.map_err(|error| unreadable(&error))?)?;
    }
    if roots.is_empty() { Err(TrustError::Empty(path.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused_by_name() {
        install_provider();
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(connector(Some(file.path())), Err(TrustError::Empty(path)) if path == file.path()));
        let missing = connector(Some(Path::new("/nonexistent/ca.pem"))).map(|_| ()).unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/ca.pem"), "{missing}");
    }
}
