//! An API server for the unit tests: it answers as it was told and remembers what was asked.

use super::Cluster;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use kube::Client;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Largest request that is read.
const MAX_BODY: usize = 1024 * 1024;

/// One request that was sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    /// Method and path with query.
    pub(crate) line: String,
    /// JSON body; `null` without one.
    pub(crate) body: Value,
}

type Answers = HashMap<String, Vec<(u16, Value)>>;

#[derive(Default)]
struct Record {
    answers: Answers,
    sent: Vec<Sent>,
}

/// An API server in the process of the test.
#[derive(Clone, Default)]
pub(crate) struct ApiServer(Arc<Mutex<Record>>);

impl ApiServer {
    /// One that knows nothing: everything is answered with 500.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A cluster whose client talks to this server.
    pub(crate) fn cluster(&self, namespace: &str) -> Cluster {
        let router = Router::new().fallback(answer).with_state(self.clone());
        Cluster::new(Client::new(router, namespace), namespace.to_owned())
    }

    /// Answers `method path` with an object; the last answer stays, earlier ones are given once each.
    pub(crate) fn then(&self, method: &str, path: &str, object: Value) {
        let mut record = self.0.lock().unwrap();
        record.answers.entry(format!("{method} {path}")).or_default().push((200, object));
    }

    /// Answers `method path` with a list, instead of whatever was said before.
    pub(crate) fn list(&self, method: &str, path: &str, items: impl IntoIterator<Item = Value>) {
        let items: Vec<Value> = items.into_iter().collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items });
        self.only(method, path, 200, list);
    }

    /// Answers `method path` with 404.
    pub(crate) fn missing(&self, method: &str, path: &str) {
        self.refuse(method, path, 404, "not found");
    }

    /// Answers `method path` with a failure.
    pub(crate) fn refuse(&self, method: &str, path: &str, code: u16, message: &str) {
        let status =
            json!({ "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": message });
        self.only(method, path, code, status);
    }

    /// Answers `method path` with exactly this.
    pub(crate) fn only(&self, method: &str, path: &str, code: u16, body: Value) {
        self.0.lock().unwrap().answers.insert(format!("{method} {path}"), vec![(code, body)]);
    }

    /// Everything that was sent but reads.
    pub(crate) fn writes(&self) -> Vec<Sent> {
        self.0.lock().unwrap().sent.iter().filter(|sent| !sent.line.starts_with("GET ")).cloned().collect()
    }
}

async fn answer(State(server): State<ApiServer>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let key = format!("{} {}", parts.method, parts.uri.path());
    let mut record = server.0.lock().unwrap();
    record.sent.push(Sent { line: format!("{key}{query}"), body });
    let (code, body) = match record.answers.get_mut(&key) {
        Some(answers) if answers.len() > 1 => answers.remove(0),
        Some(answers) => answers.first().cloned().unwrap(),
        None => (
            500,
            json!({ "kind": "Status", "status": "Failure", "code": 500, "message": format!("unexpected: {key}") }),
        ),
    };
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

/// A StreamEndpoint with the implied key, at generation 1, not observed yet.
pub(crate) fn endpoint(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "StreamEndpoint",
        "metadata": { "name": name, "namespace": namespace, "uid": "u-1", "generation": 1, "resourceVersion": "7" },
        "spec": { "app": name, "topic": format!("shop.{name}"), "auth": { "mode": "ApiKey" }, "publicAccess": {} },
    })
}
