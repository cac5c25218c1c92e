//! Many clients on one thread: as cheap as possible, because they must never be what is measured.
//!
//! Edge-triggered events and one system call per wake, which throws the bytes away inside the kernel. Only a few
//! observed clients are really read: they tell where events end and how late they are. Where the server's own cost is
//! measured, this thread never sleeps: on one machine, waking it would be charged to the server.

use crate::arguments::Format;
use crate::payload::{self, Frames};
use anyhow::{Context as _, Result, bail, ensure};
use headgate_wire::endpoints::{SUBPROTOCOL_CLOUDEVENTS, SUBPROTOCOL_HEADGATE};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Most bytes that one system call throws away or reads.
const READ_BYTES: usize = 1024 * 1024;
/// Events taken at once.
const EVENTS: usize = 1024;
/// Silence after which everything that was on its way has arrived.
const QUIET: Duration = Duration::from_millis(300);
/// A server that sends nothing for this long does not work.
const DEADLINE: Duration = Duration::from_secs(20);

/// How many of which kind.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// All of them.
    pub clients: usize,
    /// The first ones: their frames are parsed.
    pub observed: usize,
    /// The last ones: they never read.
    pub frozen: usize,
    /// What they ask for.
    pub format: Format,
    /// Each asks for the events of a subject of its own.
    pub rows: bool,
}

/// Connected clients.
#[derive(Debug)]
pub struct Clients {
    sockets: Vec<TcpStream>,
    /// Bytes that each has received since [`Clients::settle`].
    received: Vec<u64>,
    observed: Vec<Observed>,
    epoll: OwnedFd,
    buffer: Vec<u8>,
    reads: u64,
    closed: usize,
    reading: usize,
    epoch: Instant,
}

#[derive(Debug, Default)]
struct Observed {
    frames: Frames,
    events: u64,
    /// Position in the byte stream after the last event.
    end: u64,
    latencies: Vec<u64>,
}

impl Clients {
    /// Connects all of them, one after the other.
    pub fn connect(address: SocketAddr, crowd: Crowd) -> Result<Self> {
        let reading = crowd.clients - crowd.frozen;
        let mut clients = Self {
            sockets: Vec::with_capacity(crowd.clients),
            received: vec![0; crowd.clients],
            observed: (0..crowd.observed.min(reading)).map(|_| Observed::default()).collect(),
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            buffer: vec![0; READ_BYTES],
            reads: 0,
            closed: 0,
            reading,
            epoch: Instant::now(),
        };
        for index in 0..crowd.clients {
            let (socket, early) = handshake(address, crowd.format, crowd.rows.then_some(index)).context("handshake")?;
            socket.set_nonblocking(true)?;
            if index < reading {
                let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
                epoll::add(&clients.epoll, &socket, EventData::new_u64(index as u64), flags)?;
            }
            if let Some(observed) = clients.observed.get_mut(index) {
                observed.frames.read(&early, |_, _| ());
            }
            clients.sockets.push(socket);
        }
        clients.settle()?;
        Ok(clients)
    }

    /// The clock of the stamps.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// System calls that have read something.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// Connections that ended.
    pub fn closed(&self) -> usize {
        self.closed
    }

    /// Clients that read.
    pub fn reading(&self) -> usize {
        self.reading
    }

    /// Nanoseconds from stamp to arrival at the observed clients, sorted; begins anew.
    pub fn take_latencies(&mut self) -> Vec<u64> {
        let mut all: Vec<u64> = self.observed.iter_mut().flat_map(|o| std::mem::take(&mut o.latencies)).collect();
        all.sort_unstable();
        all
    }

    /// Waits until nothing comes any more, and counts from there.
    pub fn settle(&mut self) -> Result<()> {
        while self.poll(QUIET)? {}
        self.received.fill(0);
        self.observed.iter_mut().for_each(|observed| *observed = Observed::default());
        Ok(())
    }

