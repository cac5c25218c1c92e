//! The admin port: probes, metrics and status, for the cluster and never for clients.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the list of these paths |
//! | `/livez` | 200 while the process runs |
//! | `/readyz` | 200, or 503 with the names of what is missing |
//! | `/metrics` | OpenMetrics text 1.0 |
//! | `/status` | JSON of the caller's making |
//! | `/liveness`, `/readiness` | older names, `{"success":true}` or 503 `{"success":false}` |
//!
//! Nothing here changes the process, and nothing secret may be put into a status.

use crate::readiness::Readiness;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Content type of OpenMetrics 1.0, which Prometheus understands.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PATHS: [&str; 6] = ["/livez", "/readyz", "/metrics", "/status", "/liveness", "/readiness"];

/// What the admin port shows.
#[derive(Clone)]
pub struct Admin {
    readiness: Readiness,
    registry: Arc<Registry>,
    status: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl Admin {
    /// Shows this readiness, these metrics, and whatever `status` says at the moment of asking.
    pub fn new(
        readiness: Readiness,
        registry: Arc<Registry>,
        status: impl Fn() -> Value + Send + Sync + 'static,
    ) -> Self {
        Self { readiness, registry, status: Arc::new(status) }
    }

    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(async || Json(json!({ "endpoints": PATHS }))))
            .route("/livez", get(async || Json(json!({ "live": true }))))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/status", get(async |State(admin): State<Self>| Json((admin.status)())))
            .route("/liveness", get(async || Json(json!({ "success": true }))))
            .route("/readiness", get(readiness))
            .with_state(self)
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("readiness", &self.readiness).finish_non_exhaustive()
    }
}

/// Serves a router until the shutdown, then ends the requests that are under way.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let missing = admin.readiness.missing();
    (status_of(missing.is_empty()), Json(json!({ "ready": missing.is_empty(), "missing": missing })))
}

async fn readiness(State(admin): State<Admin>) -> impl IntoResponse {
    let ready = admin.readiness.is_ready();
    (status_of(ready), Json(json!({ "success": ready })))
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &admin.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn status_of(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt as _;

    async fn ask(readiness: &Readiness, path: &str) -> (u16, String) {
        let mut registry = Registry::with_prefix("headgate");
        crate::build_info::register(&mut registry);
        let admin = Admin::new(readiness.clone(), Arc::new(registry), || json!({ "kafka": "up" }));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = admin.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_names_what_is_missing_under_its_new_and_its_older_path() {
        let readiness = Readiness::new();
        let latch = readiness.latch("kafka");
        assert_eq!(ask(&readiness, "/readyz").await, (503, r#"{"missing":["kafka"],"ready":false}"#.to_owned()));
        assert_eq!(ask(&readiness, "/readiness").await, (503, r#"{"success":false}"#.to_owned()));
        latch.release();
        assert_eq!(ask(&readiness, "/readyz").await, (200, r#"{"missing":[],"ready":true}"#.to_owned()));
        assert_eq!(ask(&readiness, "/readiness").await, (200, r#"{"success":true}"#.to_owned()));
    }

    #[tokio::test]
    async fn every_listed_path_answers_while_the_process_is_ready() {
        let readiness = Readiness::new();
        for path in PATHS {
            assert_eq!(ask(&readiness, path).await.0, 200, "{path}");
        }
        assert!(ask(&readiness, "/").await.1.contains("/metrics"));
    }

    #[tokio::test]
    async fn a_process_that_is_not_ready_is_alive_all_the_same() {
        let readiness = Readiness::new();
        let _latch = readiness.latch("kafka");
        assert_eq!(ask(&readiness, "/livez").await.0, 200);
        assert_eq!(ask(&readiness, "/liveness").await, (200, r#"{"success":true}"#.to_owned()));
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_text() {
        let (_, text) = ask(&Readiness::new(), "/metrics").await;
        assert!(text.contains("headgate_build_info{version=") && text.ends_with("# EOF\n"), "{text}");
    }

    #[tokio::test]
    async fn the_server_stops_with_the_shutdown() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listener, Router::new(), shutdown.clone()));
        shutdown.cancel();
        server.await.unwrap().unwrap();
    }
}
