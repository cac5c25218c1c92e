//! The yardstick: a loop of non-blocking writes of ready-made bytes. No server can do less for a client.

use crate::order::Order;
use crate::payload;
use crate::server::Announcement;
use anyhow::{Context as _, Result};
use rustix::net::sockopt::set_socket_send_buffer_size;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// The same as the gateway's.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// The sample answer of RFC 6455, section 1.3; every client sends the same key.
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

type Sockets = Arc<Mutex<Vec<TcpStream>>>;

/// Serves until nobody gives orders any more.
pub fn serve(size: usize) -> Result<()> {
    let clients = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    set_socket_send_buffer_size(&clients, SEND_BUFFER_BYTES)?;
    Announcement {
        stream: Some(clients.local_addr()?),
        control: Some(control.local_addr()?),
        ..Announcement::default()
    }
    .make()?;
    let sockets = Sockets::default();
    let arriving = sockets.clone();
    std::thread::spawn(move || {
        for stream in clients.incoming().flatten() {
            if let Ok(socket) = accept(stream) {
                arriving.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
            }
        }
    });
    let (mut orders, _) = control.accept()?;
    let mut frames = Vec::new();
    while let Some(order) = Order::read(&mut orders)? {
        let wanted = payload::frame(size, order.stamp)?;
        if frames.len() != wanted.len() * order.records as usize {
            frames = wanted.repeat(order.records as usize);
        }
        write_all(&sockets.lock().unwrap_or_else(PoisonError::into_inner), &frames)?;
    }
    Ok(())
}

fn accept(mut stream: TcpStream) -> Result<TcpStream> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut piece)?;
        anyhow::ensure!(read > 0, "the client left");
        request.extend_from_slice(&piece[..read]);
    }
    stream.write_all(ANSWER)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// One write for everybody, and more for those whose socket was full.
fn write_all(sockets: &[TcpStream], bytes: &[u8]) -> Result<()> {
    let mut unfinished = Vec::new();
    for socket in sockets {
        let written = write(socket, bytes)?;
        if written < bytes.len() {
            unfinished.push((socket, written));
        }
    }
    while !unfinished.is_empty() {
        std::thread::yield_now();
        for (socket, written) in &mut unfinished {
            *written += write(socket, &bytes[*written..])?;
        }
        unfinished.retain(|(_, written)| *written < bytes.len());
    }
    Ok(())
}

fn write(mut socket: &TcpStream, bytes: &[u8]) -> Result<usize> {
    match socket.write(bytes) {
        Ok(written) => Ok(written),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error).context("a client left"),
    }
}
