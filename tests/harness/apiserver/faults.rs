//! What goes wrong on purpose.
//!
//! Owns the rules and their counting. Must never fail anything that no rule names.

use super::answer::{self, Answer};
use super::request::{Call, Verb};

/// How a request goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// 409: somebody else was faster.
    Conflict,
    /// 410: what the client knows is too old.
    Gone,
    /// 429 with `Retry-After` in seconds.
    TooManyRequests(u32),
    /// 500.
    InternalError,
    /// 503, as while a server starts.
    Unavailable,
    /// 403 with a sentence, as quotas, admission and missing roles answer.
    Forbidden(String),
    /// No answer ever.
    Hang,
}

/// Which requests go wrong, and how.
#[derive(Debug, Clone)]
pub struct Fault {
    verb: Option<Verb>,
    resource: String,
    name: Option<String>,
    skip: usize,
    times: usize,
    failure: Failure,
}

impl Fault {
    /// Every request with this verb about this resource (`secrets`, `streamendpoints/status`).
    pub fn on(verb: Verb, resource: &str, failure: Failure) -> Self {
        Self { verb: Some(verb), resource: resource.to_owned(), name: None, skip: 0, times: usize::MAX, failure }
    }

    /// Every request, whatever it is about.
    pub fn on_everything(failure: Failure) -> Self {
        Self { verb: None, resource: String::new(), name: None, skip: 0, times: usize::MAX, failure }
    }

    /// Only requests about the object with this name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Only the n-th of them, counted from 1.
    #[must_use]
    pub fn only_the(self, nth: usize) -> Self {
        Self { skip: nth.saturating_sub(1), times: 1, ..self }
    }

    fn concerns(&self, call: &Call) -> bool {
        self.verb.is_none_or(|verb| verb == call.verb)
            && (self.resource.is_empty() || self.resource == call.resource())
            && self.name.as_ref().is_none_or(|name| *name == named(call))
    }
}

/// The name that a call is about, which a creation has in its body only.
pub fn named(call: &Call) -> String {
    let in_body = || call.body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if call.name.is_empty() { in_body() } else { call.name.clone() }
}

/// What happens to a call, by the first rule that concerns it.
pub fn next(faults: &mut Vec<Fault>, call: &Call) -> Option<Failure> {
    let index = faults.iter().position(|fault| fault.concerns(call))?;
    let fault = &mut faults[index];
    if fault.skip > 0 {
        fault.skip -= 1;
        return None;
    }
    fault.times -= 1;
    let failure = fault.failure.clone();
    if fault.times == 0 {
        faults.remove(index);
    }
    Some(failure)
}

/// The answer of a failure; none for one that never answers.
pub fn answer(failure: &Failure, call: &Call) -> Option<Answer> {
    let (kind, name) = (call.kind, named(call));
    Some(match failure {
        Failure::Conflict => Answer::conflict(kind, &name, "the object has been modified"),
        Failure::Gone => Answer::gone(),
        Failure::TooManyRequests(seconds) => Answer {
            retry_after: Some(*seconds),
            ..Answer::failure(429, "TooManyRequests", "the server has received too many requests")
        },
        Failure::InternalError => Answer::failure(500, "InternalError", "Internal error occurred: the storage is gone"),
        Failure::Unavailable => Answer::failure(503, "ServiceUnavailable", "apiserver not ready"),
        Failure::Forbidden(why) => {
            Answer::failure(403, "Forbidden", format!("{} \"{name}\" is forbidden: {why}", answer::qualified(kind)))
        }
        Failure::Hang => return None,
    })
}
