//! Sockets to requests: the accept loop, TLS, and HTTP/1.1 with bounds on everything that a stranger may use.

use super::Streams;
use super::relay::Cut;
use super::tls::Tls;
use super::write_timeout::WriteTimeout;
use crate::auth::limits::client_of;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that may be in the middle of a request; the next one is closed at once. A stream is not one of them: what is
/// streamed counts in the limits of the endpoint.
const MAX_HTTP_CONNECTIONS: usize = 4096;
/// Part of them that one address may have, in per cent: nobody can keep the port from others by saying nothing.
const ADDRESS_CONNECTIONS_PERCENT: usize = 80;
/// How long a client may take for the headers of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take for its TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take nothing of an answer, or of a stream that stays with its task. More than shards give their
/// clients, because theirs is the better reason.
const WRITE_TIMEOUT: Duration = Duration::from_mins(2);
/// Largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Most headers of a request.
const MAX_HEADERS: usize = 100;
/// Send buffer of a socket in the kernel, in bytes: without a bound, each slow client would get megabytes.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// Connections that the system keeps while the process is busy.
const BACKLOG: i32 = 4096;
/// Pause after the system refused to give a socket, usually because it ran out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Places for connections that are in the middle of a request. Clones share them.
#[derive(Debug, Clone, Default)]
struct Places(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them, until the connection ends or becomes a stream.
#[derive(Debug, Clone)]
pub(super) struct Place(Arc<Mutex<Option<Taken>>>);

#[derive(Debug)]
struct Taken {
    places: Places,
    client: IpAddr,
}

impl Places {
    /// A place, unless all are taken, or the address has its share of them.
    fn take(&self, address: IpAddr) -> Option<Place> {
        let client = client_of(address);
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let of_client = taken.get(&client).copied().unwrap_or(0);
        if all >= MAX_HTTP_CONNECTIONS || of_client >= MAX_HTTP_CONNECTIONS * ADDRESS_CONNECTIONS_PERCENT / 100 {
            return None;
        }
        *taken.entry(client).or_default() += 1;
        Some(Place(Arc::new(Mutex::new(Some(Taken { places: self.clone(), client })))))
    }
}

impl Place {
    /// Gives it back: the connection is a stream from now on.
    pub(super) fn give_back(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

/// Binds the stream port.
///
/// # Errors
/// If the address is taken or may not be used.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // Inherited by every accepted socket.
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until `shutdown`, then cuts what is left of the HTTP side.
pub async fn serve(listener: TcpListener, streams: Streams, tls: Option<Arc<Tls>>, shutdown: CancellationToken) {
    let tasks = TaskTracker::new();
    let places = Places::default();
    let accepting = async {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let address = peer.ip().to_canonical();
            let Some(place) = places.take(address) else {
                tracing::debug!(%address, "a connection is closed: too many are in the middle of a request");
                continue;
            };
            let (streams, tls) = (streams.clone(), tls.clone());
            let cut = shutdown.clone();
            let connection = handle(stream, address, (streams, place), tls);
            tasks.spawn(async move { cut.run_until_cancelled(connection).await });
        }
    };
    shutdown.run_until_cancelled(accepting).await;
    tasks.close();
    tasks.wait().await;
}

async fn handle(stream: TcpStream, address: IpAddr, served: (Streams, Place), tls: Option<Arc<Tls>>) {
    let Some(tls) = tls else { return http(stream, address, served).await };
    match tokio::time::timeout(TLS_TIMEOUT, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => http(stream, address, served).await,
        Ok(Err(error)) => tracing::debug!(%error, %address, "TLS handshake failed"),
        Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: IpAddr,
    (streams, place): (Streams, Place),
) {
    let cut = Cut::default();
    let end = cut.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let streams = streams.clone();
        request.extensions_mut().insert(cut.clone());
        request.extensions_mut().insert(place.clone());
        async move { Ok::<_, Infallible>(streams.answer(request.map(drop), address).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream, WRITE_TIMEOUT)), service)
        .with_upgrades();
    tokio::select! {
        result = connection => if let Err(error) = result {
            tracing::debug!(%error, %address, "HTTP connection ended");
        },
        () = end.is_due() => tracing::debug!(%address, "a client that was closed reads nothing; its connection is cut"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_places_to_others_and_a_stream_needs_none() {
        let places = Places::default();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut held: Vec<Place> = std::iter::from_fn(|| places.take(one)).collect();
        assert_eq!(held.len(), MAX_HTTP_CONNECTIONS * ADDRESS_CONNECTIONS_PERCENT / 100);
        held.extend(std::iter::from_fn(|| places.take(other)));
        assert_eq!(held.len(), MAX_HTTP_CONNECTIONS);
        held[0].give_back();
        assert!(places.take(one).is_some());
        drop(held);
        assert!(places.0.lock().unwrap().is_empty());
    }
}
