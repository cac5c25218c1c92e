//! The way to a gateway: TCP, or a port of a pod behind the API server. It knows nothing of TLS and WebSocket.

use super::retry::End;
use crate::cluster::port_forward::{PortForward, PortForwardError};
use http::Uri;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The bytes of a connection, whatever carries them.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// How connections are made.
pub(crate) enum Route {
    /// To the address itself.
    Direct,
    /// To a gateway pod, through the API server; the address says only the host name and the path.
    PortForward(Box<PortForward>),
}

impl Route {
    /// A new connection. The caller sets the deadline.
    pub(crate) async fn open(&mut self, address: &Uri) -> Result<Box<dyn Transport>, End> {
        match self {
            Self::Direct => {
                let (host, port) = host_and_port(address);
                let stream = TcpStream::connect((host, port)).await.map_err(|error| unreachable(&error))?;
                stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
                Ok(Box::new(stream))
            }
            Self::PortForward(forward) => match forward.open().await {
                Ok(forwarded) => {
                    crate::output::notice(format_args!("through the API server to pod {}", forwarded.pod()));
                    Ok(Box::new(forwarded))
                }
                Err(error @ PortForwardError::Forbidden(_)) => Err(End::Forbidden(error.to_string())),
                Err(error) => Err(unreachable(&error)),
            },
        }
    }
}

fn unreachable(error: &dyn std::error::Error) -> End {
    End::Unreachable(error.to_string())
}

/// Host without brackets, and the port that the scheme implies if none is written (RFC 6455 section 3).
fn host_and_port(address: &Uri) -> (&str, u16) {
    let host = address.host().unwrap_or_default();
    let implied = if address.scheme_str() == Some("wss") { 443 } else { 80 };
    (host.trim_start_matches('[').trim_end_matches(']'), address.port_u16().unwrap_or(implied))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_implies_the_port_and_brackets_are_no_part_of_a_host() {
        let parts = |url: &str| {
            let uri: Uri = url.parse().unwrap();
            let (host, port) = host_and_port(&uri);
            (host.to_owned(), port)
        };
        assert_eq!(parts("ws://h/orders"), ("h".to_owned(), 80));
        assert_eq!(parts("wss://h/orders"), ("h".to_owned(), 443));
        assert_eq!(parts("ws://[::1]:8080/orders"), ("::1".to_owned(), 8080));
    }
}
