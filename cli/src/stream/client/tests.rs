//! A stream through an API server whose gateway pods come and go.

use super::*;
use crate::cluster::{Cluster, fake, port_forward::PortForward};
use headgate_wire::endpoints::DEFAULT_STREAM_PORT;
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// Bytes between the API server and a pod.
const BUFFER_BYTES: usize = 64 * 1024;

/// Longest time for the whole test.
const DEADLINE: Duration = Duration::from_mins(1);

/// What each pod was asked for, in order.
type Asked = Arc<Mutex<Vec<String>>>;

#[tokio::test]
async fn when_its_pod_goes_away_a_stream_goes_on_at_another_one_from_its_cursor() {
    super::super::tls::install_provider();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api_server = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    tokio::spawn(serve(listener, Arc::clone(&asked)));
    let config = kube::Config::new(api_server.parse().unwrap());
    let cluster = Cluster::new(kube::Client::try_from(config).unwrap(), "shop".to_owned());
    let endpoint = serde_json::from_value(fake::endpoint("shop", "orders")).unwrap();
    let plan = Plan {
        address: "ws://orders-gateway.shop.svc:8080/orders".parse().unwrap(),
        route: Route::PortForward(Box::new(PortForward::new(cluster.objects(), &endpoint))),
        from: Some("earliest".to_owned()),
        credential: Credential::Anonymous,
        renewing: Renewing::default(),
        logged_in_at: Vec::new(),
        connector: None,
        count: Some(2),
        fail_on_gap: true,
        connect_timeout: DEADLINE,
        style: Style { output: StreamOutput::Raw, colours: false, terminal: false, zone: jiff::tz::TimeZone::UTC },
    };
    let mut output = Output::stdout();
    let following = tokio::time::timeout(DEADLINE, follow(plan, &mut output, std::future::pending())).await;
    assert_eq!(following.unwrap(), Ok(Summary { events: 2, gaps: 0, reconnects: 1 }));
    assert_eq!(*asked.lock().unwrap(), ["a: /orders?from=earliest", "b: /orders?from=after-a"]);
}

/// An API server with two ready gateway pods.
async fn serve(listener: TcpListener, asked: Asked) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, Arc::clone(&asked)));
    }
}

async fn answer(mut stream: TcpStream, asked: Asked) {
    let mut head = [0; 256];
    let length = stream.peek(&mut head).await.unwrap();
    let line = String::from_utf8_lossy(&head[..length]).lines().next().unwrap_or_default().to_owned();
    if let Some(pod) = ["a", "b"].into_iter().find(|pod| line.contains(&format!("/pods/{pod}/portforward"))) {
        return tunnel(stream, pod, asked).await;
    }
    let pod = |name: &str| {
        let conditions = json!([{ "type": "Ready", "status": "True" }]);
        json!({ "metadata": { "name": name }, "status": { "conditions": conditions } })
    };
    let list = json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [pod("a"), pod("b")] });
    let body = list.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
    stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    // Until the client has read it.
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// Kubernetes' `v4.channel.k8s.io`: channel 0 has the bytes, channel 1 errors; each begins with the number of the port.
async fn tunnel(stream: TcpStream, pod: &'static str, asked: Asked) {
    let mut socket = accept_hdr_async(stream, agree).await.unwrap();
    let [low, high] = DEFAULT_STREAM_PORT.to_le_bytes();
    for channel in [0, 1] {
        socket.send(Message::binary(vec![channel, low, high])).await.unwrap();
    }
    let (mut near, far) = duplex(BUFFER_BYTES);
    tokio::spawn(gateway(far, pod, asked));
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        tokio::select! {
            received = socket.next() => match received {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&0) => near.write_all(&bytes[1..]).await.unwrap(),
                Some(Ok(_)) => {}
                _ => return,
            },
            read = near.read(&mut buffer) => match read {
                Ok(length) if length > 0 => {
                    let bytes: Vec<u8> = std::iter::once(0).chain(buffer[..length].iter().copied()).collect();
                    socket.send(Message::binary(bytes)).await.unwrap();
                }
                // The pod is gone.
                _ => {
                    let _ = socket.close(None).await;
                    while let Some(Ok(_)) = socket.next().await {}
                    return;
                }
            },
        }
    }
}

/// A gateway pod with one event of its own; pod `a` is gone right after it.
async fn gateway(stream: DuplexStream, pod: &'static str, asked: Asked) {
    #[expect(clippy::result_large_err, reason = "the form of a handshake's callback")]
    let hear = |request: &Request, response: Response| {
        asked.lock().unwrap().push(format!("{pod}: {}", request.uri()));
        agree(request, response)
    };
    let mut socket = accept_hdr_async(stream, hear).await.unwrap();
    let offset = i64::from(pod == "b");
    let ready = json!({ "type": "ready", "cursor": "start", "session": pod, "resumed": false });
    let event =
        json!({ "type": "event", "cursor": format!("after-{pod}"), "partition": 0, "offset": offset, "event": {} });
    for message in [ready, event] {
        socket.send(Message::text(message.to_string())).await.unwrap();
    }
    if pod == "b" {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

/// Takes the first subprotocol that is offered.
#[expect(clippy::result_large_err, reason = "the form of a handshake's callback")]
fn agree(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    if let Some(first) = offered.and_then(|list| list.split(',').next()) {
        let chosen =
            HeaderValue::from_str(first.trim()).map_err(|error| ErrorResponse::new(Some(error.to_string())))?;
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    Ok(response)
}
