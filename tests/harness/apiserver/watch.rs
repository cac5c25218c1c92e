//! Watches: what changed since a resource version, and what changes from now on.
//!
//! Owns the events of one watch. Must never end one without being told to: tests decide when a watch breaks.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, header};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Shared;
use super::answer::{self, Answer};
use super::request::Call;
use super::store::Change;

/// What interrupts watches, beside changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interruptions {
    /// How often every watch was told that its resource version is too old.
    pub expired: u64,
    /// How often every watch got a bookmark.
    pub bookmarks: u64,
    /// How often every watch was closed without a word.
    pub closed: u64,
    /// Newest resource version.
    pub revision: u64,
}

/// One watch.
struct Watch {
    shared: Arc<Shared>,
    call: Call,
    seen: u64,
    signal: watch::Receiver<Interruptions>,
    known: Interruptions,
    pending: VecDeque<Value>,
    ended: bool,
}

/// Begins a watch.
pub fn begin(shared: Arc<Shared>, call: Call) -> Result<Response<Body>, String> {
    let mut signal = shared.signal.subscribe();
    let known = *signal.borrow_and_update();
    let mut watch = Watch { shared, call, seen: 0, signal, known, pending: VecDeque::new(), ended: false };
    watch.start()?;
    let events = stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(format!("{event}\n"))), watch))
    });
    let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
    response.body(Body::from_stream(events)).map_err(|error| error.to_string())
}

impl Watch {
    fn start(&mut self) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        let store = shared.store();
        let asked = self.call.parameter("resourceVersion");
        let initial = self.call.parameter("sendInitialEvents") == "true";
        if initial || asked.is_empty() || asked == "0" {
            self.seen = store.revision;
            let there: Vec<Value> =
                store.list(self.call.kind, &self.call.namespace).map(|(_, object)| object).collect();
            for object in there.into_iter().filter(|object| self.call.selection.matches(object)).collect::<Vec<_>>() {
                self.push("ADDED", object);
            }
            if initial {
                self.bookmark(json!({"k8s.io/initial-events-end": "true"}));
            }
            return Ok(());
        }
        self.seen = asked.parse().map_err(|_| format!("the resource version {asked} is not a number"))?;
        if self.seen < store.oldest {
            self.expire();
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.look();
            if self.pending.is_empty() && !self.ended {
                self.signal.changed().await.ok()?;
            }
        }
    }

    fn look(&mut self) {
        let now = *self.signal.borrow_and_update();
        if now.closed != self.known.closed {
            self.ended = true;
            return;
        }
        if now.expired != self.known.expired {
            return self.expire();
        }
        let shared = Arc::clone(&self.shared);
        let store = shared.store();
        let new = store.history.iter().rev().take_while(|change| change.revision > self.seen).count();
        for change in &store.history[store.history.len() - new..] {
            self.tell(change);
            self.seen = change.revision;
        }
        if now.bookmarks != self.known.bookmarks {
            self.seen = store.revision;
            self.bookmark(json!({}));
        }
        self.known = now;
    }

    /// What a change means to somebody who sees only what is selected.
    fn tell(&mut self, change: &Change) {
        let place = &self.call.namespace;
        if change.key.kind != self.call.kind.name || !(place.is_empty() || *place == change.key.namespace) {
            return;
        }
        let visible = |object: &Option<Value>| object.clone().filter(|object| self.call.selection.matches(object));
        let event = match (visible(&change.before), visible(&change.after)) {
            (None, Some(object)) => ("ADDED", object),
            (Some(_), Some(object)) => ("MODIFIED", object),
            (Some(mut object), None) => {
                object["metadata"]["resourceVersion"] = change.revision.to_string().into();
                ("DELETED", object)
            }
            (None, None) => return,
        };
        self.push(event.0, event.1);
    }

    fn push(&mut self, kind: &str, object: Value) {
        let object = answer::shown(object, self.call.metadata_only);
        self.pending.push_back(json!({"type": kind, "object": object}));
    }

    fn bookmark(&mut self, annotations: Value) {
        if self.call.parameter("allowWatchBookmarks") != "true" {
            return;
        }
        let mut object = json!({
            "kind": self.call.kind.name,
            "apiVersion": self.call.kind.api_version(),
            "metadata": {"resourceVersion": self.seen.to_string()},
        });
        if annotations != json!({}) {
            object["metadata"]["annotations"] = annotations;
        }
        self.push("BOOKMARK", object);
    }

    fn expire(&mut self) {
        self.pending.push_back(json!({"type": "ERROR", "object": Answer::gone().body}));
        self.ended = true;
    }
}
