//! A Kubernetes API server in this process, for the operator's tests: small, in memory, and strict.
//!
//! It owns what a controller relies on: resource versions, generations, server-side apply with ownership, defaults,
//! status subresources, selectors, pages, watches that break. What no client of ours may do (an unknown path, parameter,
//! field or field manager, a right that the chart does not grant) is remembered as a mistake, and the test that made it
//! fails when the server is dropped. It never runs a controller of its own accord: tests ask for the garbage collector,
//! and `kubelet` for pods.
//!
//! What it leaves out: versions, conversion, admission, quotas, finalizers, strategic merge and JSON patches, protobuf.

pub mod answer;
pub mod apply;
pub mod calls;
pub mod crash;
pub mod defaults;
pub mod discovery;
pub mod documents;
pub mod faults;
pub mod kinds;
pub mod kubelet;
pub mod lists;
pub mod log;
pub mod quantity;
pub mod request;
pub mod select;
pub mod shapes;
pub mod store;
pub mod watch;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request as HttpRequest, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use answer::Answer;
use crash::{Crash, Fate, Moment};
use documents::Documents;
use faults::{Failure, Fault};
use kinds::Kind;
use log::{Log, Request, Right};
use request::{Accepted, Call, NoCall, PatchKind, Verb};
use store::{Entry, Key, Store};
use watch::Interruptions;

/// Largest request body, as in etcd.
const MAX_BODY_BYTES: usize = 1_500_000;
/// Who writes when a test writes.
const TEST: &str = "test";

/// The server. Dropping it checks that nobody made a mistake.
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

/// What requests and tests share.
#[derive(Debug)]
pub struct Shared {
    store: Mutex<Store>,
    signal: tokio::sync::watch::Sender<Interruptions>,
    documents: Mutex<Documents>,
    accepted: Mutex<Accepted>,
    granted: Mutex<Option<BTreeSet<Right>>>,
    faults: Mutex<Vec<Fault>>,
    log: Mutex<Log>,
    mistakes: Mutex<Vec<String>>,
    crash: Crash,
    clock: Mutex<Option<Timestamp>>,
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}

impl ApiServer {
    /// An empty cluster that serves every kind and has the namespace `default`.
    pub fn new() -> Self {
        let shared = Shared {
            store: Mutex::default(),
            signal: tokio::sync::watch::Sender::new(Interruptions::default()),
            documents: Mutex::default(),
            accepted: Mutex::default(),
            granted: Mutex::default(),
            faults: Mutex::default(),
            log: Mutex::default(),
            mistakes: Mutex::default(),
            crash: Crash::default(),
            clock: Mutex::default(),
        };
        let server = Self { shared: Arc::new(shared) };
        server.namespace("default", json!({}));
        server
    }

