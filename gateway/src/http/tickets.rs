//! `POST /{app}/tickets`: a ticket for a caller who shows its credentials in a header, for one connection that cannot.

use crate::auth::ticket::NoTicket;
use crate::auth::{Attempt, Carriers, QueryCarrier};
use crate::endpoint::Endpoint;
use crate::rejection::{Rejection, RejectionKind};
use crate::request;
use axum::response::{IntoResponse as _, Response};
use headgate_wire::endpoints::{ALIAS_PATH, TICKETS_PATH};
use headgate_wire::key::Permission;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use jiff::Timestamp;
use serde_json::json;
use std::net::IpAddr;

/// Whether a request is about tickets, whatever its method.
pub(super) fn is_meant(endpoint: &Endpoint, request: &Request<()>) -> bool {
    let mut segments = request.uri().path().trim_start_matches('/').split('/');
    let stream = segments.next().is_some_and(|first| first == endpoint.app() || first == ALIAS_PATH);
    stream && segments.next() == Some(TICKETS_PATH) && segments.next().is_none()
}

/// Issues a ticket.
pub(super) async fn issue(endpoint: &Endpoint, request: &Request<()>, address: IpAddr) -> Result<Response, Rejection> {
    if request.method() != Method::POST {
        return Err(Rejection::method_not_allowed("POST"));
    }
    // Its place is given back at the end: it bounds how many ask at once and in a second.
    let _permit = endpoint.limiter.admit(address)?;
    let credentials = request::credentials_of(request.uri().query())?;
    if endpoint.is_draining() {
        return Err(Rejection::draining());
    }
    let (authenticator, headers) = (&endpoint.authenticator, request.headers());
    authenticator.policy().origins.check(headers, request.uri())?;
    if credentials.ticket.is_some() {
        return Err(Rejection::bad_request("a ticket is not exchanged for another; send the credentials themselves"));
    }
    let carriers = Carriers { headers, subprotocol: None, query: QueryCarrier::from(&credentials) };
    let attempt = Attempt { carriers, address, needs: Permission::Read };
    let now = Timestamp::now();
    let principal = authenticator.authenticate(&attempt, now).await?;
    let (ticket, ends) = authenticator.ticket(&principal, now).map_err(|error| match error {
        NoTicket::Unavailable => Rejection::new(RejectionKind::Unavailable, error.to_string()),
        NoTicket::Anonymous | NoTicket::TooLarge => Rejection::bad_request(error.to_string()),
    })?;
    tracing::info!(target: "audit", event = "ticket", app = endpoint.app(), principal = principal.label(), %address);
    let body = json!({ "ticket": ticket, "expiresAt": ends.to_string() }).to_string();
    let mut response = (StatusCode::CREATED, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
