//! The request of a cell, and the status of its answer.

use super::cell::{Carrier, Cell, Kind, State, Target};
use super::credentials::Credentials;
use crate::raw::Raw;
use crate::stage::bearer;
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use std::net::SocketAddr;

/// A request before it is sent.
struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
}

/// Sends the request of a cell with this credential.
pub async fn status(gateway: SocketAddr, cell: Cell, text: &str, credentials: &Credentials) -> Result<u16> {
    let request = request(cell, text, credentials);
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut client = Raw::connect(gateway).await?;
    let answer = if cell.target.is_websocket() {
        client.upgrade(&request.target, &headers).await
    } else {
        client.request(request.method, &request.target, &headers).await
    };
    Ok(answer.with_context(|| format!("{cell:?}"))?.status)
}

fn request(cell: Cell, text: &str, credentials: &Credentials) -> Request {
    let (method, path, accept) = match cell.target {
        Target::Stream => ("GET", "/orders", None),
        Target::Alias => ("GET", "/ws", None),
        Target::Channel => ("GET", "/orders/eu", None),
        Target::Events => ("GET", "/orders", Some("text/event-stream")),
        Target::Page => ("GET", "/orders", Some("text/html")),
        Target::Tickets => ("POST", "/orders/tickets", None),
    };
    let mut headers: Vec<_> = accept.map(|accept| ("accept", accept.to_owned())).into_iter().collect();
    headers.push(("x-forwarded-for", address(cell)));
    let is_malformed = cell.state == State::Malformed;
    let mut query = String::new();
    match cell.carrier {
        Carrier::Nothing => {}
        Carrier::Bearer => headers.push(("authorization", bearer(text))),
        Carrier::Twice => headers.extend([("authorization", bearer(text)), ("authorization", bearer(text))]),
        Carrier::Basic if is_malformed => headers.push(("authorization", "Basic !!!".to_owned())),
        Carrier::Basic => headers.push(("authorization", format!("Basic {}", STANDARD.encode(format!("me:{text}"))))),
        Carrier::Subprotocol => {
            let text = if is_malformed { "!!!".to_owned() } else { URL_SAFE_NO_PAD.encode(text) };
            let offer = format!("headgate.v1, base64url.bearer.authorization.k8s.io.{text}");
            headers.push(("sec-websocket-protocol", offer));
        }
        Carrier::QueryToken => query = format!("?token={text}"),
        Carrier::QueryApiKey => query = format!("?username=me&api_key={text}"),
        Carrier::QueryTicket => query = format!("?ticket={text}"),
        Carrier::QueryTicketAndHeader => {
            query = format!("?ticket={text}");
            headers.push(("authorization", bearer(credentials.text(Kind::ApiKey, State::Valid))));
        }
        Carrier::Cookie => {
            let cookie = format!("token={text}; api_key={text}; ticket={text}; authorization=Bearer {text}");
            headers.push(("cookie", cookie));
        }
    }
    Request { method, target: format!("{path}{query}"), headers }
}

/// One for every carrier, kind and state.
fn address(cell: Cell) -> String {
    let Cell { carrier, kind, state, .. } = cell;
    format!("10.{}.{}.{}", carrier as u8, kind as u8, state as u8)
}
