//! Free TCP ports for servers that must know their port before they start.
//!
//! Never from the range from which the system picks the ports of outgoing connections: while a server is down, a
//! client that keeps trying its port could be given that very port, and would connect to itself.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Where this process looks next. It starts at a place of its own, so that two test runs seldom meet.
static NEXT: LazyLock<AtomicU16> =
    LazyLock::new(|| AtomicU16::new((std::process::id() * 97 % u32::from(COUNT)) as u16));

/// A port of 127.0.0.1 that nobody listens on, and that this process is not given again.
pub fn free_port() -> Result<u16> {
    (0..COUNT)
        .map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no free port between 20000 and 31999")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_lies_below_the_outgoing_ones() {
        let first = free_port().unwrap();
        let second = free_port().unwrap();
        assert_ne!(first, second);
        assert!((FIRST..FIRST + COUNT).contains(&first));
    }
}
