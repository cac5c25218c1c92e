//! What a check found, before it is a condition.
//!
//! Owns the form of messages: sentences, with the remedy of the reason at the end, within what a condition may hold.

use headgate_crds::reasons::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Longest message of a condition that we write, in characters. The API allows 32768.
pub(super) const MAX_MESSAGE_LENGTH: usize = 2048;

/// Between our sentence and a pod's.
const SAYS: &str = " A gateway pod says: ";
/// Longest part of a pod's words that is kept, in characters.
const MAX_DETAIL_LENGTH: usize = 512;

/// Status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    Unknown,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) truth: Truth,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Truth {
    /// The word of the API.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Finding {
    /// All is well, or an abnormal condition holds.
    pub(super) fn yes(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Truth::True, reason, message.into())
    }

    /// Something is wrong; the remedy of the reason is added.
    pub(super) fn no(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Truth::False, reason, with_remedy(&message.into(), reason))
    }

    /// Something is wrong, and the message says already what to do.
    pub(super) fn no_as_told(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Truth::False, reason, sentence(&message.into()))
    }

    /// Nobody knows yet.
    pub(super) fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Truth::Unknown, reason, with_remedy(&message.into(), reason))
    }

    /// Adds the words of a gateway pod. They differ from try to try, which must not change a status that is otherwise the
    /// same: words of the condition as it was stay.
    pub(super) fn said_by_a_pod(mut self, detail: Option<&str>, old: Option<&Condition>) -> Self {
        let Some(detail) = detail.filter(|detail| !detail.is_empty()) else { return self };
        self.message.push_str(SAYS);
        match old.filter(|old| old.reason == self.reason.as_str() && old.message.starts_with(&self.message)) {
            Some(old) => self.message.clone_from(&old.message),
            None => self.message.push_str(&one_line(detail)),
        }
        self
    }

    fn new(truth: Truth, reason: Reason, message: String) -> Self {
        Self { truth, reason, message: shorten(message, MAX_MESSAGE_LENGTH) }
    }
}

fn one_line(detail: &str) -> String {
    let line: String = detail.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    sentence(&shorten(line, MAX_DETAIL_LENGTH))
}

/// A sentence and what to do about it.
fn with_remedy(message: &str, reason: Reason) -> String {
    format!("{} {}", sentence(message), reason.remedy())
}

/// The text with a full stop.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// The text, cut where it is too long.
pub(super) fn shorten(text: String, characters: usize) -> String {
    match text.char_indices().nth(characters.saturating_sub(1)) {
        Some((end, _)) if text.chars().count() > characters => format!("{}…", &text[..end]),
        _ => text,
    }
}

/// Errors begin in lower case, sentences do not.
pub(super) fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
