//! `headgate-operator check-websocket`: opens one stream within the cluster, as a client would, and says whether it works.
//!
//! The pod of the chart's `helm test` runs it, because the images have neither a shell nor another client. Must never
//! say anything of the key, and needs no access to the API server.

use futures_util::{SinkExt as _, StreamExt as _};
use headgate_wire::endpoints::SUBPROTOCOL_HEADGATE;
use headgate_wire::message::ServerMessage;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long one run tries: gateways that are just starting need some seconds. The test's pod begins again after it.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Pause between two attempts.
const INTERVAL: Duration = Duration::from_millis(500);

/// Largest message that is read, in bytes; the first one is below 1 KiB plus a cursor.
const MAX_MESSAGE: usize = 1 << 20;

/// Longest part of a refusal's body that is quoted, in characters.
const MAX_QUOTED: usize = 200;

/// Why a stream cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// TLS would need authorities to trust, which a test within the cluster does not have.
    #[error("`{0}` is no address of a stream within the cluster; write ws://host:port/app")]
    Address(String),
    /// It has characters that no header can carry.
    #[error("HEADGATE_KEY has characters that no header can carry; take the entry `api-key` of a key's Secret")]
    Key,
    /// No connection, or a broken one.
    #[error("failed to open a WebSocket: {0}")]
    Connect(String),
    /// An answer other than 101.
    #[error("the gateway refused the stream with {status}: {body}")]
    Refused {
        /// The answer.
        status: StatusCode,
        /// Beginning of its body.
        body: String,
    },
    /// Connected, and then not what `headgate.v1` begins with.
    #[error("the stream was opened, and its first message was not `ready`")]
    NotReady,
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

impl CheckError {
    /// Whether trying again can help.
    fn is_passing(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Refused { status, .. } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Address(_) | Self::Key | Self::NotReady | Self::Silent(_) => false,
        }
    }
}

/// Opens the stream at `address`, waits for its first message, and closes it. Tries again for as long as `patience` where
/// that can help. The key travels as a bearer token.
pub async fn check_websocket(address: &str, key: Option<&str>, patience: Duration) -> Result<(), CheckError> {
    let request = request(address, key)?;
    let deadline = Instant::now() + patience;
    loop {
        match timeout_at(deadline, open(request.clone())).await {
            Ok(Err(error)) if error.is_passing() && Instant::now() + INTERVAL < deadline => {
                tracing::info!(%error, "not yet");
                sleep(INTERVAL).await;
            }
            Ok(outcome) => return outcome,
            Err(_) => return Err(CheckError::Silent(patience)),
        }
    }
}

fn request(address: &str, key: Option<&str>) -> Result<Request, CheckError> {
    let wrong = || CheckError::Address(address.to_owned());
    let mut request = address.into_client_request().map_err(|_| wrong())?;
    if request.uri().scheme_str() != Some("ws") {
        return Err(wrong());
    }
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL_HEADGATE));
    if let Some(key) = key {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", key.trim())).map_err(|_| CheckError::Key)?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
    }
    Ok(request)
}

async fn open(request: Request) -> Result<(), CheckError> {
    let limits = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let (mut stream, _) = connect_async_with_config(request, Some(limits), true).await.map_err(failure)?;
    let first = stream.next().await;
    let ready = match first {
        Some(Ok(Message::Text(text))) => {
            matches!(serde_json::from_str(text.as_str()), Ok(ServerMessage::Ready { .. }))
        }
        Some(Err(error)) => return Err(failure(error)),
        Some(Ok(_)) | None => false,
    };
    // The answer is known; how the connection ends does not change it.
    drop(stream.close(None).await);
    drop(stream.flush().await);
    if ready { Ok(()) } else { Err(CheckError::NotReady) }
}

fn failure(error: Error) -> CheckError {
    match error {
        Error::Http(response) => refusal(&response),
        other => CheckError::Connect(other.to_string()),
    }
}

fn refusal(response: &Response) -> CheckError {
    let body = response.body().as_deref().unwrap_or_default();
    let body = String::from_utf8_lossy(body).chars().take(MAX_QUOTED).collect();
    CheckError::Refused { status: response.status(), body }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

    const KEY: &str = "hgk_a_key_that_must_not_be_shown";
    const READY: &str = r#"{"type":"ready","cursor":"AA","session":"s","resumed":false}"#;

    /// A gateway that answers each connection with the next of `answers`: a refusal, or the first message.
    async fn gateway(answers: Vec<Result<&'static str, StatusCode>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (socket, _) = listener.accept().await.unwrap();
                serve(socket, answer).await;
            }
        });
        address
    }

    #[expect(clippy::result_large_err, reason = "the signature of tungstenite's callback")]
    async fn serve(socket: TcpStream, answer: Result<&'static str, StatusCode>) {
        let callback = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            let authorized =
                request.headers().get(AUTHORIZATION).is_some_and(|value| value == &format!("Bearer {KEY}"));
            let status = answer.err().or((!authorized).then_some(StatusCode::UNAUTHORIZED));
            if let Some(status) = status {
                let mut refused = ErrorResponse::new(Some("{\"error\":\"no\"}".to_owned()));
                *refused.status_mut() = status;
                return Err(refused);
            }
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL_HEADGATE));
            Ok(response)
        };
        if let (Ok(mut stream), Ok(first)) = (accept_hdr_async(socket, callback).await, answer) {
            stream.send(Message::text(first)).await.unwrap();
            while stream.next().await.is_some_and(|message| message.is_ok()) {}
        }
    }

    async fn check(answers: Vec<Result<&'static str, StatusCode>>, key: Option<&str>) -> Result<(), CheckError> {
        let address = gateway(answers).await;
        check_websocket(&format!("ws://{address}/orders"), key, Duration::from_secs(10)).await
    }

    #[tokio::test]
    async fn a_stream_that_says_ready_is_good() {
        check(vec![Ok(READY)], Some(KEY)).await.unwrap();
    }

    #[tokio::test]
    async fn a_gateway_that_is_still_starting_is_asked_again() {
        check(vec![Err(StatusCode::SERVICE_UNAVAILABLE), Ok(READY)], Some(KEY)).await.unwrap();
    }

    #[tokio::test]
    async fn a_refused_key_is_final_and_never_quoted() {
        for key in [None, Some("hgk_wrong")] {
            let error = check(vec![Ok(READY), Ok(READY)], key).await.unwrap_err().to_string();
            assert_eq!(error, "the gateway refused the stream with 401 Unauthorized: {\"error\":\"no\"}");
        }
    }

    #[tokio::test]
    async fn another_first_message_is_no_stream_of_ours() {
        let error = check(vec![Ok("hello")], Some(KEY)).await.unwrap_err();
        assert!(matches!(error, CheckError::NotReady), "{error}");
    }

    #[tokio::test]
    async fn nobody_listening_is_said_after_the_patience() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("ws://{}/orders", listener.local_addr().unwrap());
        drop(listener);
        let error = check_websocket(&address, None, Duration::from_millis(10)).await.unwrap_err();
        assert!(matches!(error, CheckError::Connect(_)), "{error}");
    }

    #[tokio::test]
    async fn only_streams_within_the_cluster_are_checked() {
        for address in ["wss://example.com/orders", "http://example.com", "orders", ""] {
            let error = check_websocket(address, Some(KEY), PATIENCE).await.unwrap_err();
            assert!(matches!(error, CheckError::Address(_)), "{address}: {error}");
        }
    }
}
