//! A WebSocket client as a user would write one, with deadlines.

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use headgate_wire::ServerMessage;
use headgate_wire::endpoints::SUBPROTOCOL_HEADGATE;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a message may take before a test gives up on it.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// A connection.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What ended a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The close code; 1006 if there was no close frame.
    pub code: u16,
    /// The words.
    pub reason: String,
}

impl Client {
    /// Opens a `headgate.v1` stream.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, &[("sec-websocket-protocol", SUBPROTOCOL_HEADGATE)]).await
    }

    /// Opens a stream with these headers and no subprotocol of its own.
    pub async fn connect_with(url: &str, headers: &[(&str, &str)]) -> Result<Self> {
        match Self::try_connect(url, headers).await? {
            Ok(client) => Ok(client),
            Err((status, body)) => bail!("refused with {status}: {body}"),
        }
    }

    /// Opens a stream, or tells the HTTP status and body that refused it.
    pub async fn try_connect(url: &str, headers: &[(&str, &str)]) -> Result<Result<Self, (u16, String)>> {
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().append(http::HeaderName::try_from(*name)?, value.parse()?);
        }
        match tokio::time::timeout(DEADLINE, tokio_tungstenite::connect_async(request)).await.context("handshake")? {
            Ok((socket, _)) => Ok(Ok(Self { socket })),
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                Ok(Err((answer.status().as_u16(), body.into_owned())))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next text message; pings are answered on the way. An `Err(Closed)` inside says that there is none.
    pub async fn text(&mut self) -> Result<std::result::Result<String, Closed>> {
        loop {
            let message = tokio::time::timeout(DEADLINE, self.socket.next()).await.context("no message in time")?;
            match message {
                Some(Ok(Message::Text(text))) => return Ok(Ok(text.as_str().to_owned())),
                Some(Ok(Message::Binary(bytes))) => {
                    return Ok(Ok(format!("binary:{}", String::from_utf8_lossy(&bytes))));
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Ok(Err(Closed { code: frame.code.into(), reason: frame.reason.as_str().to_owned() }));
                }
                Some(Ok(Message::Close(None))) => return Ok(Err(Closed { code: 1005, reason: String::new() })),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(Err(Closed { code: 1006, reason: String::new() })),
            }
        }
    }

    /// The next `headgate.v1` message.
    pub async fn message(&mut self) -> Result<std::result::Result<ServerMessage, Closed>> {
        match self.text().await? {
            Ok(text) => Ok(Ok(serde_json::from_str(&text).with_context(|| format!("no headgate.v1 message: {text}"))?)),
            Err(closed) => Ok(Err(closed)),
        }
    }

    /// The cursor and the flag of the `ready` message, which must come first.
    pub async fn ready(&mut self) -> Result<(String, bool)> {
        match self.message().await? {
            Ok(ServerMessage::Ready { cursor, resumed, .. }) => Ok((cursor, resumed)),
            other => bail!("not ready: {other:?}"),
        }
    }

    /// Waits for the close, ignoring messages before it.
    pub async fn closed(&mut self) -> Result<Closed> {
        loop {
            if let Err(closed) = self.text().await? {
                return Ok(closed);
            }
        }
    }

    /// Sends a text message.
    pub async fn send(&mut self, text: &str) -> Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// Sends any message.
    pub async fn send_message(&mut self, message: Message) -> Result<()> {
        Ok(self.socket.send(message).await?)
    }
}

/// What one client saw over all of its connections, and whether that was right.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Next offset that is expected, by partition, once something was seen of it.
    next: BTreeMap<i32, i64>,
    /// Offsets in the order of arrival, by partition.
    pub offsets: BTreeMap<i32, Vec<i64>>,
    /// Gaps in the order of arrival.
    pub gaps: Vec<(i32, i64, i64)>,
    /// The cursor of the last message that had one.
    pub cursor: Option<String>,
}

impl Seen {
    /// Number of records.
    pub fn records(&self) -> usize {
        self.offsets.values().map(Vec::len).sum()
    }

    /// Takes a message in.
    ///
    /// # Errors
    /// If a record is missing without a gap, comes twice, or comes before an earlier one of its partition.
    pub fn take(&mut self, message: &ServerMessage) -> Result<()> {
        match message {
            ServerMessage::Event { cursor, partition, offset, .. } => {
                if let Some(next) = self.next.get(partition)
                    && next != offset
                {
                    bail!("partition {partition}: offset {offset} arrived where {next} was due");
                }
                self.next.insert(*partition, offset + 1);
                self.offsets.entry(*partition).or_default().push(*offset);
                self.cursor = cursor.clone().or_else(|| self.cursor.take());
            }
            ServerMessage::Gap { partition, from, to, .. } => {
                self.gaps.push((*partition, *from, *to));
                self.next.insert(*partition, *to);
            }
            ServerMessage::Ready { cursor, .. }
            | ServerMessage::Cursor { cursor }
            | ServerMessage::Draining { cursor, .. } => {
                self.cursor = Some(cursor.clone());
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads until `records` were seen in total.
    pub async fn until(&mut self, client: &mut Client, records: usize) -> Result<()> {
        while self.records() < records {
            match client.message().await? {
                Ok(message) => self.take(&message)?,
                Err(closed) => bail!("closed after {} of {records} records: {closed:?}", self.records()),
            }
        }
        Ok(())
    }
}
