//! An API server for Leases, in process: optimistic concurrency as in the real one, and faults on demand.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, middleware};
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does with a request instead of answering it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It answers with this status, and does nothing.
    Status(u16),
    /// It does what it is asked, and answers after this time.
    Late(Duration),
    /// It does nothing and never answers.
    Silent,
}

#[derive(Debug, Default)]
struct Contents {
    lease: Option<Lease>,
    version: u64,
    faults: VecDeque<Fault>,
    /// After the faults above, this one for every request.
    broken: Option<Fault>,
    requests: Vec<String>,
}

/// The server. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ApiServer(Arc<Mutex<Contents>>);

impl ApiServer {
    /// Serves the Leases of the namespace `headgate`.
    pub(crate) fn router(&self) -> Router {
        const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/headgate/leases";
        Router::new()
            .route(LEASES, post(create))
            .route(&format!("{LEASES}/{{name}}"), get(read).put(replace))
            .layer(middleware::from_fn_with_state(self.clone(), misbehave))
            .with_state(self.clone())
    }

    pub(super) fn client(&self) -> kube::Client {
        kube::Client::new(self.router(), "headgate")
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        self.0.lock().unwrap().lease.clone()
    }

    pub(crate) fn holder(&self) -> Option<String> {
        self.lease()?.spec?.holder_identity
    }

    /// Somebody else's write.
    pub(super) fn edit(&self, edit: impl FnOnce(&mut Option<Lease>)) {
        let mut contents = self.0.lock().unwrap();
        edit(&mut contents.lease);
        contents.touch();
    }

    /// The next requests fail in these ways, one after the other.
    pub(super) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().faults.extend(faults);
    }

    /// Every request fails from now on, or none.
    pub(super) fn break_down(&self, fault: Option<Fault>) {
        self.0.lock().unwrap().broken = fault;
    }

    /// Methods of the requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.0.lock().unwrap().requests.clone()
    }
}

impl Contents {
    fn touch(&mut self) {
        self.version += 1;
        if let Some(lease) = &mut self.lease {
            lease.metadata.resource_version = Some(self.version.to_string());
        }
    }
}

async fn misbehave(
    State(server): State<ApiServer>,
    request: axum::extract::Request,
    next: middleware::Next,
) -> Response {
    let fault = {
        let mut contents = server.0.lock().unwrap();
        contents.requests.push(request.method().to_string());
        contents.faults.pop_front().or(contents.broken)
    };
    match fault {
        None => next.run(request).await,
        Some(Fault::Status(code)) => refusal(code),
        Some(Fault::Late(by)) => {
            let response = next.run(request).await;
            tokio::time::sleep(by).await;
            response
        }
        Some(Fault::Silent) => std::future::pending().await,
    }
}

fn refusal(code: u16) -> Response {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "refused",
    });
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}

async fn read(State(server): State<ApiServer>, Path(_): Path<String>) -> Response {
    server.lease().map_or_else(|| refusal(404), |lease| Json(lease).into_response())
}

async fn create(State(server): State<ApiServer>, Json(lease): Json<Lease>) -> Response {
    let mut contents = server.0.lock().unwrap();
    if contents.lease.is_some() {
        return refusal(409);
    }
    contents.lease = Some(lease);
    contents.touch();
    (StatusCode::CREATED, Json(contents.lease.clone())).into_response()
}

async fn replace(State(server): State<ApiServer>, Path(_): Path<String>, Json(lease): Json<Lease>) -> Response {
    let mut contents = server.0.lock().unwrap();
    let Some(current) = &contents.lease else { return refusal(404) };
    if current.metadata.resource_version != lease.metadata.resource_version {
        return refusal(409);
    }
    contents.lease = Some(lease);
    contents.touch();
    Json(contents.lease.clone()).into_response()
}
