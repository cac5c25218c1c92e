//! A client below any library: it can stop reading, send nonsense, and sees every byte that the gateway sends.
//!
//! Its frame reader is strict (RFC 6455 section 5): a torn, masked, compressed or fragmented frame is an error.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, BufMut as _, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// How long the gateway may take for one answer or frame.
pub const DEADLINE: Duration = Duration::from_mins(1);
/// Any 16 bytes in base64.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What RFC 6455 section 1.3 says the answer to that key is.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Receive buffer of a client that is meant to be slow, in bytes.
const SMALL_BUFFER: u32 = 8 * 1024;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a client talks over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A client.
pub struct Raw {
    stream: Box<dyn Stream>,
    host: String,
    received: BytesMut,
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, received, .. } = self;
        f.debug_struct("Raw").field("host", host).field("received", &received.len()).finish_non_exhaustive()
    }
}

/// The head of an HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
}

impl Answer {
    /// Every value of a header, joined.
    pub fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.collect::<Vec<_>>().join(", ")
    }
}

/// A frame, or the end of all frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A ping.
    Ping,
    /// A pong and what is in it.
    Pong(Vec<u8>),
    /// A close frame: code and reason.
    Close(u16, String),
    /// The connection ended without a close frame.
    End,
}

impl Raw {
    /// A fresh connection.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Self::over(TcpStream::connect(address).await?, address))
    }

    /// A connection whose kernel takes little, so that a client that stops reading is noticed soon.
    pub async fn connect_small(address: SocketAddr) -> Result<Self> {
        Ok(Self::over(small_socket(address).await?, address))
    }

    /// A client over a connection that exists.
    pub fn over(stream: impl Stream + 'static, address: SocketAddr) -> Self {
        Self { stream: Box::new(stream), host: address.to_string(), received: BytesMut::new() }
    }

    /// A connection from another address of this machine, all of 127.0.0.0/8 on Linux.
    pub async fn connect_from(source: IpAddr, address: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        Ok(Self::over(socket.connect(address).await?, address))
    }

    /// Both: from another address, with a kernel that takes little.
    pub async fn connect_small_from(source: IpAddr, address: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(SMALL_BUFFER)?;
        socket.bind((source, 0).into())?;
        Ok(Self::over(socket.connect(address).await?, address))
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(tokio::time::timeout(DEADLINE, self.stream.write_all(bytes))
            .await
            .context("the gateway does not read")??)
    }

    /// One masked frame; `first` is FIN, RSV and opcode.
    pub async fn send_frame(&mut self, first: u8, payload: &[u8]) -> Result<()> {
        self.send(&masked(first, payload)).await
    }

    /// A GET and the head of its answer.
    pub async fn get(&mut self, target: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.request("GET", target, headers).await
    }

    /// Any request and the head of its answer.
    pub async fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\n", self.host);
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        self.send(format!("{head}\r\n").as_bytes()).await?;
        self.answer().await
    }

    /// Asks for a WebSocket; the answer may refuse it.
    pub async fn upgrade(&mut self, target: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let websocket = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ];
        let answer = self.get(target, &[&websocket[..], headers].concat()).await?;
        if answer.status == 101 {
            ensure!(answer.header("sec-websocket-accept") == ACCEPT, "wrong accept key: {answer:?}");
        }
        Ok(answer)
    }

    /// A WebSocket that must be accepted.
    pub async fn open(mut self, target: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let answer = self.upgrade(target, headers).await?;
        ensure!(answer.status == 101, "{target}: {answer:?} {}", self.body().await.unwrap_or_default());
        Ok(self)
    }

    /// The head of the next answer.
    pub async fn answer(&mut self) -> Result<Answer> {
        loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                let head = self.received.split_to(end + 4);
                return parse_head(std::str::from_utf8(&head)?);
            }
            ensure!(self.fill().await?, "the connection ended before the answer: {:?}", self.received);
        }
    }

    /// Everything up to the end of the connection.
    pub async fn body(&mut self) -> Result<String> {
        while self.fill().await? {}
        Ok(String::from_utf8_lossy(&self.received.split()).into_owned())
    }

    /// Text up to and including `end`; what follows stays.
    pub async fn until(&mut self, end: &str) -> Result<String> {
        loop {
            if let Some(at) = find(&self.received, end.as_bytes()) {
                return Ok(String::from_utf8(self.received.split_to(at + end.len()).to_vec())?);
            }
            ensure!(self.fill().await?, "the connection ended before {end:?}: {:?}", self.received);
        }
    }

    /// Reads once into the buffer; false at the end of the connection. A reset is an end, too.
    pub async fn fill(&mut self) -> Result<bool> {
        let read = tokio::time::timeout(DEADLINE, self.stream.read_buf(&mut self.received)).await;
        Ok(read.context("nothing came in time")?.unwrap_or(0) > 0)
    }

    /// Reads once, at most so many bytes, and forgets them; 0 at the end of the connection. May be cancelled.
    pub async fn skim(&mut self, most: usize) -> usize {
        let forgotten = self.received.len().min(most);
        if forgotten > 0 {
            self.received.advance(forgotten);
            return forgotten;
        }
        let read = self.stream.read_buf(&mut (&mut self.received).limit(most)).await.unwrap_or(0);
        self.received.clear();
        read
    }

    /// Bytes that came and were not taken.
    pub fn received_len(&self) -> usize {
        self.received.len()
    }

    /// Takes that many of them.
    pub fn take(&mut self, length: usize) -> BytesMut {
        self.received.split_to(length)
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = take_frame(&mut self.received)? {
                return Ok(frame);
            }
            if !self.fill().await? {
                ensure!(
                    self.received.is_empty(),
                    "the connection ended inside a frame of {} bytes",
                    self.received.len()
                );
                return Ok(Frame::End);
            }
        }
    }

    /// The next frame that is no ping.
    pub async fn message(&mut self) -> Result<Frame> {
        loop {
            match self.frame().await? {
                Frame::Ping => {}
                frame => return Ok(frame),
            }
        }
    }

    /// The next text, passing over messages that only say how far the stream is.
    pub async fn text(&mut self) -> Result<String> {
        loop {
            match self.message().await? {
                Frame::Text(text) if text.starts_with(r#"{"type":"cursor""#) => {}
                Frame::Text(text) => return Ok(text),
                other => bail!("not a text: {other:?}"),
            }
        }
    }

    /// The close frame, whatever comes before it.
    pub async fn closed(&mut self) -> Result<(u16, String)> {
        loop {
            match self.frame().await? {
                Frame::Close(code, reason) => return Ok((code, reason)),
                Frame::End => bail!("the connection ended without a close frame"),
                _ => {}
            }
        }
    }
}

