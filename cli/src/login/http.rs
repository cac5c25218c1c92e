//! Requests to a provider: HTTPS, or plain HTTP to this machine. Bounded in time and size; redirects are not followed.

use crate::stream::{TrustError, client_config};
use ::http::header::{ACCEPT, CONTENT_TYPE};
use ::http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::error::Error as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// Longest time for one request.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Everything but the unreserved characters of RFC 3986 section 2.3, so that people can read an address.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A client of providers.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<hyper::body::Bytes>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// No address, or one without protection.
    #[error("{0} is no https:// address")]
    Insecure(String),
    /// No connection, no TLS.
    #[error("failed to reach {0}: {1}")]
    Unreachable(String, String),
    /// Too slow.
    #[error("{0} did not answer within {seconds} s", seconds = TIMEOUT.as_secs())]
    TimedOut(String),
    /// Too large, or cut off.
    #[error("the answer of {0} cannot be read")]
    Body(String),
    /// `--ca-cert`, or no certificate authority on this machine.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// Status, and the body if it is JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The body; null if it is no JSON.
    pub(crate) json: Value,
}

impl Http {
    /// Trusts the system's certificate authorities, or only those of a PEM file.
    pub(crate) fn new(ca_cert: Option<&Path>) -> Result<Self, HttpError> {
        let tls = client_config(ca_cert)?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        // Requests are rare.
        Ok(Self { client: Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector) })
    }

    /// GET of a JSON document.
    pub(crate) async fn get(&self, url: &str) -> Result<Answer, HttpError> {
        self.send(url, Request::get(url), String::new()).await
    }

    /// POST of a form.
    pub(crate) async fn post(&self, url: &str, fields: &[(&str, &str)]) -> Result<Answer, HttpError> {
        let request = Request::post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(url, request, encode(fields)).await
    }

    async fn send(&self, url: &str, request: ::http::request::Builder, body: String) -> Result<Answer, HttpError> {
        if !is_secure(url) {
            return Err(HttpError::Insecure(url.to_owned()));
        }
        let request = request.header(ACCEPT, "application/json").body(Full::from(body));
        let request = request.map_err(|_| HttpError::Insecure(url.to_owned()))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| {
                let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                HttpError::Unreachable(url.to_owned(), cause)
            })?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|_| HttpError::Body(url.to_owned()))?.to_bytes();
            Ok(Answer { status, json: serde_json::from_slice(&body).unwrap_or_default() })
        };
        tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| HttpError::TimedOut(url.to_owned()))?
    }
}

/// HTTPS, or HTTP that does not leave this machine.
pub(super) fn is_secure(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => here,
        _ => false,
    }
}

/// Fields as `application/x-www-form-urlencoded`, also for a query.
pub(crate) fn encode(fields: &[(&str, &str)]) -> String {
    let encoded = |text| utf8_percent_encode(text, ESCAPED);
    fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_or_token_travels_by_https_or_not_at_all() {
        let secure =
            ["https://id.example.com/realms/a", "http://127.0.0.1:8080", "http://[::1]:1/x", "http://localhost"];
        assert!(secure.into_iter().all(is_secure));
        let insecure = ["http://id.example.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "ftp://h", "", "h"];
        assert!(!insecure.into_iter().any(is_secure));
    }

    #[test]
    fn a_form_keeps_what_would_end_a_field() {
        assert_eq!(encode(&[("a_1", "x&y=z +~"), ("b", "")]), "a_1=x%26y%3Dz%20%2B~&b=");
    }
}
