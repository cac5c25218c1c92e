//! Whose word counts about a client's address.
//!
//! A proxy that we trust says in `X-Forwarded-For` who connected to it; everybody else can write there what they like. So
//! the list is read from its end, for as long as the address is one of ours: the first other one is the client.

use headgate_wire::config::{InvalidNetwork, network};
use http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Addresses that are looked at, from the end; a chain of proxies is shorter.
const MAX_HOPS: usize = 32;

/// Networks of proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
}

impl TrustedProxies {
    /// Proxies in these networks (CIDR, RFC 4632); none by default.
    ///
    /// # Errors
    /// [`InvalidNetwork`] for every text that is none.
    pub fn new(networks: &[String]) -> Result<Self, Vec<InvalidNetwork>> {
        let mut invalid = Vec::new();
        let valid = networks.iter().filter_map(|text| network(text).map_err(|error| invalid.push(error)).ok());
        let proxies = Self { networks: valid.collect() };
        if invalid.is_empty() { Ok(proxies) } else { Err(invalid) }
    }

    /// The address of the client of a request that came from `peer`.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        let mut client = peer;
        for hop in hops.take(MAX_HOPS) {
            // What cannot be read was written by somebody whom nobody vouches for: the last known address counts.
            let Some(address) = address(hop.trim()) else { return client };
            client = address;
            if !self.trusts(address) {
                return client;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// Some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let parsed = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let proxies = TrustedProxies::new(&["10.0.0.0/8".into(), "fd00::/8".into()]).unwrap();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client("10.1.1.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(client("192.0.2.1", &["203.0.113.7"]), "192.0.2.1");
        assert_eq!(client("10.1.1.1", &[]), "10.1.1.1");
    }

    #[test]
    fn what_the_client_wrote_itself_does_not_count() {
        assert_eq!(client("10.1.1.1", &["1.1.1.1, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(client("10.1.1.1", &["1.1.1.1", "203.0.113.7, 10.2.2.2"]), "203.0.113.7");
        assert_eq!(client("10.1.1.1", &["10.9.9.9, nonsense, 10.2.2.2"]), "10.2.2.2");
        assert_eq!(client("10.1.1.1", &["10.9.9.9"]), "10.9.9.9");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        assert_eq!(client("fd00::1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client("fd00::1", &["[2001:db8::1]"]), "2001:db8::1");
        assert_eq!(client("10.1.1.1", &["203.0.113.7:80"]), "203.0.113.7");
        assert_eq!(client("10.1.1.1", &["::ffff:203.0.113.7"]), "203.0.113.7");
    }

    #[test]
    fn a_text_that_is_no_network_or_every_address_there_is_is_refused_by_name() {
        for text in ["10.0.0.0", "proxy", "10.0.0.5/8", "0.0.0.0/0", "::/0"] {
            let errors = TrustedProxies::new(&["10.0.0.0/8".to_owned(), text.to_owned()]).unwrap_err();
            let [error] = &errors[..] else { panic!("{errors:?}") };
            assert!(error.to_string().starts_with(&format!("`{text}` is ")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn an_untrusted_peer_is_the_client_whatever_it_sends(line in "[ -~]{0,60}") {
            prop_assert_eq!(client("192.0.2.1", &[&line]), "192.0.2.1");
        }
    }
}
