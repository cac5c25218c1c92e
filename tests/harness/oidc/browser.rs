//! As much of a browser as logging in takes: cookies, redirects, forms.
//!
//! Only to addresses of this machine: plain HTTP, and TLS with an authority of the tests.

use crate::raw::Stream;
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Far above what a login needs; more is a loop.
const MAX_REDIRECTS: usize = 20;
/// How long one answer may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// A person at a browser.
#[derive(Default)]
pub struct Browser {
    /// By host with port: cookies by their name. Paths are not looked at.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    /// Addresses that are not visited, by their beginning.
    end: Option<String>,
    /// Trusts an authority; without, it opens no `https` address.
    tls: Option<TlsConnector>,
}

/// What the browser shows.
#[derive(Debug, Clone)]
pub struct Page {
    /// The address.
    pub url: String,
    /// The status of the answer; of the redirect itself if the address was not visited.
    pub status: StatusCode,
    /// The text.
    pub body: String,
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").field("cookies", &self.cookies).field("end", &self.end).finish_non_exhaustive()
    }
}

impl Browser {
    /// A browser that stops before an address with this beginning: a redirect to it is the result.
    pub fn until(address: impl Into<String>) -> Self {
        Self { end: Some(address.into()), ..Self::default() }
    }

    /// A browser that trusts the servers of this authority (PEM), and no others.
    pub fn trusting(authority: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { tls: Some(TlsConnector::from(Arc::new(config))), ..Self::default() })
    }

    /// Opens an address and follows its redirects.
    pub async fn visit(&mut self, url: &str) -> Result<Page> {
        self.follow(Method::GET, url, String::new()).await
    }

    /// Sends the page's first form with its hidden fields and these.
    pub async fn submit(&mut self, page: &Page, fields: &[(&str, &str)]) -> Result<Page> {
        let form = page.body.split("<form").nth(1).with_context(|| format!("no form: {page:?}"))?;
        let (head, inner) = form.split_once('>').context("a form that does not end")?;
        let inner = inner.split("</form").next().unwrap_or_default();
        let action = attribute(head, "action").map_or_else(|| Ok(page.url.clone()), |to| absolute(&page.url, to))?;
        let hidden = inner.split("<input").skip(1).filter(|input| attribute(input, "type") == Some("hidden"));
        let hidden = hidden.filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)));
        let sent: Vec<_> = hidden.chain(fields.iter().copied()).collect();
        self.follow(Method::POST, &action, encode(&sent)).await
    }

    async fn follow(&mut self, method: Method, url: &str, body: String) -> Result<Page> {
        let (mut method, mut url, mut body) = (method, url.to_owned(), body);
        for _ in 0..MAX_REDIRECTS {
            let (status, headers, text) = self.once(method, &url, body).await?;
            let Some(location) = headers.get(header::LOCATION).filter(|_| status.is_redirection()) else {
                return Ok(Page { url, status, body: text });
            };
            url = absolute(&url, location.to_str()?)?;
            if self.end.as_ref().is_some_and(|end| url.starts_with(end)) {
                return Ok(Page { url, status, body: String::new() });
            }
            (method, body) = (Method::GET, String::new());
        }
        bail!("more than {MAX_REDIRECTS} redirects, the last one to {url}")
    }

    async fn once(&mut self, method: Method, url: &str, body: String) -> Result<(StatusCode, HeaderMap, String)> {
        let host = url.parse::<Uri>()?.authority().context("no host")?.to_string();
        let cookies = self.cookies.entry(host).or_default();
        let sent: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(method).uri(url).header(header::COOKIE, sent.join("; "));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let (status, headers, text) = send_over(request.body(body)?, self.tls.as_ref()).await?;
        for cookie in headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        cookies.retain(|_, value| !value.is_empty());
        Ok((status, headers, text))
    }
}

/// One request over a plain connection of its own.
pub async fn send(request: Request<String>) -> Result<(StatusCode, HeaderMap, String)> {
    send_over(request, None).await
}

async fn send_over(request: Request<String>, tls: Option<&TlsConnector>) -> Result<(StatusCode, HeaderMap, String)> {
    let what = format!("{} {}", request.method(), request.uri());
    let answer = tokio::time::timeout(DEADLINE, exchange(request, tls)).await;
    answer.with_context(|| format!("{what}: no answer"))?.context(what)
}

async fn exchange(request: Request<String>, tls: Option<&TlsConnector>) -> Result<(StatusCode, HeaderMap, String)> {
    let (mut head, body) = request.into_parts();
    let stream = connect(&head.uri, tls).await?;
    let authority = head.uri.authority().context("no host")?.clone();
    head.headers.insert(header::HOST, authority.as_str().parse()?);
    head.uri = head.uri.path_and_query().context("no path")?.as_str().parse()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender.
    tokio::spawn(connection);
    let answer = sender.send_request(Request::from_parts(head, Full::new(Bytes::from(body)))).await?;
    let (head, body) = answer.into_parts();
    let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
    Ok((head.status, head.headers, text))
}

async fn connect(uri: &Uri, tls: Option<&TlsConnector>) -> Result<Box<dyn Stream>> {
    let (host, port) = (uri.host().context("no host")?, uri.port_u16().context("no port")?);
    let stream = TcpStream::connect((host, port)).await?;
    match (uri.scheme_str(), tls) {
        (Some("http"), _) => Ok(Box::new(stream)),
        (Some("https"), Some(tls)) => Ok(Box::new(tls.connect(ServerName::try_from(host.to_owned())?, stream).await?)),
        _ => bail!("neither plain HTTP nor TLS with a known authority"),
    }
}

/// Fields as `application/x-www-form-urlencoded`, also for a query.
pub fn encode(fields: &[(&str, &str)]) -> String {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

/// A query parameter of an address, decoded.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
}

fn absolute(base: &str, location: &str) -> Result<String> {
    if location.contains("://") {
        return Ok(location.to_owned());
    }
    ensure!(location.starts_with('/'), "a relative address: {location}");
    let base = base.parse::<Uri>()?;
    let (scheme, authority) = (base.scheme_str().context("no scheme")?, base.authority().context("no host")?);
    Ok(format!("{scheme}://{authority}{location}"))
}

/// The value of an attribute in double quotes.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let tag = tag.split('>').next().unwrap_or_default();
    tag.split_once(&format!("{name}=\""))?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_parameters_are_each_others_inverse() {
        let url = format!("http://h/p?{}", encode(&[("a", "x&y=ü "), ("b", "2")]));
        assert_eq!(parameter(&url, "a").as_deref(), Some("x&y=ü "));
        assert_eq!(parameter(&url, "b").as_deref(), Some("2"));
        assert_eq!(parameter(&url, "c"), None);
    }
}
