//! The stream port: what a client asks for over HTTP, and how it becomes a stream.
//!
//! Order of the checks: limits, form, state, origin, credentials, position. Everything that refuses is a real HTTP answer
//! before any upgrade. Owns no stream: an admitted client goes to a shard.
//!
//! * [`serve`]: sockets, TLS, HTTP/1.1
//! * `admission`: the checks
//! * `begin`: where a client begins
//! * `upgrade`: WebSocket
//! * `sse`: server-sent events; `event_source`: refusals that a browser's `EventSource` survives
//! * `tickets`: one word for one connection, for browsers
//! * `relay`: connections that stay with their task
//! * `page`: what a browser shows
//! * `tls`: certificates, reloaded
//! * `write_timeout`: answers that nobody reads

mod admission;
mod begin;
mod event_source;
mod page;
mod relay;
pub mod serve;
mod sse;
mod tickets;
pub mod tls;
mod upgrade;
mod write_timeout;

use crate::endpoint::Endpoint;
use crate::rejection::Rejection;
use crate::request;
use crate::request::handshake::{HandshakeError, WebSocketRequest};

use axum::response::{IntoResponse as _, Response};
use headgate_wire::endpoints::ALIAS_PATH;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, CACHE_CONTROL, HeaderValue,
    ORIGIN, VARY,
};
use http::{Method, Request, StatusCode, Version};
use std::net::IpAddr;
use std::sync::Arc;

/// Answers 200 to anybody.
const HEALTH_PATH: &str = "/healthz";
/// Longest list of headers that a preflight is allowed, in bytes.
const MAX_ASKED_HEADERS_BYTES: usize = 1024;
/// How long a browser may remember what a page of an allowed origin may ask, in seconds.
const PREFLIGHT_MAX_AGE: &str = "600";

/// Finds the stream of a request. With several streams on one port (dev mode), the alias means the first.
#[derive(Debug, Clone)]
pub struct Streams(pub Arc<[Arc<Endpoint>]>);

impl Streams {
    fn find(&self, path: &str) -> Option<&Arc<Endpoint>> {
        let segment = path.trim_start_matches('/').split('/').next()?;
        if segment == ALIAS_PATH {
            return self.0.first();
        }
        let app = percent_encoding::percent_decode_str(segment).decode_utf8().ok()?;
        self.0.iter().find(|endpoint| endpoint.app() == app)
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<()>, address: IpAddr) -> Response {
        if request.uri().path() == HEALTH_PATH && matches!(*request.method(), Method::GET | Method::HEAD) {
            return health();
        }
        let Some(endpoint) = self.find(request.uri().path()) else { return Rejection::not_found().into_response() };
        let origin = request.headers().get(ORIGIN).cloned();
        let target = request.uri().path_and_query().map_or(String::new(), |target| request::redacted(target.as_str()));
        let address = endpoint.authenticator.policy().proxies.client(address, request.headers());
        let reconnects = event_source::reconnects_by_itself(&request);
        let mut response = match respond(endpoint, request, address).await {
            Ok(response) => response,
            Err(rejection) => {
                endpoint.metrics.refused(rejection.status().as_u16(), rejection.kind().word());
                tracing::info!(
                    target: "audit", event = "refused", app = endpoint.app(), %address, %target,
                    status = rejection.status().as_u16(), error = rejection.kind().word(),
                );
                if reconnects { event_source::refuse(rejection) } else { rejection.into_response() }
            }
        };
        allow_origin(endpoint, origin, &mut response);
        response
    }
}

async fn respond(endpoint: &Arc<Endpoint>, request: Request<()>, address: IpAddr) -> Result<Response, Rejection> {
    if request.method() == Method::OPTIONS && request.headers().contains_key(ORIGIN) {
        return preflight(endpoint, &request);
    }
    if tickets::is_meant(endpoint, &request) {
        return tickets::issue(endpoint, &request, address).await;
    }
    if request.method() != Method::GET {
        return Err(Rejection::method_not_allowed("GET"));
    }
    let permit = endpoint.limiter.admit(address)?;
    let websocket = WebSocketRequest::parse(request.method(), request.headers())?;
    if websocket.is_some() && request.version() < Version::HTTP_11 {
        return Err(HandshakeError::OldHttp.into());
    }
    if let Some(websocket) = websocket {
        return upgrade::upgrade(endpoint, request, websocket, address, permit).await;
    }
    if accepts(&request, "text/event-stream") {
        return sse::stream(endpoint, request, address, permit).await;
    }
    if accepts(&request, "text/html") {
        return page::page();
    }
    Err(Rejection::upgrade_required())
}

/// What a page of another origin may send along with a streaming request (Fetch standard, CORS preflight).
fn preflight(endpoint: &Endpoint, request: &Request<()>) -> Result<Response, Rejection> {
    endpoint.authenticator.policy().origins.check(request.headers(), request.uri())?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    // Libraries add headers of their own, for tracing or caching; none of them means anything here.
    let asked = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|asked| is_list_of_headers(asked));
    let allowed = asked.cloned().unwrap_or(HeaderValue::from_static("authorization, content-type, last-event-id"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_MAX_AGE));
    Ok(response)
}

/// Lets an allowed page read the answer. Cookies are never involved, so credentials are not allowed.
fn allow_origin(endpoint: &Endpoint, origin: Option<HeaderValue>, response: &mut Response) {
    let Some(origin) = origin else { return };
    response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
    let mut headers = http::HeaderMap::new();
    headers.insert(ORIGIN, origin.clone());
    if endpoint.authenticator.policy().origins.check(&headers, &http::Uri::default()).is_ok() {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after, www-authenticate"));
    }
}

/// For load balancers, which ask the port that they serve: it tells nothing but that the process answers.
fn health() -> Response {
    ([(CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

/// True for a list of header names that is worth repeating (RFC 9110 section 5.1).
fn is_list_of_headers(list: &HeaderValue) -> bool {
    let is_name = |name: &str| http::HeaderName::from_bytes(name.trim_ascii().as_bytes()).is_ok();
    list.len() <= MAX_ASKED_HEADERS_BYTES && list.to_str().is_ok_and(|list| list.split(',').all(is_name))
}

fn accepts(request: &Request<()>, media_type: &str) -> bool {
    let lines = request.headers().get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim_ascii().eq_ignore_ascii_case(media_type))
}