    /// Waits until every client has received so many more events. Without frozen ones only.
    pub fn receive(&mut self, events: u32) -> Result<()> {
        let wanted = self.observed.first().context("nobody is observed")?.events + u64::from(events);
        while self.observed[0].events < wanted {
            self.spin()?;
        }
        // Every client gets the same bytes, so the others have these events where the first one has them.
        let end = self.observed[0].end;
        for index in 0..self.reading {
            while self.received[index] < end {
                self.spin()?;
                ensure!(self.closed == 0, "the server has closed a connection");
            }
        }
        Ok(())
    }

    /// Looks for something to read until there is something.
    fn spin(&mut self) -> Result<()> {
        let start = Instant::now();
        while !self.poll(Duration::ZERO)? {
            ensure!(start.elapsed() < DEADLINE, "the server has stopped sending");
        }
        Ok(())
    }

    /// Reads what arrives within `timeout` at first; false if nothing did.
    pub fn poll(&mut self, timeout: Duration) -> Result<bool> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        let timeout = Timespec::try_from(timeout)?;
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            self.read(event.data.u64() as usize)?;
        }
        Ok(!events.is_empty())
    }

    fn read(&mut self, index: usize) -> Result<()> {
        let observed = self.observed.get_mut(index);
        // TCP throws the bytes away instead of copying them (tcp(7), MSG_TRUNC).
        let discard = if observed.is_none() { RecvFlags::TRUNC } else { RecvFlags::empty() };
        let read = match recv(&self.sockets[index], &mut self.buffer[..], RecvFlags::DONTWAIT | discard) {
            Ok((_, 0)) | Err(Errno::CONNRESET) => {
                self.closed += 1;
                epoll::delete(&self.epoll, &self.sockets[index])?;
                return Ok(());
            }
            Ok((_, read)) => read,
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.reads += 1;
        self.received[index] += read as u64;
        if let Some(observed) = observed {
            let now = self.epoch.elapsed().as_nanos() as u64;
            observed.see(&self.buffer[..read], now);
        }
        if read == READ_BYTES { self.read(index) } else { Ok(()) }
    }
}

impl Observed {
    fn see(&mut self, bytes: &[u8], now: u64) {
        let Self { frames, events, end, latencies } = self;
        frames.read(bytes, |position, payload| {
            if let Some(stamp) = payload::stamp(payload) {
                *events += 1;
                *end = position;
                if stamp > 0 {
                    latencies.push(now.saturating_sub(stamp));
                }
            }
        });
    }
}

/// Opens a stream; what came after the server's answer is part of it.
fn handshake(address: SocketAddr, format: Format, row: Option<usize>) -> Result<(TcpStream, Vec<u8>)> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    let (query, protocol) = match format {
        Format::Raw => ("?format=raw", None),
        Format::Cloudevents => ("", Some(SUBPROTOCOL_CLOUDEVENTS)),
        Format::Headgate => ("", Some(SUBPROTOCOL_HEADGATE)),
    };
    let filter = row.map_or(String::new(), |row| format!("filter.subject={}", payload::subject(row as u64)));
    let query = match (query, filter.as_str()) {
        ("", "") => String::new(),
        ("", filter) => format!("?{filter}"),
        (query, filter) => format!("{query}&{filter}"),
    };
    let protocol = protocol.map_or(String::new(), |name| format!("sec-websocket-protocol: {name}\r\n"));
    let request = format!(
        "GET /bench{query} HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
    );
    socket.write_all(request.as_bytes())?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = socket.read(&mut piece)?;
        answer.extend_from_slice(&piece[..read]);
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            ensure!(answer.starts_with(b"HTTP/1.1 101"), "refused: {}", String::from_utf8_lossy(&answer));
            return Ok((socket, answer.split_off(end + 4)));
        }
        if read == 0 {
            bail!("the server closed: {}", String::from_utf8_lossy(&answer));
        }
    }
}
