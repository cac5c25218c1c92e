//! Whether a gateway runs on this machine, and whether it has an app. It sends no credential and opens no stream.

use headgate_gateway::rejection::RejectionKind;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest time for the whole question.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Largest answer that is read, in bytes: a refusal is much smaller.
const MAX_ANSWER: u64 = 16 * 1024;

/// What answers at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    /// A gateway that has the app.
    HasApp,
    /// A gateway with other apps.
    HasOthers,
    /// No gateway.
    Nothing,
}

/// Asks the gateway at `address` (host:port) for the stream at `path`, without the upgrade that would open it.
pub(crate) async fn ask(address: &str, path: &str) -> Local {
    match tokio::time::timeout(TIMEOUT, answer(address, path)).await {
        Ok(Ok(answer)) => judge(&answer),
        _ => Local::Nothing,
    }
}

/// The apps of the gateway whose admin port is at `address`; empty if nothing there says.
pub(crate) async fn apps(address: &str) -> Vec<String> {
    let answer = tokio::time::timeout(TIMEOUT, answer(address, "/status")).await;
    answer.ok().and_then(Result::ok).map(|answer| listed(&answer)).unwrap_or_default()
}

async fn answer(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let question = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn json(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let json = body.find('{').zip(body.rfind('}')).and_then(|(start, end)| body.get(start..=end));
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

fn listed(answer: &str) -> Vec<String> {
    let status = json(answer);
    let streams = status["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    streams.iter().filter_map(|stream| stream["app"].as_str()).map(str::to_owned).collect()
}

/// Only a gateway refuses in its own words.
fn judge(answer: &str) -> Local {
    let refusal = json(answer);
    let word = refusal["error"].as_str().unwrap_or_default();
    match RejectionKind::ALL.into_iter().find(|kind| kind.word() == word) {
        Some(RejectionKind::NotFound) => Local::HasOthers,
        Some(_) => Local::HasApp,
        None => Local::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(word: &str) -> String {
        format!("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 9\r\n\r\n{{\"error\":\"{word}\",\"message\":\"m\"}}")
    }

    #[test]
    fn a_gateway_is_known_by_how_it_refuses() {
        assert_eq!(judge(&refusal("UpgradeRequired")), Local::HasApp);
        assert_eq!(judge(&refusal("NotFound")), Local::HasOthers);
        assert_eq!(judge(&refusal("not_found")), Local::Nothing, "another server");
        assert_eq!(judge("HTTP/1.1 404 Not Found\r\n\r\n<html>"), Local::Nothing);
        assert_eq!(judge(""), Local::Nothing);
    }

    #[test]
    fn the_apps_of_a_gateway_are_those_of_its_status() {
        let answer = "HTTP/1.1 200 OK\r\n\r\n{\"streams\":[{\"app\":\"orders\"},{\"app\":\"sensors\"}]}";
        assert_eq!(listed(answer), ["orders", "sensors"]);
        assert_eq!(listed("HTTP/1.1 404 Not Found\r\n\r\n<html>"), [""; 0]);
    }

    #[tokio::test]
    async fn a_port_without_a_server_is_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        assert_eq!(ask(&address, "/orders").await, Local::Nothing);
        assert_eq!(apps(&address).await, [""; 0]);
    }
}
