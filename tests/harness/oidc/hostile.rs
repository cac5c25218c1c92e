//! An issuer of our own, in this process: it signs whatever a test wants, and answers as badly as a test wants.
//!
//! It never decides what is right. Its keys live as long as it does.

use super::keys::{Algorithm, Key};
use crate::certificates::Issued;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// Whom its tokens are for.
pub const AUDIENCE: &str = "urn:headgate:orders";
/// Bytes of one piece of an answer that is too large.
const PIECE: usize = 16 * 1024;
/// How long its tokens last, in seconds.
const LIFETIME: i64 = 3600;

/// The documents that it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Document {
    /// `/.well-known/openid-configuration`.
    Discovery,
    /// The JSON Web Key Set, at `/keys`.
    Keys,
    /// Anything else.
    Other,
}

/// How it answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Behaviour {
    /// With this status and no document.
    Status(StatusCode),
    /// With this text as JSON.
    Text(String),
    /// With a redirect (302).
    Redirect(String),
    /// As it should, but only after this time.
    Slow(Duration),
    /// Never.
    Silent,
    /// By closing the connection.
    Close,
    /// With this many bytes, none of which ends the document.
    Endless(usize),
}

/// A running issuer. Dropping it ends it.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    key: Key,
    published: Vec<Value>,
    behaviours: HashMap<Document, Behaviour>,
    requests: HashMap<Document, usize>,
}

impl Issuer {
    /// A well-behaved issuer with one ES256 key, on any port.
    pub async fn start() -> Result<Self> {
        Self::start_at(0, Key::new("first", Algorithm::ES256)?).await
    }

    /// The same at a port and with a key of the caller's choice.
    pub async fn start_at(port: u16, key: Key) -> Result<Self> {
        Self::serve(port, key, None).await
    }

    /// The same with TLS. The certificate must be good for 127.0.0.1.
    pub async fn start_tls(certificate: &Issued) -> Result<Self> {
        let chain = CertificateDer::pem_slice_iter(certificate.certificate.as_bytes()).collect::<Result<_, _>>()?;
        let private = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())?;
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions()?;
        let config = config.with_no_client_auth().with_single_cert(chain, private)?;
        Self::serve(0, Key::new("first", Algorithm::ES256)?, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(port: u16, key: Key, tls: Option<TlsAcceptor>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.context("the issuer cannot listen")?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr()?);
        let state = State { published: vec![key.jwk()], key, behaviours: HashMap::new(), requests: HashMap::new() };
        let shared = Arc::new(Shared { url: url.clone(), state: Mutex::new(state) });
        let serving = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Ok(Self { url, shared, serving })
    }

    /// Its issuer URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key that signs now.
    pub fn key(&self) -> Key {
        self.shared.lock().key.clone()
    }

    /// Changes how it answers for a document.
    pub fn behave(&self, document: Document, behaviour: Behaviour) {
        self.shared.lock().behaviours.insert(document, behaviour);
    }

    /// Answers as it should again.
    pub fn recover(&self) {
        self.shared.lock().behaviours.clear();
    }

    /// Publishes exactly these keys. What signs stays.
    pub fn publish(&self, keys: impl IntoIterator<Item = Value>) {
        self.shared.lock().published = keys.into_iter().collect();
    }

    /// Signs with another key from now on and publishes it alone.
    pub fn rotate(&self, key: Key) {
        let mut state = self.shared.lock();
        state.published = vec![key.jwk()];
        state.key = key;
    }

    /// How often a document was asked for.
    pub fn requests(&self, document: Document) -> usize {
        self.shared.lock().requests.get(&document).copied().unwrap_or(0)
    }

