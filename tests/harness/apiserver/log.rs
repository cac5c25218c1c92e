//! What was asked of the server.
//!
//! Owns the record of every request. Must never judge it.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::faults::named;
use super::request::{Call, Verb};

/// One request and what became of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// What was asked.
    pub verb: Verb,
    /// Group of the kind; empty for the core group.
    pub group: &'static str,
    /// Resource in the words of RBAC: `streamendpoints/status`.
    pub resource: String,
    /// Namespace; empty for all.
    pub namespace: String,
    /// Name; empty for a collection.
    pub name: String,
    /// HTTP status of the answer; 0 if there was none.
    pub code: u16,
    /// What was sent.
    pub body: Value,
    /// Whether it made an object that was not there, which an apply may do.
    pub creates: bool,
}

impl Request {
    /// What a call was, before it was answered.
    pub fn of(call: &Call) -> Self {
        Self {
            verb: call.verb,
            group: call.kind.group,
            resource: call.resource(),
            namespace: call.namespace.clone(),
            name: named(call),
            code: 0,
            body: call.body.clone(),
            creates: call.verb == Verb::Create,
        }
    }

    /// Groups, resources and verbs, as roles grant them.
    pub fn rights(&self) -> BTreeSet<Right> {
        let right = |verb: Verb| (self.group.to_owned(), self.resource.clone(), verb.as_str().to_owned());
        let also = self.creates.then(|| right(Verb::Create));
        also.into_iter().chain([right(self.verb)]).collect()
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}/{} -> {}", self.verb, self.resource, self.namespace, self.name, self.code)
    }
}

/// Group, resource and verb.
pub type Right = (String, String, String);

/// The requests of a while.
#[derive(Debug, Clone, Default)]
pub struct Log(pub Vec<Request>);

impl Log {
    /// Those that change something; events are not state.
    pub fn writes(&self) -> Vec<&Request> {
        self.0.iter().filter(|request| request.verb.writes() && request.resource != "events").collect()
    }

    /// Those with this verb about this resource.
    pub fn about(&self, verb: Verb, resource: &str) -> Vec<&Request> {
        self.0.iter().filter(|request| request.verb == verb && request.resource == resource).collect()
    }

    /// Every right that was needed.
    pub fn rights(&self) -> BTreeSet<Right> {
        self.0.iter().flat_map(Request::rights).collect()
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|request| writeln!(f, "{request}"))
    }
}