/// A connection whose kernel takes little.
pub async fn small_socket(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SMALL_BUFFER)?;
    Ok(socket.connect(address).await?)
}

/// A frame as clients send it; `first` is FIN, RSV and opcode.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0xfe);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0xff);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn take_frame(received: &mut BytesMut) -> Result<Option<Frame>> {
    let [first, second, ..] = received[..] else { return Ok(None) };
    ensure!(first & 0x70 == 0, "reserved bits are set, as if an extension had been negotiated: {first:#x}");
    ensure!(first & 0x80 != 0 && second & 0x80 == 0, "a torn or masked frame: {first:#x} {second:#x}");
    let (header, length) = match second {
        126 if received.len() >= 4 => (4, usize::from(u16::from_be_bytes([received[2], received[3]]))),
        127 if received.len() >= 10 => (10, u64::from_be_bytes(received[2..10].try_into()?) as usize),
        126 | 127 => return Ok(None),
        short => (2, usize::from(short)),
    };
    ensure!(length <= 64 * 1024 * 1024, "a torn frame: it claims {length} bytes");
    if received.len() < header + length {
        received.reserve(header + length);
        return Ok(None);
    }
    received.advance(header);
    let payload = received.split_to(length).to_vec();
    Ok(Some(match first & 0x0f {
        1 => Frame::Text(String::from_utf8(payload).context("a text frame that is not UTF-8")?),
        2 => Frame::Binary(payload),
        8 if payload.len() >= 2 => Frame::Close(
            u16::from_be_bytes([payload[0], payload[1]]),
            String::from_utf8(payload[2..].to_vec()).context("a close reason that is not UTF-8")?,
        ),
        8 => Frame::Close(1005, String::new()),
        9 => Frame::Ping,
        10 => Frame::Pong(payload),
        opcode => bail!("an unknown opcode {opcode}: a torn frame"),
    }))
}

fn parse_head(head: &str) -> Result<Answer> {
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).context("not an HTTP answer")?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').with_context(|| format!("not a header: {line}"))?;
        headers.append(HeaderName::try_from(name)?, HeaderValue::from_str(value.trim())?);
    }
    Ok(Answer { status, headers })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
