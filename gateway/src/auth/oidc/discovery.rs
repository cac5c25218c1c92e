//! From an issuer's URL to its keys (OpenID Connect Discovery 1.0, section 4), or from a mounted file.
//!
//! Everything is asked anew each time: a provider may move its keys, and the authority that vouches for it may change.

use super::fetch::{Fetch, FetchError};
use super::key_set::{KeySet, KeySetError};
use headgate_wire::config::Oidc;
use serde::Deserialize;
use std::path::PathBuf;

/// Where the configuration of an issuer is, below its URL.
pub const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// Largest key set in a file, in bytes.
const MAX_FILE_BYTES: u64 = 512 * 1024;

/// Why the keys of a provider are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The provider could not be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its configuration is none.
    #[error("{0} is no OpenID Connect configuration; is auth.oidc.issuerURL that of the provider?")]
    Document(String),
    /// It speaks for somebody else (section 4.3: they MUST be identical).
    #[error("the provider at {url} calls itself {named:?}; write auth.oidc.issuerURL exactly so")]
    Issuer {
        /// What was asked.
        url: String,
        /// What it says.
        named: String,
    },
    /// Its keys would come over a connection that anybody can change.
    #[error("the provider's keys are at {0}, which is no https address")]
    InsecureKeys(String),
    /// Its keys cannot be used.
    #[error("the keys at {0} cannot be used: {1}")]
    Keys(String, KeySetError),
    /// The file with the keys cannot be read.
    #[error("auth.oidc.jwksFile {0} cannot be read: {1}")]
    File(PathBuf, String),
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// The keys of the provider as they are now.
pub(super) async fn keys(oidc: &Oidc) -> Result<KeySet, DiscoveryError> {
    if let Some(path) = oidc.jwks_file.clone() {
        let reading = tokio::task::spawn_blocking(move || read_file(path));
        return reading.await.unwrap_or_else(|_| Err(DiscoveryError::File(PathBuf::new(), "cut off".to_owned())));
    }
    let authority = oidc.ca_file.clone();
    let fetch = tokio::task::spawn_blocking(move || Fetch::new(authority.as_deref()));
    let fetch = fetch.await.unwrap_or_else(|_| Err(FetchError::NoAuthorities("cut off".to_owned())))?;
    let url = format!("{}{WELL_KNOWN}", oidc.issuer_url.trim_end_matches('/'));
    let document = fetch.get(&url).await?;
    let Ok(document) = serde_json::from_slice::<Document>(&document) else { return Err(DiscoveryError::Document(url)) };
    if document.issuer != oidc.issuer_url {
        return Err(DiscoveryError::Issuer { url, named: document.issuer.chars().take(200).collect() });
    }
    if oidc.issuer_url.starts_with("https://") && !document.jwks_uri.starts_with("https://") {
        return Err(DiscoveryError::InsecureKeys(document.jwks_uri.chars().take(200).collect()));
    }
    let keys = fetch.get(&document.jwks_uri).await?;
    KeySet::parse(&keys).map_err(|error| DiscoveryError::Keys(document.jwks_uri, error))
}

fn read_file(path: PathBuf) -> Result<KeySet, DiscoveryError> {
    use std::io::Read as _;
    let mut text = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut text));
    match read {
        Ok(_) => KeySet::parse(&text).map_err(|error| DiscoveryError::Keys(path.display().to_string(), error)),
        Err(error) => Err(DiscoveryError::File(path, error.to_string())),
    }
}
