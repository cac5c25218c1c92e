//! The thin loop around a socket: connect, hand frames to the session, write what it shows, ask `retry` what is next.
//!
//! It decides nothing itself, except how long silence may last.

use super::connected;
use super::credentials::Credential;
use super::render::Style;
use super::renewing::Renewing;
use super::retry::{Clock, End, Failure, FailureKind, Next, Retries, Sent};
use super::route::{Route, Transport};
use super::session::{Action, Session};
use super::target::from_position;
use crate::args::StreamOutput;
use crate::output::{Output, OutputError, notice};
use futures_util::{SinkExt as _, StreamExt as _};
use headgate_wire::endpoints::SUBPROTOCOL_HEADGATE;
use http::header::{AUTHORIZATION, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL, USER_AGENT};
use http::{HeaderValue, Response, Uri};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

/// Longest time for name, TCP, TLS and upgrade together.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the client pings.
const PING_PERIOD: Duration = Duration::from_secs(20);
/// Silence, pongs included, after which the connection counts as broken.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest wait for the other side's close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Characters shown of an answer that is not ours.
const MAX_FOREIGN_MESSAGE: usize = 200;

type Socket = WebSocketStream<MaybeTlsStream<Box<dyn Transport>>>;

/// What to follow and how.
pub(crate) struct Plan {
    /// Address without starting position.
    pub(crate) address: Uri,
    /// The way there.
    pub(crate) route: Route,
    /// Where to begin; absent = where the endpoint says.
    pub(crate) from: Option<String>,
    /// As whom, unless there is a login.
    pub(crate) credential: Credential,
    /// The login, which wins over the credential.
    pub(crate) renewing: Renewing,
    /// Issuers at which the user is logged in, although nothing of that is used.
    pub(crate) logged_in_at: Vec<String>,
    /// Trust; `None` = the system's certificate authorities.
    pub(crate) connector: Option<Connector>,
    /// Exit after this many events.
    pub(crate) count: Option<u64>,
    /// Exit when records are missing.
    pub(crate) fail_on_gap: bool,
    /// How long to try until the first connection.
    pub(crate) connect_timeout: Duration,
    /// How to show events.
    pub(crate) style: Style,
}

/// What was shown in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Events shown.
    pub(crate) events: u64,
    /// Gaps reported.
    pub(crate) gaps: u64,
    /// Connections after the first one.
    pub(crate) reconnects: u64,
}

/// Why one connection is over.
enum Over {
    /// Enough was shown, or nobody wants more.
    Done,
    Failed(Failure),
    Ended(End),
}

/// Follows a stream until the plan is fulfilled, `stop` resolves, or it cannot go on.
pub(crate) async fn follow(
    plan: Plan,
    output: &mut Output,
    stop: impl Future<Output = ()>,
) -> Result<Summary, Failure> {
    let mut following = Following {
        session: Session::new(plan.count),
        credential: plan.credential.clone(),
        plan,
        output,
        started: Instant::now(),
        connected: None,
        connections: 0,
    };
    following.run(std::pin::pin!(stop)).await
}

struct Following<'o> {
    plan: Plan,
    session: Session,
    output: &'o mut Output,
    started: Instant,
    /// With what the present connection was opened.
    credential: Credential,
    /// When the present connection became ready.
    connected: Option<Instant>,
    connections: u64,
}

