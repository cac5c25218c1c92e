//! `GET /{app}` with `Upgrade: websocket`: the answer 101, and the hand-over of the connection (RFC 6455 section 4.2).

use super::admission::{self, Wanted};
use super::relay;
use super::write_timeout::WriteTimeout;
use crate::auth::limits::Permit;
use crate::encode::format::Envelope;
use crate::endpoint::Endpoint;
use crate::fanout::shard::run::{Admitted, Arrival};
use crate::rejection::Rejection;
use crate::request::handshake::{Subprotocol, WebSocketRequest};
use axum::body::Body;
use axum::response::Response;
use headgate_wire::config::Format;
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{Request, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Admits a client and answers its handshake.
pub(super) async fn upgrade(
    endpoint: &Arc<Endpoint>,
    mut request: Request<()>,
    handshake: WebSocketRequest,
    address: IpAddr,
    permit: Permit,
) -> Result<Response, Rejection> {
    let selected = handshake.subprotocols.selected;
    let wanted = Wanted {
        envelope: if selected == Some(Subprotocol::HeadgateV1) { Envelope::HeadgateV1 } else { Envelope::Plain },
        format: (selected == Some(Subprotocol::CloudEventsJson)).then_some(Format::CloudEvents),
        protocol: selected.map_or("plain", Subprotocol::as_str),
        bearer: handshake.subprotocols.bearer,
    };
    let admitted = admission::admit(endpoint, &request, wanted, address, permit).await?;
    let on_upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(take_over(endpoint.clone(), on_upgrade, admitted));

    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, handshake.accept);
    if let Some(selected) = selected {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(selected.as_str()));
    }
    Ok(response)
}

/// Waits for the 101 to be written, then gives the connection away: the bare TCP socket if there is nothing in between,
/// such as TLS, so that its shard can write to it directly.
async fn take_over(endpoint: Arc<Endpoint>, on_upgrade: OnUpgrade, admitted: Admitted) {
    let upgraded = match on_upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!(%error, "a client left before its upgrade"),
    };
    match upgraded.downcast::<TokioIo<WriteTimeout<TcpStream>>>() {
        Ok(parts) => match parts.io.into_inner().into_inner().into_std() {
            Ok(stream) => endpoint.join(Arrival::Tcp(stream, parts.read_buf), admitted).await,
            Err(error) => tracing::warn!(%error, "cannot take a socket over from the HTTP server; its client is cut"),
        },
        Err(upgraded) => relay::websocket(&endpoint, upgraded, admitted).await,
    }
}
