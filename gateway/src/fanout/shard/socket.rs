//! Where a client's bytes go: a TCP socket of our own, or a bounded relay to a task that owns the connection.
//!
//! Plain connections are taken over from the HTTP server, so that one write costs one system call. TLS connections and
//! server-sent events stay with their tasks and get the same bytes through a relay. Never blocks.

use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Largest piece handed to a relay at once, in bytes.
const RELAY_CHUNK_BYTES: usize = 64 * 1024;
/// Pieces that a relay holds before its client counts as blocked.
pub const RELAY_CHUNKS: usize = 4;

/// A future that ends when a socket can take bytes again, or never will.
pub type Writable = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a shard needs of a connection.
pub trait ClientSocket: fmt::Debug {
    /// Writes what fits, at once. `WouldBlock` if nothing does.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Waits until [`ClientSocket::try_write`] is worth another try.
    fn writable(&self) -> Writable;
    /// Ends the connection in both directions, whatever is still unsent.
    fn shutdown(&self);
}

/// The real connections.
#[derive(Debug, Clone)]
pub enum Socket {
    /// A socket of our own.
    Tcp(Arc<TcpStream>),
    /// A task that writes for us, and how it learns that the client is forgotten.
    Relay(mpsc::Sender<Bytes>, CancellationToken),
}

impl ClientSocket for Socket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            // Straight to the system; only after tokio's own try has failed, its `writable` waits.
            Self::Tcp(stream) => match socket2::SockRef::from(stream.as_ref()).send(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.try_write(bytes),
                done => done,
            },
            Self::Relay(relay, _) => {
                let chunk = &bytes[..bytes.len().min(RELAY_CHUNK_BYTES)];
                match relay.try_reserve() {
                    Ok(permit) => {
                        permit.send(Bytes::copy_from_slice(chunk));
                        Ok(chunk.len())
                    }
                    Err(mpsc::error::TrySendError::Full(())) => Err(io::ErrorKind::WouldBlock.into()),
                    Err(mpsc::error::TrySendError::Closed(())) => Err(io::ErrorKind::BrokenPipe.into()),
                }
            }
        }
    }

    fn writable(&self) -> Writable {
        match self.clone() {
            Self::Tcp(stream) => Box::pin(async move {
                // An error shows again, with its kind, at the next write.
                let _ = stream.writable().await;
            }),
            Self::Relay(relay, _) => Box::pin(async move {
                let _ = relay.reserve().await;
            }),
        }
    }

    fn shutdown(&self) {
        match self {
            Self::Tcp(stream) => {
                // Wakes the reader and any waiting writer; it fails only if the peer was faster.
                let _ = socket2::SockRef::from(stream.as_ref()).shutdown(std::net::Shutdown::Both);
            }
            // The task may be stuck in a write that never ends.
            Self::Relay(_, forgotten) => forgotten.cancel(),
        }
    }
}
