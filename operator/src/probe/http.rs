//! The probe of a real cluster: one HTTP request over one connection.
//!
//! Must never keep a connection or use a proxy: a pod's address is somebody else's tomorrow.

use super::{Asked, PodReport, Probe, ProbeError};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a pod has for its answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// Largest answer, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Pods that are asked at once, over all endpoints.
const MAX_CONCURRENT: usize = 64;

/// Asks pods over the network.
#[derive(Debug)]
pub struct HttpProbe {
    permits: Semaphore,
}

impl Default for HttpProbe {
    fn default() -> Self {
        Self { permits: Semaphore::new(MAX_CONCURRENT) }
    }
}

impl Probe for HttpProbe {
    fn ask<'a>(&'a self, address: SocketAddr, app: &'a str) -> Asked<'a> {
        Box::pin(async move {
            // The semaphore is never closed; without a permit the pod is asked all the same.
            let _permit = self.permits.acquire().await.ok();
            let body = timeout(DEADLINE, get(address)).await.map_err(|_| ProbeError::Timeout(address))??;
            PodReport::parse(&body, app).ok_or(ProbeError::Answer(address))
        })
    }
}

async fn get(address: SocketAddr) -> Result<Bytes, ProbeError> {
    let answer = |_| ProbeError::Answer(address);
    let stream = TcpStream::connect(address).await.map_err(|source| ProbeError::Connect { address, source })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(answer)?;
    let request = Request::get("/status")
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| ProbeError::Answer(address))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(answer)?;
        if response.status() != StatusCode::OK {
            return Err(ProbeError::Answer(address));
        }
        let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
        Ok(body.map_err(|_| ProbeError::Answer(address))?.to_bytes())
    };
    // The connection moves the bytes; it ends with the exchange, because both are dropped here.
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        body = &mut exchange => body,
        _ = &mut connection => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// A pod that answers one request with these bytes, or never.
    async fn pod(answer: Option<String>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /status HTTP/1.1\r\n"));
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap_or_default(),
                None => std::future::pending().await,
            }
        });
        address
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn a_pod_tells_its_state() {
        let body = r#"{"streams": [{"app": "orders", "kafka": {"state": "Reading"}, "connections": 2}]}"#;
        let report = HttpProbe::default().ask(pod(Some(ok(body))).await, "orders").await.unwrap();
        assert_eq!(
            report,
            PodReport { kafka_state: "Reading".to_owned(), kafka_reason: None, provider_problem: None, connections: 2 }
        );
    }

    #[tokio::test]
    async fn a_body_larger_than_the_bound_is_refused() {
        let body = format!(r#"{{"streams": [], "more": "{}"}}"#, "x".repeat(MAX_BODY_BYTES));
        let error = HttpProbe::default().ask(pod(Some(ok(&body))).await, "orders").await.unwrap_err();
        assert!(matches!(error, ProbeError::Answer(_)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_says_nothing_is_not_waited_for() {
        let error = HttpProbe::default().ask(pod(None).await, "orders").await.unwrap_err();
        assert!(matches!(error, ProbeError::Timeout(_)), "{error}");
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_said_so() {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = HttpProbe::default().ask(address, "orders").await.unwrap_err();
        assert!(matches!(error, ProbeError::Connect { .. }), "{error}");
    }
}
