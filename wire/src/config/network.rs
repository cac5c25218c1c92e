//! A network of addresses as a configuration names one (CIDR, RFC 4632): the one place where it is said what is none.
//!
//! The operator and the gateway ask here, so that neither accepts what the other refuses. Owns no list of networks.

use ipnet::IpNet;

/// A text that is no network whose addresses can be told from others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Not in CIDR notation.
    #[error("`{0}` is no network: write address and prefix length, such as `10.0.0.0/8` or `fd00::/8`")]
    Form(String),
    /// Every address there is.
    #[error(
        "`{0}` is every address there is, so that each client could name its own, and limits per address would be worth \
         nothing: write the networks of your proxies only"
    )]
    Everything(String),
    /// An address with bits behind the prefix: two networks could be meant.
    #[error(
        "`{text}` is an address within a network: write `{network}` for the network, or `{address}` for the one address"
    )]
    HostBits {
        /// As it was written.
        text: String,
        /// The network that the address is in.
        network: IpNet,
        /// The network of that address alone.
        address: IpNet,
    },
}

/// The network that a text names.
///
/// # Errors
/// [`InvalidNetwork`], with what to write instead.
pub fn network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let written: IpNet = text.parse().map_err(|_| InvalidNetwork::Form(text.to_owned()))?;
    if written.prefix_len() == 0 {
        return Err(InvalidNetwork::Everything(text.to_owned()));
    }
    let network = written.trunc();
    if network == written {
        return Ok(network);
    }
    Err(InvalidNetwork::HostBits { text: text.to_owned(), network, address: written.addr().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_its_first_address_and_a_prefix() {
        for text in ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "2001:db8::1/128", "128.0.0.0/1"] {
            assert_eq!(network(text).map(|network| network.to_string()).as_deref(), Ok(text));
        }
        for text in ["10.0.0.1", "10.0.0.0/33", "proxy", "", "10.0.0.0/8 ", "10.0.0.0/255.0.0.0"] {
            assert_eq!(network(text), Err(InvalidNetwork::Form(text.to_owned())));
        }
    }

    #[test]
    fn every_address_there_is_is_no_network_of_proxies() {
        for text in ["0.0.0.0/0", "::/0", "10.0.0.0/0"] {
            assert_eq!(network(text), Err(InvalidNetwork::Everything(text.to_owned())));
        }
    }

    #[test]
    fn an_address_with_bits_behind_the_prefix_names_the_two_networks_that_may_be_meant() {
        let sentence = |text: &str| network(text).unwrap_err().to_string();
        assert!(
            sentence("10.0.0.5/8")
                .ends_with("write `10.0.0.0/8` for the network, or `10.0.0.5/32` for the one address")
        );
        assert!(sentence("fd00::5/8").contains("write `fd00::/8` for the network, or `fd00::5/128`"));
    }
}
