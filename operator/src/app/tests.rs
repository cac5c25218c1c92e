//! The whole process against an API server in process, over real sockets: it starts without anything, and ends in order.

use super::*;
use crate::args::{self, Task};
use crate::discovery::tests::{Served, router as discovery, served};
use crate::leader::api_server::ApiServer;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use futures_util::stream::pending;
use headgate_crds::API_VERSION;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::convert::Infallible;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

fn options(line: &str) -> Options {
    let line = format!("headgate-operator --gateway-image gateway:1 --admin 127.0.0.1:0 --namespace headgate {line}");
    match args::from_arguments(line.split_whitespace()).unwrap().task {
        Task::Run(options) => *options,
        Task::CheckWebsocket { .. } => panic!("not a subcommand"),
    }
}

/// Every kind has no objects, and watching it shows none.
async fn nothing(request: Request) -> Response {
    if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
        return Body::from_stream(pending::<Result<Bytes, Infallible>>()).into_response();
    }
    Json(json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": "1" }, "items": [] }))
        .into_response()
}

fn api(apis: &Served, leases: &ApiServer) -> Router {
    Router::new().merge(discovery(Arc::clone(apis))).merge(leases.router()).fallback(nothing)
}

struct Running {
    admin: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), AppError>>,
}

impl Running {
    async fn start(api: Router, line: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
        tokio::spawn(async move { axum::serve(listener, api).await });
        let app = App::with_config(&options(line), config).await.unwrap();
        let (admin, shutdown) = (app.admin_address().unwrap(), CancellationToken::new());
        let task = tokio::spawn(app.run(shutdown.clone()));
        Self { admin, shutdown, task }
    }

    async fn ask(&self, path: &str) -> (u16, String) {
        let stream = TokioIo::new(TcpStream::connect(self.admin).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = hyper::Request::get(path).header("host", "operator").body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn status(&self) -> Value {
        serde_json::from_str(&self.ask("/status").await.1).unwrap()
    }

    /// Asks until the answer is this.
    async fn answers(&self, path: &str, wanted: impl Fn(u16, &str) -> bool) {
        let before = Instant::now();
        loop {
            let (status, body) = self.ask(path).await;
            if wanted(status, &body) {
                return;
            }
            assert!(before.elapsed() < PATIENCE, "{path} still answers {status} {body}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) -> Result<(), AppError> {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn an_operator_waits_for_its_definitions_leads_and_gives_the_lease_back() {
    let (apis, leases) = (served([]), ApiServer::default());
    let running = Running::start(api(&apis, &leases), "--identity operator-1 --watch-namespaces shop").await;
    running.answers("/readyz", |status, body| status == 503 && body.contains("streamendpoints.headgate.dev")).await;
    assert_eq!(running.ask("/livez").await.0, 200, "waiting is no reason to be restarted");
    assert_eq!(leases.holder(), None);
    apis.lock().unwrap().as_mut().unwrap().insert(API_VERSION, vec!["streamendpoints", "kafkaconnections"]);
    running.answers("/readyz", |status, _| status == 200).await;
    running.answers("/metrics", |_, body| body.contains("\nheadgate_operator_leader 1\n")).await;
    let status = running.status().await;
    assert_eq!((&status["leader"], &status["watchedNamespaces"]), (&Value::Bool(true), &json!(["shop"])));
    assert!(leases.holder().unwrap().starts_with("operator-1_"));
    let before = Instant::now();
    running.stop().await.unwrap();
    assert!(before.elapsed() < DRAIN / 2, "nothing is under way, and yet the end took {:?}", before.elapsed());
    assert_eq!(leases.holder(), None);
}

#[tokio::test]
async fn a_replica_that_does_not_lead_is_ready_and_says_who_does() {
    let (apis, leases) = (served([(API_VERSION, &["streamendpoints", "kafkaconnections"])]), ApiServer::default());
    let first = Running::start(api(&apis, &leases), "--identity first").await;
    first.answers("/status", |_, body| body.contains(r#""leader":true"#)).await;
    let second = Running::start(api(&apis, &leases), "--identity second").await;
    second.answers("/status", |_, body| body.contains(r#""waitingFor":"first_"#)).await;
    assert_eq!(second.ask("/readyz").await.0, 200);
    assert!(second.ask("/metrics").await.1.contains("\nheadgate_operator_leader 0\n"));
    first.stop().await.unwrap();
    second.answers("/status", |_, body| body.contains(r#""leader":true"#)).await;
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_an_operator_that_still_waits() {
    let running = Running::start(Router::new(), "").await;
    running.answers("/readyz", |status, _| status == 503).await;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_said_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = options("");
    options.admin = taken.local_addr().unwrap();
    let config = Config::new("http://127.0.0.1:1".parse().unwrap());
    let error = App::with_config(&options, config).await.unwrap_err().to_string();
    assert!(error.contains("--admin") && error.contains(&options.admin.to_string()), "{error}");
}

#[tokio::test]
async fn tls_to_the_api_server_needs_no_cryptography_to_be_chosen_first() {
    // rustls panics where it has no provider or several, which depends on everything that is compiled in.
    Clients::new(Config::new("https://127.0.0.1:1".parse().unwrap())).unwrap();
}
