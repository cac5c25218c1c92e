//! What clients send: bytes of a socket to messages for the shard.
//!
//! One small task per connection. It holds no buffer while the client is silent, and stops reading while the shard has
//! not taken what came before.

use super::client::ClientId;
use crate::encode::frame::{Inbound, Parser};
use headgate_wire::CloseReason;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Bytes read from a socket at once.
const READ_BYTES: usize = 4 * 1024;

/// What a client did.
#[derive(Debug)]
pub enum Input {
    /// It sent a message, or something that is none.
    Message(ClientId, Result<Inbound, CloseReason>),
    /// Its connection ended.
    Gone(ClientId),
}

/// Where the task that reads from a client delivers what it sends.
#[derive(Debug, Clone)]
pub struct InputPort {
    pub(super) id: ClientId,
    pub(super) inputs: mpsc::Sender<Input>,
}

impl InputPort {
    /// Delivers everything in `bytes`; false if nobody listens any more.
    pub async fn deliver(&self, parser: &mut Parser, mut bytes: &[u8]) -> bool {
        loop {
            let message = match parser.next_message(&mut bytes) {
                Ok(None) => return true,
                Ok(Some(message)) => Ok(message),
                Err(reason) => Err(reason),
            };
            if self.inputs.send(Input::Message(self.id, message)).await.is_err() {
                return false;
            }
        }
    }

    /// Says that the connection ended.
    pub async fn gone(&self) {
        // Without a shard there is nobody to tell.
        let _ = self.inputs.send(Input::Gone(self.id)).await;
    }
}

/// Reads a socket of our own until it ends.
pub(super) async fn read(stream: Arc<TcpStream>, port: InputPort, mut parser: Parser) {
    while stream.readable().await.is_ok() {
        match read_some(&stream, &mut parser) {
            Ok(messages) => {
                for message in messages {
                    if port.inputs.send(Input::Message(port.id, message)).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    port.gone().await;
}

/// Reads and parses what is there, without keeping a buffer across waits.
fn read_some(stream: &TcpStream, parser: &mut Parser) -> io::Result<Vec<Result<Inbound, CloseReason>>> {
    let mut buffer = [0u8; READ_BYTES];
    let read = stream.try_read(&mut buffer)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = &buffer[..read];
    let mut messages = Vec::new();
    loop {
        match parser.next_message(&mut bytes) {
            Ok(None) => return Ok(messages),
            Ok(Some(message)) => messages.push(Ok(message)),
            // The answer to our close may follow.
            Err(reason) => messages.push(Err(reason)),
        }
    }
}
