//! One bounded HTTP request to a provider: GET, no redirects, no credentials, a limit on time and bytes.
//!
//! It must never follow where an answer points, and never wait for long: what asks is a client's handshake or a
//! background refresh.

use crate::config::pem::UnusablePem;
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject as _};
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a provider may take for a whole answer.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer, in bytes; that of a provider with certificates beside its keys has about 20 KiB.
pub const MAX_ANSWER_BYTES: usize = 512 * 1024;

/// Why a provider's answer cannot be used. Names the place and what to do, never a secret: there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The certificate authority of the provider cannot be used.
    #[error("auth.oidc.caFile {0} has no usable certificate: {1}")]
    Authority(PathBuf, String),
    /// The system has no certificate authorities.
    #[error("this machine has no certificate authorities: {0}; name one in auth.oidc.caFile")]
    NoAuthorities(String),
    /// Not the URL of anything.
    #[error("{0} is no URL that can be asked")]
    Url(String),
    /// No connection, or it broke.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
    /// No answer in time.
    #[error("{0} did not answer within {TIMEOUT:?}")]
    Timeout(String),
    /// Another status than 200. Redirects are not followed: whom to trust is configured, not told.
    #[error("{0} answered {1}")]
    Status(String, StatusCode),
    /// More bytes than any honest answer.
    #[error("{0} answered with more than {MAX_ANSWER_BYTES} bytes, or broke off")]
    Body(String),
}

/// Asks one provider.
#[derive(Debug)]
pub(super) struct Fetch {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Fetch {
    /// Trusts the authorities in this PEM file, or those of the system. Reads files: not for an event loop.
    pub(super) fn new(authority: Option<&Path>) -> Result<Self, FetchError> {
        let roots = match authority {
            Some(path) => authorities_in(path)?,
            None => authorities_of_the_system()?,
        };
        let tls = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|error| FetchError::NoAuthorities(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        // Nothing is kept open: the next request is minutes away.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { client })
    }

    /// The body of a 200.
    pub(super) async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::Url(url.to_owned()))?;
        tokio::time::timeout(TIMEOUT, self.answer(url, uri)).await.map_err(|_| FetchError::Timeout(url.to_owned()))?
    }

    async fn answer(&self, url: &str, uri: Uri) -> Result<Bytes, FetchError> {
        let request = Request::get(uri).header(http::header::ACCEPT, "application/json").body(Empty::new());
        let request = request.map_err(|_| FetchError::Url(url.to_owned()))?;
        let answer = self.client.request(request).await.map_err(|error| {
            let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            FetchError::Unreachable(url.to_owned(), cause)
        })?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(url.to_owned(), answer.status()));
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|_| FetchError::Body(url.to_owned()))
    }
}

fn authorities_in(path: &Path) -> Result<RootCertStore, FetchError> {
    let failed = |error: String| FetchError::Authority(path.to_owned(), error);
    let no_pem = |error: pem::Error| failed(UnusablePem::from(error).to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(no_pem)? {
        let certificate = certificate.map_err(no_pem)?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(failed("it has no PEM certificate".to_owned())) } else { Ok(roots) }
}

fn authorities_of_the_system() -> Result<RootCertStore, FetchError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let errors: Vec<_> = found.errors.iter().take(3).map(ToString::to_string).collect();
    // Without any, plain http to this machine still works; a TLS handshake then says that nobody is trusted.
    if roots.is_empty() && !errors.is_empty() { Err(FetchError::NoAuthorities(errors.join("; "))) } else { Ok(roots) }
}
