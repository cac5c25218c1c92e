//! Logging in on another device (RFC 8628): a code to type there, and asking until somebody did.

use super::store::{Login, Request};
use super::token_endpoint::{self, printable, refusal};
use super::{Http, LoginError, Provider};
use jiff::Timestamp;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// Time between two questions where the provider names none (section 3.5).
const USUAL_INTERVAL: u64 = 5;
/// How much longer after each `slow_down`.
const SLOWER: Duration = Duration::from_secs(5);
/// Longest time between two questions.
const LONGEST_INTERVAL: Duration = Duration::from_mins(1);

/// What the provider answers first. `device_code` is secret.
#[derive(Deserialize)]
struct Begun {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: u64,
    interval: Option<u64>,
}

/// Logs in on another device; `tell` is given the address and the code for people.
pub(crate) async fn device(
    http: &Http,
    provider: &Provider,
    request: Request,
    patience: Duration,
    tell: impl FnOnce(&str, &str),
) -> Result<Login, LoginError> {
    let endpoint = provider.device_authorization_endpoint.as_deref().ok_or_else(|| LoginError::Provider {
        issuer: provider.issuer.clone(),
        cause: "it does not offer the device flow: log in without --device".to_owned(),
    })?;
    let asked = [request.target(), vec![("client_id", &request.client_id), ("scope", &request.scope)]].concat();
    let answer = http.post(endpoint, &asked).await?;
    if !answer.status.is_success() {
        return Err(refusal(&answer));
    }
    let begun: Begun = serde_json::from_value(answer.json).map_err(|_| LoginError::Answer("it has no device code"))?;
    let address = begun.verification_uri_complete.as_deref().unwrap_or(&begun.verification_uri);
    tell(&printable(address), &printable(&begun.user_code));
    let patience = patience.min(Duration::from_secs(begun.expires_in));
    wait(http, provider, request, &begun, patience).await
}

async fn wait(
    http: &Http,
    provider: &Provider,
    request: Request,
    begun: &Begun,
    patience: Duration,
) -> Result<Login, LoginError> {
    let end = Instant::now() + patience;
    let mut interval = Duration::from_secs(begun.interval.unwrap_or(USUAL_INTERVAL)).min(LONGEST_INTERVAL);
    let grant =
        [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", begun.device_code.as_str())];
    loop {
        if Instant::now() + interval > end {
            return Err(LoginError::TimedOut(patience.as_secs()));
        }
        tokio::time::sleep(interval).await;
        match token_endpoint::ask(http, provider, &request, &grant).await {
            Ok(tokens) => return tokens.into_login(request, None, Timestamp::now()),
            Err(LoginError::Refused { code, .. }) if code == "authorization_pending" => {}
            Err(LoginError::Refused { code, .. }) if code == "slow_down" => {
                interval = (interval + SLOWER).min(LONGEST_INTERVAL);
            }
            // Section 3.5: a connection that times out is a reason to ask less often, not to give up.
            Err(LoginError::Http(_)) => interval = (interval * 2).min(LONGEST_INTERVAL),
            Err(error) => return Err(error),
        }
    }
}