    /// Another server with the same objects, rules and time, in which nothing has gone wrong yet.
    #[must_use]
    pub fn fork(&self) -> Self {
        let accepted = lock(&self.shared.accepted).clone();
        let shared = Shared {
            store: Mutex::new(self.shared.store().clone()),
            signal: tokio::sync::watch::Sender::new(Interruptions::default()),
            documents: Mutex::new(lock(&self.shared.documents).clone()),
            accepted: Mutex::new(accepted),
            granted: Mutex::new(lock(&self.shared.granted).clone()),
            faults: Mutex::default(),
            log: Mutex::default(),
            mistakes: Mutex::default(),
            crash: Crash::default(),
            clock: Mutex::new(*lock(&self.shared.clock)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A client of this server.
    pub fn client(&self) -> kube::Client {
        let router = Router::new().fallback(handle).with_state(Arc::clone(&self.shared));
        kube::Client::new(router, "default")
    }

    /// A cluster without the APIs of this group.
    pub fn without_group(&self, group: &str) {
        lock(&self.shared.accepted).missing_groups.insert(group.to_owned());
    }

    /// The APIs of this group are installed from now on.
    pub fn with_group(&self, group: &str) {
        lock(&self.shared.accepted).missing_groups.remove(group);
    }

    /// Only these field managers may write.
    pub fn only_managers(&self, managers: &[&str]) {
        lock(&self.shared.accepted).managers = managers.iter().map(|name| (*name).to_owned()).collect();
    }

    /// Only these rights are granted; whoever needs another one makes a mistake.
    pub fn grant(&self, rights: BTreeSet<Right>) {
        *lock(&self.shared.granted) = Some(rights);
    }

    /// From now on it is this time for the server.
    pub fn set_time(&self, now: Timestamp) {
        *lock(&self.shared.clock) = Some(now);
    }

    /// Changes what the server says about the tokens of its ServiceAccounts.
    pub fn documents(&self, change: impl FnOnce(&mut Documents)) {
        change(&mut lock(&self.shared.documents));
    }

    /// Lets requests go wrong.
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// Nothing goes wrong any more. Whether there was something left that would have.
    pub fn no_faults(&self) -> bool {
        !std::mem::take(&mut *lock(&self.shared.faults)).is_empty()
    }

    /// The k-th request from now on, counted from 1, is the last one that this client makes.
    pub fn crash_at(&self, request: usize, moment: Moment) {
        self.shared.crash.arm(request, moment);
    }

    /// Waits until the crash has happened.
    pub async fn crashed(&self) {
        self.shared.crash.happened().await;
    }

    /// Requests are answered again; whether there had been a crash.
    pub fn revive(&self) -> bool {
        self.shared.crash.disarm()
    }

    /// The newest resource version: whatever changes raises it.
    pub fn revision(&self) -> u64 {
        self.shared.store().revision
    }

    /// The requests since the last call of this.
    pub fn take_log(&self) -> Log {
        std::mem::take(&mut *lock(&self.shared.log))
    }

    /// The requests since the last call of [`take_log`](Self::take_log), which stay.
    pub fn log(&self) -> Log {
        lock(&self.shared.log).clone()
    }

    /// Makes a namespace with these labels and the one that every namespace has.
    pub fn namespace(&self, name: &str, labels: Value) {
        let mut labels = labels;
        labels["kubernetes.io/metadata.name"] = name.into();
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        self.put_unchecked(object);
    }

    /// Creates or replaces an object, as `kubectl replace` would, with its status.
    pub fn put(&self, object: Value) -> Result<Value> {
        let kind = kind_of(&object)?;
        shapes::unknown_fields(kind, &object).map_err(anyhow::Error::msg)?;
        let mut complete = object;
        let address = self.shared.store().address();
        defaults::stored(kind, &mut complete, || address);
        let metadata = &complete["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default();
        let old = self.get(kind.name, text("namespace"), text("name"));
        let problems = shapes::invalid(kind, &complete, old.as_ref());
        ensure!(problems.is_empty(), "{} is invalid: {}", kind.name, problems.join(", "));
        Ok(self.put_unchecked(complete))
    }

    /// Stores an object whatever it looks like, as an older server with another schema might have.
    pub fn put_unchecked(&self, object: Value) -> Value {
        let kind = kind_of(&object).unwrap_or(&kinds::KINDS[0]);
        let metadata = &object["metadata"];
        let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
        let key = Key::new(kind, &text("namespace"), &text("name"));
        let now = self.shared.now();
        let mut store = self.shared.store();
        let before = store.objects.get(&key).cloned();
        let mut owners = before.as_ref().map(|entry| entry.owners.clone()).unwrap_or_default();
        let old = before.map_or(json!({}), |entry| entry.object);
        apply::take_over(kind, &mut owners, TEST, &old, &object);
        store.put(kind, &key, Entry { object, owners }, now);
        let stored = store.get(&key).unwrap_or_default();
        drop(store);
        self.shared.notify(|_| {});
        stored
    }

    /// An object, as it is served.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = kinds::by_name(kind)?;
        self.shared.store().get(&Key::new(kind, namespace, name))
    }

    /// The objects of a kind in a namespace, or in all for an empty one.
    pub fn list(&self, kind: &str, namespace: &str) -> Vec<Value> {
        let Some(kind) = kinds::by_name(kind) else { return Vec::new() };
        self.shared.store().list(kind, namespace).map(|(_, object)| object).collect()
    }

    /// Every object.
    pub fn objects(&self) -> Vec<Value> {
        kinds::KINDS.iter().flat_map(|kind| self.list(kind.name, "")).collect()
    }

    /// Changes an object, as somebody with `kubectl edit` would.
    pub fn edit(&self, kind: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) -> Result<Value> {
        let what = || format!("there is no {kind} {namespace}/{name}");
        let mut object = self.get(kind, namespace, name).with_context(what)?;
        change(&mut object);
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        self.put(object)
    }

    /// The fields of an object that a manager owns.
    pub fn owned(&self, kind: &str, namespace: &str, name: &str, manager: &str) -> apply::Owned {
        let Some(kind) = kinds::by_name(kind) else { return apply::Owned::new() };
        let store = self.shared.store();
        let entry = store.objects.get(&Key::new(kind, namespace, name));
        entry.and_then(|entry| entry.owners.get(manager)).cloned().unwrap_or_default()
    }

    /// Removes an object. Whether it was there.
    pub fn remove(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let Some(kind) = kinds::by_name(kind) else { return false };
        let removed = self.shared.store().delete(&Key::new(kind, namespace, name)).is_some();
        self.shared.notify(|_| {});
        removed
    }

    /// What the garbage collector does.
    pub fn collect_garbage(&self) {
        self.shared.store().collect_garbage();
        self.shared.notify(|_| {});
    }

    /// Tells every watch, and every page that is asked for, that it is too late (410).
    pub fn expire_watches(&self) {
        let mut store = self.shared.store();
        store.revision += 1;
        store.oldest = store.revision;
        drop(store);
        self.shared.notify(|signal| signal.expired += 1);
    }

    /// Ends every watch without a word, as a time-out does.
    pub fn close_watches(&self) {
        self.shared.notify(|signal| signal.closed += 1);
    }

    /// Sends a bookmark to every watch that wants it.
    pub fn send_bookmarks(&self) {
        self.shared.notify(|signal| signal.bookmarks += 1);
    }

    /// How many watches are open.
    pub fn watches(&self) -> usize {
        self.shared.signal.receiver_count()
    }

    /// What clients did that they must never do, so far; the test has seen it then.
    pub fn take_mistakes(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.shared.mistakes))
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let mistakes = self.take_mistakes();
        if !std::thread::panicking() {
            assert!(mistakes.is_empty(), "requests that no client of ours may make:\n{}", mistakes.join("\n"));
        }
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    fn now(&self) -> Timestamp {
        lock(&self.clock).unwrap_or_else(Timestamp::now)
    }

    fn notify(&self, change: impl FnOnce(&mut Interruptions)) {
        let revision = self.store().revision;
        self.signal.send_modify(|signal| {
            signal.revision = revision;
            change(signal);
        });
    }

    fn mistake(&self, what: String) -> Response<Body> {
        let answer = Answer::failure(400, "BadRequest", what.clone());
        lock(&self.mistakes).push(what);
        answer.into_response()
    }

    fn log(&self, call: &Call, code: u16) {
        let creates = call.verb == Verb::Create || (call.verb == Verb::Patch && code == 201);
        lock(&self.log).0.push(Request { code, creates, ..Request::of(call) });
    }

    /// An apply that makes an object needs the right to create it, too.
    fn is_granted(&self, call: &Call) -> bool {
        let absent = self.store().get(&Key::new(call.kind, &call.namespace, &call.name)).is_none();
        let applies = matches!(call.patch, Some(PatchKind::Apply { .. }));
        let mut request = Request::of(call);
        request.creates |= applies && absent && !call.status;
        lock(&self.granted).as_ref().is_none_or(|granted| request.rights().is_subset(granted))
    }

    async fn serve(self: Arc<Self>, call: Call) -> Response<Body> {
        let fate = self.crash.fate_of_next();
        if fate == Fate::DiesBefore {
            self.crash.die().await;
        }
        let failure = faults::next(&mut lock(&self.faults), &call);
        if let Some(failure) = failure {
            return self.fail(&failure, &call).await;
        }
        if !self.is_granted(&call) {
            self.log(&call, 403);
            return self.mistake(format!("the chart does not grant {}", Request::of(&call)));
        }
        if call.verb == Verb::Watch {
            self.log(&call, 200);
            let shared = Arc::clone(&self);
            return watch::begin(shared, call).unwrap_or_else(|problem| self.mistake(problem));
        }
        let document = lock(&self.documents).answer(&call);
        let outcome = document.unwrap_or_else(|| calls::execute(&mut self.store(), &call, self.now()));
        let response = match outcome {
            Ok(answer) => {
                self.log(&call, answer.code);
                answer.into_response()
            }
            Err(problem) => {
                self.log(&call, 400);
                self.mistake(format!("{}: {problem}", Request::of(&call)))
            }
        };
        if call.verb.writes() {
            self.notify(|_| {});
        }
        if fate == Fate::DiesAfter {
            self.crash.die().await;
        }
        response
    }

    async fn fail(&self, failure: &Failure, call: &Call) -> Response<Body> {
        let Some(answer) = faults::answer(failure, call) else {
            self.log(call, 0);
            return std::future::pending().await;
        };
        self.log(call, answer.code);
        answer.into_response()
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: HttpRequest<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = match to_bytes(body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(error) => return shared.mistake(format!("{} {}: {error}", parts.method, parts.uri)),
    };
    if let Some(answer) = discovery::answer(&lock(&shared.accepted), &parts) {
        return answer.into_response();
    }
    let call = request::parse(&lock(&shared.accepted), &parts, &body);
    match call {
        Ok(call) => shared.serve(call).await,
        Err(NoCall::NotInstalled) => Answer::failure(404, "NotFound", "404 page not found").into_response(),
        Err(NoCall::Mistake(what)) => shared.mistake(format!("{} {}: {what}", parts.method, parts.uri)),
    }
}

fn kind_of(object: &Value) -> Result<&'static Kind> {
    let name = object["kind"].as_str().context("an object has a kind")?;
    match kinds::by_name(name) {
        Some(kind) if object["apiVersion"] == kind.api_version() => Ok(kind),
        _ => bail!("{} {name} is not known here", object["apiVersion"]),
    }
}

/// A test that fails while it holds a lock must not hide its own failure.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
