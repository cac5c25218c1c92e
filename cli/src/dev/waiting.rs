//! Waiting until everything is ready, and saying what is missing where that takes long.
//!
//! What is missing is asked of the gateway itself; nothing here guesses.

use crate::login::Http;
use crate::output::notice;
use headgate_process::Readiness;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// How long starting may take before it is explained, and before it is looked at again.
const PATIENCE: Duration = Duration::from_secs(3);

/// Waits until every part is ready; whenever other parts are missing than those that were told, tells them.
/// `admin` answers for the gateway, `kafka` are the bootstrap servers.
pub(crate) async fn until_ready(readiness: &Readiness, admin: SocketAddr, kafka: &str) {
    let mut ready = std::pin::pin!(readiness.ready());
    let mut told = Vec::new();
    while tokio::time::timeout(PATIENCE, ready.as_mut()).await.is_err() {
        let missing = missing(&readiness.missing(), &status(admin).await, kafka);
        if missing != told {
            missing.iter().for_each(notice);
            told = missing;
        }
    }
}

/// What the gateway says of itself; null if it does not.
async fn status(admin: SocketAddr) -> Value {
    let Ok(http) = Http::new(None) else { return Value::Null };
    http.get(&format!("http://{admin}/status")).await.map(|answer| answer.json).unwrap_or_default()
}

/// A sentence for everything that is missing.
fn missing(latches: &[&str], status: &Value, kafka: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    if latches.contains(&"kafka") {
        sentences.push(format!("still waiting for Kafka at {kafka}"));
    }
    if latches.contains(&"oidc") {
        let streams = status["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
        let unusable = streams.iter().filter(|stream| stream["oidc"]["usable"] == false);
        let named = sentences.len();
        sentences.extend(unusable.map(provider));
        if sentences.len() == named {
            sentences.push("still waiting for an identity provider".to_owned());
        }
    }
    sentences
}

fn provider(stream: &Value) -> String {
    let (app, oidc) = (stream["app"].as_str().unwrap_or_default(), &stream["oidc"]);
    let issuer = oidc["issuer"].as_str().unwrap_or_default();
    let problem = oidc["problem"].as_str().map_or_else(|| "no answer yet".to_owned(), str::to_owned);
    format!(
        "{app}: still waiting for the identity provider {issuer}: {problem}; or run it with --oidc for a test issuer in its \
         place"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_missing_is_named_and_nothing_else() {
        let oidc = json!({ "issuer": "https://id", "usable": false, "problem": "no route" });
        let status = json!({ "streams": [{ "app": "a", "oidc": oidc }, { "app": "b", "oidc": null }] });
        assert_eq!(missing(&["kafka"], &status, "k:1"), ["still waiting for Kafka at k:1"]);
        let told = missing(&["oidc"], &status, "k:1");
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("a: still waiting for the identity provider https://id: no route;"), "{told:?}");
        assert_eq!(missing(&["oidc"], &Value::Null, "k:1"), ["still waiting for an identity provider"]);
        assert_eq!(missing(&["not draining"], &status, "k:1"), [""; 0]);
    }
}
