//! WebSocket connections with something between us and the socket, such as TLS: a task moves the bytes both ways.
//!
//! The shard makes the same frames as for a bare socket; the relay holds a bounded number of pieces, and when it is full
//! the client counts as blocked, like any other.

use crate::encode::frame::Parser;
use crate::endpoint::Endpoint;
use crate::fanout::shard::run::{Admitted, Arrival};
use crate::fanout::shard::{InputPort, RELAY_CHUNKS};
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long a client that its shard has forgotten may take for what was on its way to it.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes read from a connection at once.
const READ_BYTES: usize = 4 * 1024;

/// Ends a connection that stays with its task: without it, a client that reads nothing would keep its connection when its
/// shard has closed it and given its place away.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(CancellationToken);

impl Cut {
    /// For the shard, which cancels it when it forgets the client.
    pub(super) fn forgotten(&self) -> CancellationToken {
        self.0.clone()
    }

    /// Ends when the connection must.
    pub(super) async fn is_due(&self) {
        self.0.cancelled().await;
        tokio::time::sleep(FLUSH_TIMEOUT).await;
    }
}

/// Serves a connection until either side ends it.
pub(super) async fn websocket(endpoint: &Endpoint, upgraded: Upgraded, admitted: Admitted) {
    let (chunks, outgoing) = mpsc::channel(RELAY_CHUNKS);
    let (reply, port) = oneshot::channel();
    let cut = Cut::default();
    let max_inbound_bytes = endpoint.config.wire.limits.max_inbound_bytes;
    endpoint.join(Arrival::Relay(chunks, cut.forgotten(), reply), admitted).await;
    let Ok(port) = port.await else { return };
    let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
    tokio::select! {
        result = write(writer, outgoing) => if let Err(error) = result {
            tracing::debug!(%error, "writing to a client ended");
        },
        result = read(reader, &port, Parser::new(max_inbound_bytes)) => if let Err(error) = result {
            tracing::debug!(%error, "reading from a client ended");
        },
        () = cut.is_due() => tracing::debug!("a client that was closed reads nothing; its connection is cut"),
    }
    port.gone().await;
}

async fn write(mut writer: WriteHalf<TokioIo<Upgraded>>, mut outgoing: mpsc::Receiver<Bytes>) -> io::Result<()> {
    while let Some(chunk) = outgoing.recv().await {
        writer.write_all(&chunk).await?;
        if outgoing.is_empty() {
            writer.flush().await?;
        }
    }
    writer.shutdown().await
}

async fn read(mut reader: ReadHalf<TokioIo<Upgraded>>, port: &InputPort, mut parser: Parser) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = reader.read(&mut buffer).await?;
        if read == 0 || !port.deliver(&mut parser, &buffer[..read]).await {
            return Ok(());
        }
    }
}