impl Following<'_> {
    async fn run(&mut self, mut stop: Pin<&mut impl Future<Output = ()>>) -> Result<Summary, Failure> {
        let mut retries = Retries::new(self.plan.connect_timeout);
        loop {
            self.connected = None;
            let over = self.connection(stop.as_mut()).await;
            if let Err(error) = self.output.flush() {
                return self.unwritable(&error);
            }
            let end = match over {
                Over::Done => return Ok(self.summary()),
                Over::Failed(failure) => return Err(failure),
                Over::Ended(end) if self.plan.renewing.survives(&end) => End::Lost("the token has ended".to_owned()),
                Over::Ended(end) => end,
            };
            let clock = Clock {
                running: self.started.elapsed(),
                connected: self.connected.map(|since| since.elapsed()),
                pause: self.session.take_pause(),
            };
            match retries.after(&end, clock, getrandom::u64().unwrap_or(u64::MAX / 2)) {
                Next::Exit(failure) => return Err(failure),
                Next::Retry { after, because } => {
                    notice(format_args!("{because}; trying again in {:.1} s", after.as_secs_f64()));
                    tokio::select! {
                        () = tokio::time::sleep(after) => {}
                        () = stop.as_mut() => return Ok(self.summary()),
                    }
                }
            }
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            events: self.session.shown(),
            gaps: self.session.gaps(),
            reconnects: self.connections.saturating_sub(1),
        }
    }

    fn unwritable(&self, error: &OutputError) -> Result<Summary, Failure> {
        match error {
            OutputError::Closed => Ok(self.summary()),
            OutputError::Failed(_) => Err(Failure { kind: FailureKind::Usage, message: error.to_string() }),
        }
    }

    /// One connection from dialling to its end.
    async fn connection(&mut self, mut stop: Pin<&mut impl Future<Output = ()>>) -> Over {
        let dialled = tokio::select! {
            dialled = self.dial() => dialled,
            () = stop.as_mut() => return Over::Done,
        };
        let mut socket = match dialled {
            Ok(socket) => socket,
            Err(end) => return Over::Ended(end),
        };
        let over = self.converse(&mut socket, stop).await;
        if !matches!(over, Over::Ended(_)) {
            say_goodbye(socket).await;
        }
        over
    }

    async fn dial(&mut self) -> Result<Socket, End> {
        let plan = &mut self.plan;
        let address = from_position(&plan.address, self.session.cursor().or(plan.from.as_deref()))
            .map_err(|error| End::NotHeadgate(error.to_string()))?;
        let mut request = address.into_client_request().map_err(|error| End::NotHeadgate(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL_HEADGATE));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("headgate/", env!("CARGO_PKG_VERSION"))));
        self.credential = plan.renewing.credential().await?.unwrap_or_else(|| plan.credential.clone());
        let sent = match &self.credential {
            Credential::Anonymous => Sent::Nothing { logged_in_at: plan.logged_in_at.clone() },
            Credential::Bearer(value) => {
                headers.insert(AUTHORIZATION, value.clone());
                Sent::Credential
            }
        };
        let connecting = async {
            let transport = plan.route.open(&plan.address).await?;
            let upgraded = client_async_tls_with_config(request, transport, None, plan.connector.clone()).await;
            upgraded.map(|(socket, _)| socket).map_err(|error| not_connected(error, sent))
        };
        match tokio::time::timeout(ATTEMPT_TIMEOUT, connecting).await {
            Ok(dialled) => dialled,
            Err(_) => Err(End::Unreachable(format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs()))),
        }
    }

    async fn converse(&mut self, socket: &mut Socket, mut stop: Pin<&mut impl Future<Output = ()>>) -> Over {
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING_PERIOD, PING_PERIOD);
        let mut heard = Instant::now();
        loop {
            let received = tokio::select! {
                biased;
                () = stop.as_mut() => return Over::Done,
                // Before the socket, which may always have something.
                message = self.plan.renewing.message() => {
                    if let Err(error) = socket.send(Message::text(message)).await {
                        return Over::Ended(End::Lost(error.to_string()));
                    }
                    continue;
                }
                received = socket.next() => received,
                // Only when nothing else is ready: many events share one write to the terminal or pipe.
                () = std::future::ready(()), if self.output.has_pending() => {
                    if let Err(error) = self.output.flush() {
                        return self.unwritable(&error).map_or_else(Over::Failed, |_| Over::Done);
                    }
                    continue;
                }
                _ = ping.tick() => {
                    if heard.elapsed() >= SILENCE_TIMEOUT {
                        return Over::Ended(End::Lost("the gateway does not answer".to_owned()));
                    }
                    if let Err(error) = socket.send(Message::Ping(tungstenite::Bytes::new())).await {
                        return Over::Ended(End::Lost(error.to_string()));
                    }
                    continue;
                }
            };
            heard = Instant::now();
            if let Some(over) = self.take(received) {
                return over;
            }
        }
    }

    fn take(&mut self, received: Option<Result<Message, tungstenite::Error>>) -> Option<Over> {
        match received {
            Some(Ok(Message::Text(frame))) => self.take_frame(&frame),
            Some(Ok(Message::Close(frame))) => Some(Over::Ended(closed(frame))),
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(Over::Ended(End::Lost(error.to_string()))),
            None => Some(Over::Ended(End::Lost("the other side hung up".to_owned()))),
        }
    }

    fn take_frame(&mut self, frame: &str) -> Option<Over> {
        match self.session.receive(frame) {
            Action::Nothing => {}
            Action::Ready { again } => {
                self.connected = Some(Instant::now());
                self.connections += 1;
                if again {
                    notice("connected again, resuming after the last event");
                } else if self.plan.style.output == StreamOutput::Pretty {
                    notice(connected::sentence(&self.plan.address, &self.credential));
                }
            }
            Action::Say(text) => notice(text),
            Action::Gap(gap) => {
                let text = format!("gap: {gap}");
                if self.plan.fail_on_gap {
                    return Some(Over::Failed(Failure { kind: FailureKind::Gap, message: text }));
                }
                notice(text);
            }
            Action::Show(event) => {
                let line = self.plan.style.render(event);
                if let Err(error) = self.output.line(&line) {
                    return Some(self.unwritable(&error).map_or_else(Over::Failed, |_| Over::Done));
                }
            }
        }
        self.session.is_complete().then_some(Over::Done)
    }
}