    /// Claims of a good token; change what the test is about.
    pub fn claims(&self, subject: &str) -> Value {
        let now = Timestamp::now().as_second();
        json!({ "iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + LIFETIME })
    }

    /// A token with these claims, signed as its others.
    pub fn token(&self, claims: &Value) -> Result<String> {
        let key = self.key();
        key.token(&key.header(), claims)
    }

    /// A good token of this subject.
    pub fn token_of(&self, subject: &str) -> Result<String> {
        self.token(&self.claims(subject))
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and says how to answer it.
    fn count(&self, document: Document) -> Option<Behaviour> {
        let mut state = self.lock();
        *state.requests.entry(document).or_default() += 1;
        state.behaviours.get(&document).cloned()
    }

    fn document(&self, document: Document) -> Answer {
        let text = match document {
            Document::Discovery => json!({
                "issuer": self.url, "jwks_uri": format!("{}/keys", self.url),
                "authorization_endpoint": format!("{}/authorize", self.url),
                "token_endpoint": format!("{}/token", self.url), "response_types_supported": ["code"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            }),
            Document::Keys => json!({ "keys": self.lock().published }),
            Document::Other => return status(StatusCode::NOT_FOUND),
        };
        json_answer(text.to_string())
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Dropped with this task, and with it every connection.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            match tls {
                None => serve_connection(socket, shared).await,
                // A client that does not trust it is seen on the client's side.
                Some(tls) => {
                    if let Ok(socket) = tls.accept(socket).await {
                        serve_connection(socket, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve_connection(socket: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    // How it ends is what the client sees, and a test looks there.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Answer> {
    let document = match request.uri().path() {
        "/.well-known/openid-configuration" => Document::Discovery,
        "/keys" => Document::Keys,
        _ => Document::Other,
    };
    match shared.count(document) {
        None => Ok(shared.document(document)),
        Some(Behaviour::Status(code)) => Ok(status(code)),
        Some(Behaviour::Text(text)) => Ok(json_answer(text)),
        Some(Behaviour::Redirect(to)) => {
            let mut redirect = status(StatusCode::FOUND);
            let to = HeaderValue::try_from(to).map_err(io::Error::other)?;
            redirect.headers_mut().insert(header::LOCATION, to);
            Ok(redirect)
        }
        Some(Behaviour::Slow(delay)) => {
            tokio::time::sleep(delay).await;
            Ok(shared.document(document))
        }
        Some(Behaviour::Silent) => std::future::pending().await,
        // An error of the service makes hyper close the connection without a word.
        Some(Behaviour::Close) => Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Behaviour::Endless(length)) => Ok(endless(length)),
    }
}

fn status(code: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default().boxed());
    *answer.status_mut() = code;
    answer
}

fn json_answer(text: String) -> Answer {
    let mut answer = Response::new(Full::from(text).boxed());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// In pieces, so that no header tells the length.
fn endless(length: usize) -> Answer {
    let piece = Bytes::from(vec![b' '; PIECE]);
    let pieces = (0..length.div_ceil(PIECE)).map(move |_| Ok(Frame::data(piece.clone())));
    Response::new(StreamBody::new(stream::iter(pieces)).boxed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::browser::send;

    async fn get(url: &str) -> Result<(StatusCode, String)> {
        let (status, _, text) = send(Request::get(url).body(String::new())?).await?;
        Ok((status, text))
    }

    #[tokio::test]
    async fn it_publishes_the_keys_that_it_signs_with_and_counts_who_asks() {
        let issuer = Issuer::start().await.unwrap();
        let (_, text) = get(&format!("{}/.well-known/openid-configuration", issuer.url())).await.unwrap();
        let discovery: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(discovery["issuer"], issuer.url());
        issuer.rotate(Key::new("second", Algorithm::EdDSA).unwrap());
        let (_, text) = get(discovery["jwks_uri"].as_str().unwrap()).await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({ "keys": [issuer.key().jwk()] }));
        assert_eq!((issuer.requests(Document::Discovery), issuer.requests(Document::Keys)), (1, 1));
    }

    #[tokio::test]
    async fn it_misbehaves_as_told_until_it_recovers() {
        let issuer = Issuer::start().await.unwrap();
        let keys = format!("{}/keys", issuer.url());
        issuer.behave(Document::Keys, Behaviour::Status(StatusCode::INTERNAL_SERVER_ERROR));
        assert_eq!(get(&keys).await.unwrap().0, 500);
        issuer.behave(Document::Keys, Behaviour::Endless(100_000));
        assert!(get(&keys).await.unwrap().1.len() >= 100_000);
        issuer.behave(Document::Keys, Behaviour::Close);
        get(&keys).await.unwrap_err();
        issuer.recover();
        assert_eq!(get(&keys).await.unwrap().0, 200);
    }
}
