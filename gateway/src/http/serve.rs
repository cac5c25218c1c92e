//! Sockets to requests: the accept loop, TLS, and HTTP/1.1 with bounds on everything that a stranger may use.

use super::Streams;
use super::relay::Cut;
use super::tls::Tls;
use super::write_timeout::WriteTimeout;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that may be in the middle of a request or of a server-sent stream; the system's queue holds the rest.
const MAX_HTTP_CONNECTIONS: usize = 4096;
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
    let places = Arc::new(Semaphore::new(MAX_HTTP_CONNECTIONS));
    let accepting = async {
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (streams, tls) = (streams.clone(), tls.clone());
            let connection = async move {
                handle(stream, peer.ip().to_canonical(), streams, tls).await;
                drop(place);
            };
            let cut = shutdown.clone();
            tasks.spawn(async move { cut.run_until_cancelled(connection).await });
        }
    };
    shutdown.run_until_cancelled(accepting).await;
    tasks.close();
    tasks.wait().await;
}

async fn handle(stream: TcpStream, address: IpAddr, streams: Streams, tls: Option<Arc<Tls>>) {
    let Some(tls) = tls else { return http(stream, address, streams).await };
    match tokio::time::timeout(TLS_TIMEOUT, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => http(stream, address, streams).await,
        Ok(Err(error)) => tracing::debug!(%error, %address, "TLS handshake failed"),
        Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, address: IpAddr, streams: Streams) {
    let cut = Cut::default();
    let end = cut.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let streams = streams.clone();
        request.extensions_mut().insert(cut.clone());
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
