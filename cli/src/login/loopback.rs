//! The redirect of a login to this machine (RFC 8252 section 7.3): a listener for one answer, on any free port.

use super::LoginError;
use super::token_endpoint::printable;
use percent_encoding::percent_decode_str;
use std::net::Ipv4Addr;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The path of the redirect.
const PATH: &str = "/callback";
/// Largest request that is read, in bytes; a code is short.
const MAX_REQUEST: usize = 16 * 1024;
/// Longest time for one request: browsers open connections that they may never use.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Most connections at the same time.
const MAX_CONNECTIONS: usize = 16;

/// A listener whose address is part of the redirect.
#[derive(Debug)]
pub(super) struct Loopback {
    listener: TcpListener,
    /// Where the provider sends the browser.
    pub(super) redirect_uri: String,
}

/// What must be in the redirect for it to be an answer to ours.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// Our random text.
    pub(super) state: String,
    /// The provider, which it must be from if it says so (RFC 9207).
    pub(super) issuer: String,
    /// Whether it must say so.
    pub(super) names_issuer: bool,
}

/// The query of the redirect: a code, or a refusal.
type Outcome = Result<String, LoginError>;

impl Loopback {
    /// Listens on 127.0.0.1 only.
    pub(super) async fn listen() -> Result<Self, LoginError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(LoginError::Listen)?;
        let address = listener.local_addr().map_err(LoginError::Listen)?;
        Ok(Self { listener, redirect_uri: format!("http://{address}{PATH}") })
    }

    /// The code of the first redirect that answers ours; others are told that they are not.
    pub(super) async fn code(self, expected: &Expected) -> Outcome {
        let (send, mut outcomes) = mpsc::channel(1);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                    let (stream, _) = accepted.map_err(LoginError::Listen)?;
                    connections.spawn(connection(stream, expected.clone(), send.clone()));
                }
                _ = connections.join_next(), if !connections.is_empty() => {}
                Some(outcome) = outcomes.recv() => return outcome,
            }
        }
    }
}

async fn connection(mut stream: TcpStream, expected: Expected, outcomes: mpsc::Sender<Outcome>) {
    let served = async {
        let target = request_target(&mut stream).await?;
        let outcome = read(&target, &expected);
        let (status, words) = match &outcome {
            Some(Ok(_)) => ("200 OK", "You are logged in. You can close this page."),
            Some(Err(_)) => ("200 OK", "You are not logged in. The terminal says why."),
            None => ("404 Not Found", "This is not the answer that headgate is waiting for."),
        };
        let body = format!("<!doctype html><meta charset=utf-8><title>headgate</title><p>{words}</p>");
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: \
             no-store\r\nreferrer-policy: no-referrer\r\nconnection: close\r\n\r\n",
            body.len()
        );
        // Whether the page is seen changes nothing.
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        let _ = stream.shutdown().await;
        outcome
    };
    if let Ok(Some(outcome)) = tokio::time::timeout(REQUEST_TIMEOUT, served).await {
        // The first one counts; nobody waits for another.
        let _ = outcomes.send(outcome).await;
    }
}

/// The second word of the request line.
async fn request_target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > MAX_REQUEST || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8(head).ok()?;
    let target = text.lines().next()?.strip_prefix("GET ")?.split(' ').next()?;
    Some(target.to_owned())
}

/// What a redirect says; nothing if it does not answer ours.
fn read(target: &str, expected: &Expected) -> Option<Outcome> {
    let (path, query) = target.split_once('?')?;
    if path != PATH {
        return None;
    }
    let parameter = |name: &str| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
    };
    let state = parameter("state")?;
    if !bool::from(state.as_bytes().ct_eq(expected.state.as_bytes())) {
        return None;
    }
    match parameter("iss") {
        Some(issuer) if issuer != expected.issuer => return None,
        None if expected.names_issuer => return None,
        _ => {}
    }
    if let Some(code) = parameter("error") {
        let description = parameter("error_description").map(|text| printable(&text));
        return Some(Err(LoginError::Refused { code: printable(&code), description }));
    }
    Some(parameter("code").ok_or(LoginError::Answer("the redirect has no code")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        Expected { state: "s".to_owned(), issuer: "https://id".to_owned(), names_issuer: true }
    }

    fn code(target: &str) -> Option<String> {
        read(target, &expected()).and_then(Result::ok)
    }

    #[test]
    fn only_an_answer_to_our_question_from_our_provider_has_the_code() {
        assert_eq!(code("/callback?code=a%2Fb&state=s&iss=https%3A%2F%2Fid").as_deref(), Some("a/b"));
        for other in [
            "/callback?code=c&state=t&iss=https%3A%2F%2Fid",
            "/callback?code=c&iss=https%3A%2F%2Fid",
            "/callback?code=c&state=s&iss=https%3A%2F%2Fevil",
            "/callback?code=c&state=s",
            "/other?code=c&state=s&iss=https%3A%2F%2Fid",
            "/callback",
        ] {
            assert!(read(other, &expected()).is_none(), "{other}");
        }
    }

    #[test]
    fn a_refusal_is_told_without_control_characters() {
        let target = "/callback?error=access_denied&error_description=no%1b%5b31m&state=s&iss=https%3A%2F%2Fid";
        let error = read(target, &expected()).unwrap().unwrap_err().to_string();
        assert_eq!(error, "the provider refused: access_denied (no[31m)");
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_does_not_hold_up_the_answer() {
        let loopback = Loopback::listen().await.unwrap();
        let address = loopback.listener.local_addr().unwrap();
        let _silent = TcpStream::connect(address).await.unwrap();
        let browser = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /callback?code=c&state=s&iss=https%3A%2F%2Fid HTTP/1.1\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let expected = expected();
        let (code, answer) = tokio::join!(loopback.code(&expected), browser);
        assert_eq!(code.unwrap(), "c");
        assert!(answer.contains("You are logged in"), "{answer}");
    }
}
