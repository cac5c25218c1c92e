//! What a text message of a client means in `headgate.v1`, and what it is answered.
//!
//! Owns the answers, all of bounded length. It must never keep a message, and never let a token in one get into an answer.

use crate::stream::filter;
use headgate_wire::filter::MAX_FILTER_LEAVES;
use headgate_wire::message::ErrorCode;
use headgate_wire::{ClientMessage, CloseReason, Filter, ServerMessage};
use secrecy::SecretString;
use serde::Deserialize as _;
use serde_json::Value;

/// Longest `id` that is repeated in an answer, in bytes.
const MAX_ID_BYTES: usize = 128;
/// Longest explanation of what is wrong with a message, in characters.
const MAX_EXPLANATION: usize = 200;
/// The refresh of an older platform: an object of this one member.
const OLDER_REFRESH: &str = "RefreshAccessToken";

/// What follows from a message.
#[derive(Debug)]
pub(super) enum Reply {
    /// This answer; the stream goes on.
    Send(ServerMessage),
    /// A newer token.
    Renew(SecretString),
    /// The client's own filters are these from now on.
    Filter(Vec<Filter>),
    /// The connection ends.
    Close(CloseReason),
}

/// Reads one text message. What is not JSON ends the connection: such a client does not speak `headgate.v1` at all. What
/// is JSON and makes no sense is answered, so that a newer client can find out what this version lacks.
pub(super) fn read(text: &str) -> Reply {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Reply::Close(CloseReason::ProtocolError) };
    let id = || value.get("id").and_then(Value::as_str).filter(|id| id.len() <= MAX_ID_BYTES).map(str::to_owned);
    let error = |code, message: String| Reply::Send(ServerMessage::Error { id: id(), code, message });
    if let Some(instead) = not_offered(&value) {
        return error(ErrorCode::NotOffered, format!("not offered by this version: {instead}"));
    }
    if let Some(token) = older_token(&value) {
        return Reply::Renew(token);
    }
    match ClientMessage::deserialize(&value) {
        Ok(ClientMessage::Refresh { token }) => Reply::Renew(token.into()),
        Ok(ClientMessage::Ping) => Reply::Send(ServerMessage::Pong),
        Ok(ClientMessage::Filter { filters }) => match checked(filters) {
            Ok(filters) => Reply::Filter(filters),
            Err(explanation) => error(ErrorCode::BadMessage, shortened(&explanation)),
        },
        Ok(_) => error(ErrorCode::NotOffered, "not offered by this version".to_owned()),
        Err(explanation) => error(ErrorCode::BadMessage, shortened(&explanation.to_string())),
    }
}

/// The token in the refresh of an older platform, whose clients speak no subprotocol.
pub(super) fn older_refresh(text: &str) -> Option<SecretString> {
    older_token(&serde_json::from_str(text).ok()?)
}

fn older_token(message: &Value) -> Option<SecretString> {
    message.get(OLDER_REFRESH).and_then(Value::as_str).map(SecretString::from)
}

/// The answer to a token on a connection that was opened without one.
pub(super) fn nothing_to_renew() -> ServerMessage {
    let message = "only a connection that was opened with a token can renew it; an API key ends by its own date";
    ServerMessage::Error { id: None, code: ErrorCode::NotOffered, message: message.to_owned() }
}

/// What to do instead of what the message asks for, judged by its type alone, since its content has no effect.
fn not_offered(message: &Value) -> Option<&'static str> {
    match message.get("type").and_then(Value::as_str) {
        Some("publish") => Some("this stream is read-only; produce to the Kafka topic"),
        Some("ack") => Some("there are no shared groups to acknowledge in; keep your last cursor"),
        _ => None,
    }
}

/// The filters in the form that equal ones share, or a sentence that says why they cannot be used.
fn checked(filters: Vec<Filter>) -> Result<Vec<Filter>, String> {
    let leaves = filters.iter().map(Filter::leaves).sum();
    if leaves > MAX_FILTER_LEAVES || filters.len() > MAX_FILTER_LEAVES {
        return Err(filter::FilterError::TooManyComparisons(filters.len().max(leaves)).to_string());
    }
    filters.iter().try_for_each(filter::validate).map_err(|error| error.to_string())?;
    Ok(filter::canonical(filters))
}

fn shortened(explanation: &str) -> String {
    explanation.chars().take(MAX_EXPLANATION).collect()
}
