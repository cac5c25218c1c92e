//! Names under which a stream is reached from outside.
//!
//! Owns their limits. Must never decide who may use them.

/// A number from 0 to 255.
macro_rules! octet {
    () => {
        "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    };
}

/// IPv4 address (RFC 791).
macro_rules! ipv4 {
    () => {
        concat!("(", octet!(), r"\.){3}", octet!())
    };
}

/// Four hexadecimal digits of an IPv6 address.
macro_rules! hextet {
    () => {
        "[0-9a-fA-F]{1,4}"
    };
}

/// IPv6 address (RFC 4291 section 2.2), without the form that ends like an IPv4 address.
macro_rules! ipv6 {
    () => {
        concat!(
            "((",
            hextet!(),
            ":){7}",
            hextet!(),
            "|(",
            hextet!(),
            ":){1,7}:",
            "|(",
            hextet!(),
            ":){1,6}:",
            hextet!(),
            "|(",
            hextet!(),
            ":){1,5}(:",
            hextet!(),
            "){1,2}",
            "|(",
            hextet!(),
            ":){1,4}(:",
            hextet!(),
            "){1,3}",
            "|(",
            hextet!(),
            ":){1,3}(:",
            hextet!(),
            "){1,4}",
            "|(",
            hextet!(),
            ":){1,2}(:",
            hextet!(),
            "){1,5}",
            "|",
            hextet!(),
            ":(:",
            hextet!(),
            "){1,6}",
            "|:((:",
            hextet!(),
            "){1,7}|:))"
        )
    };
}

text_types! {
    /// DNS name, in lower case and without a wildcard.
    Hostname {
        kind: "host name",
        length: 1..=253,
        pattern: r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        remedy: "write a DNS name in lower case, like streams.example.com, without scheme, port or wildcard",
    }

    /// Web origin: scheme, host and, unless it is the scheme's own, port.
    Origin {
        kind: "origin",
        length: 4..=300,
        pattern: concat!(r"^[a-z][a-z0-9+.-]*://([a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:", port!(), ")?$"),
        remedy: "write scheme://host or scheme://host:port in lower case, with a port from 1 to 65535, without path and wildcard, as browsers send it",
    }

    /// Network of IPv4 or IPv6 addresses in CIDR notation (RFC 4632).
    Cidr {
        kind: "network",
        length: 4..=43,
        pattern: concat!("^(", ipv4!(), "/(3[0-2]|[12]?[0-9])|", ipv6!(), "/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$"),
        endings: &[(
            "/0",
            "that is every address there is, so that each client could name its own, and limits per address would be worth nothing; write the networks of your proxies only",
        )],
        remedy: "write an address and the length of its prefix, like 10.0.0.0/8 or fd00::/8, and /32 or /128 for one address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// What the standard library takes for a network, in the two forms of an address that are written here.
    fn is_network(text: &str) -> bool {
        let Some((address, length)) = text.split_once('/') else { return false };
        let Ok(bits) = length.parse::<u8>() else { return false };
        let is_plain = length == bits.to_string();
        let is_v6 = address.parse::<Ipv6Addr>().is_ok() && !address.contains('.');
        is_plain && bits > 0 && (address.parse::<Ipv4Addr>().is_ok() && bits <= 32 || is_v6 && bits <= 128)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn exactly_the_networks_that_can_be_parsed_and_are_not_everything_are_networks(
            text in "([0-9]{1,3}\\.){3}[0-9]{1,3}/[0-9]{1,3}|([0-9a-fA-F]{0,4}:){1,8}[0-9a-f]{0,5}/[0-9]{1,3}"
        ) {
            prop_assert_eq!(Cidr::new(&text).is_ok(), is_network(&text), "{}", text);
        }

        #[test]
        fn every_address_is_part_of_a_network(v6: u128, v4: u32, bits in 1..=32u8) {
            for text in [format!("{}/{bits}", Ipv4Addr::from(v4)), format!("{:x}::{:x}/{bits}", v6 as u16, (v6 >> 16) as u16)] {
                prop_assert!(Cidr::new(&text).is_ok(), "{}", text);
            }
        }
    }
}
