//! `GET /{app}` with `Accept: text/event-stream`: the same stream for what cannot speak WebSocket (WHATWG HTML, 9.2).

use super::admission::{self, Wanted};
use super::relay::Cut;
use super::serve::Place;
use crate::auth::limits::Permit;
use crate::encode::format::Envelope;
use crate::endpoint::Endpoint;
use crate::fanout::shard::RELAY_CHUNKS;
use crate::fanout::shard::run::Arrival;
use crate::rejection::Rejection;
use axum::body::Body;
use axum::response::Response;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, header};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Tells nginx and its relatives not to collect the stream before they pass it on.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Admits a client and answers with a body that does not end.
pub(super) async fn stream(
    endpoint: &Arc<Endpoint>,
    request: Request<()>,
    address: IpAddr,
    permit: Permit,
) -> Result<Response, Rejection> {
    let wanted = Wanted { envelope: Envelope::ServerSentEvents, format: None, protocol: "sse", bearer: None };
    let admitted = admission::admit(endpoint, &request, wanted, address, permit).await?;
    let (chunks, outgoing) = mpsc::channel(RELAY_CHUNKS);
    let (reply, port) = oneshot::channel();
    let cut = request.extensions().get::<Cut>().cloned().unwrap_or_default();
    if let Some(place) = request.extensions().get::<Place>() {
        place.give_back();
    }
    endpoint.join(Arrival::Relay(chunks, cut.forgotten(), reply), admitted).await;
    // Nothing ever comes in. That the client has left shows when the server drops the body, and the sender with it.
    let (present, left) = oneshot::channel::<Infallible>();
    tokio::spawn(async move {
        let _ = left.await;
        if let Ok(port) = port.await {
            port.gone().await;
        }
    });
    let body = stream::unfold((outgoing, present), async |(mut outgoing, present)| {
        outgoing.recv().await.map(|chunk| (Ok::<_, Infallible>(chunk), (outgoing, present)))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Its end is the end of the connection, whose bound on flushing would meet the next request otherwise.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}