fn not_connected(error: tungstenite::Error, sent: Sent) -> End {
    match error {
        tungstenite::Error::Http(response) => refused(&response, sent),
        tungstenite::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(cause)) => End::Untrusted(cause.to_string()),
            Some(rustls::Error::InvalidMessage(_)) => End::NotHeadgate("it does not speak TLS".to_owned()),
            _ => End::Unreachable(error.to_string()),
        },
        // Whoever was there went away; another pod may answer.
        tungstenite::Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            End::Unreachable("the connection ended before an answer".to_owned())
        }
        tungstenite::Error::Protocol(error) => End::NotHeadgate(error.to_string()),
        other => End::Unreachable(other.to_string()),
    }
}

fn refused(response: &Response<Option<Vec<u8>>>, sent: Sent) -> End {
    let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default());
    let ours = serde_json::from_str::<serde_json::Value>(&body).ok();
    let message = match ours.as_ref().and_then(|json| json["message"].as_str()) {
        Some(message) => message.to_owned(),
        None => body.chars().filter(|c| !c.is_control()).take(MAX_FOREIGN_MESSAGE).collect(),
    };
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let (status, retry_after) = (response.status().as_u16(), retry_after.map(Duration::from_secs));
    End::Refused { status, retry_after, message, sent }
}

fn closed(frame: Option<CloseFrame>) -> End {
    match frame {
        Some(frame) => End::Closed { code: frame.code.into(), reason: frame.reason.as_str().to_owned() },
        // RFC 6455 section 7.1.5: no status code was received.
        None => End::Closed { code: 1005, reason: String::new() },
    }
}

async fn say_goodbye(mut socket: Socket) {
    let bye = CloseFrame { code: CloseCode::Normal, reason: "bye".into() };
    let goodbye = async {
        if socket.close(Some(bye)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // The process ends anyway; a gateway that does not answer must not hold it up.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
}

#[cfg(test)]
mod tests;
