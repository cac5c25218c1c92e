//! Which browser pages may connect (the Origin header, RFC 6454 and RFC 6455 section 10.2).
//!
//! Origins are compared by scheme, host and port, exactly: no wildcard, no suffix, no substring. Clients that are not
//! browsers send no Origin and are governed by their credentials alone.

use crate::rejection::{Rejection, RejectionKind};
use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What browsers send for a page without an origin of its own, such as a file or a sandboxed frame.
const OPAQUE: &str = "null";

/// Ends of names of Services; neither is a domain that can be had.
const CLUSTER_NAMES: [&str; 2] = [".svc", ".svc.cluster.local"];

/// The origins that may connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginPolicy {
    allowed: BTreeSet<Origin>,
    /// The only name at which a page is the gateway's own; absent = whatever the request names.
    hostname: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Opaque,
    Tuple { scheme: String, host: String, port: Option<u16> },
}

/// A configured origin that cannot match any page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no origin; write scheme, host and, if it is not the default, port: `https://shop.example.com:8443`")]
pub struct InvalidOrigin(pub String);

impl OriginPolicy {
    /// A policy that allows these origins besides the gateway's own host. A name that somebody lets lead to the gateway's
    /// address (DNS rebinding) is not its own, once `hostname` says which is.
    ///
    /// # Errors
    /// Every text that is no origin.
    pub fn new(allowed: &[String], hostname: Option<&str>) -> Result<Self, Vec<InvalidOrigin>> {
        let mut invalid = Vec::new();
        let parse = |text: &String| Origin::parse(text).ok_or_else(|| InvalidOrigin(text.clone()));
        let parsed = allowed.iter().filter_map(|text| parse(text).map_err(|error| invalid.push(error)).ok());
        let hostname = hostname.map(|name| name.to_ascii_lowercase().into());
        let policy = Self { allowed: parsed.collect(), hostname };
        if invalid.is_empty() { Ok(policy) } else { Err(invalid) }
    }

    /// Refuses a page of a foreign origin. `uri` names the own host where the Host header is absent (HTTP/2).
    pub fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Rejection> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        let origin = origin.to_str().ok().and_then(Origin::parse).filter(|_| origins.next().is_none());
        match origin {
            None => Err(Rejection::new(
                RejectionKind::OriginNotAllowed,
                "the Origin header is not one origin, as in `https://shop.example.com`; a client that is not a browser \
                 should leave it out",
            )),
            Some(origin) if self.allowed.contains(&origin) || self.is_own(&origin, headers, uri) => Ok(()),
            _ => Err(Rejection::new(
                RejectionKind::OriginNotAllowed,
                "pages of this origin may not connect; add the origin to publicAccess.allowedOrigins",
            )),
        }
    }
}

impl OriginPolicy {
    fn is_own(&self, origin: &Origin, headers: &HeaderMap, uri: &Uri) -> bool {
        let own = own_host(headers, uri);
        let is_a_name_of_ours = self.hostname.as_deref().is_none_or(|name| origin.is_at(name));
        origin.is_of_host(own.as_ref()) && (is_a_name_of_ours || origin.is_beyond_names())
    }
}

impl Origin {
    fn is_at(&self, name: &str) -> bool {
        matches!(self, Self::Tuple { host, .. } if host == name)
    }

    /// At an address, at this machine, or at a Service of the cluster: no name server that a stranger runs decides where
    /// that is. Clients that are not browsers often send the address that they dial.
    fn is_beyond_names(&self) -> bool {
        let Self::Tuple { host, .. } = self else { return false };
        let is_service = CLUSTER_NAMES.iter().any(|suffix| host.ends_with(suffix));
        is_service
            || host == "localhost"
            || host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
    }

    /// `scheme "://" host [ ":" port ]` (RFC 6454 section 6.2), or `null`.
    fn parse(text: &str) -> Option<Self> {
        if text == OPAQUE {
            return Some(Self::Opaque);
        }
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(is_scheme) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = host_and_port(&authority.parse().ok()?)?;
        let port = port.or_else(|| default_port(&scheme));
        Some(Self::Tuple { scheme, host, port })
    }

    /// Whether it is the host that the request was sent to. TLS may end before the gateway, so the scheme of the request
    /// is unknown, and a Host without a port means the default port of the page's scheme.
    fn is_of_host(&self, own: Option<&Authority>) -> bool {
        let Self::Tuple { scheme, host, port } = self else { return false };
        let Some((own_host, own_port)) = own.and_then(host_and_port) else { return false };
        *host == own_host && *port == own_port.or_else(|| default_port(scheme))
    }
}

fn own_host(headers: &HeaderMap, uri: &Uri) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        (None, _) => uri.authority().cloned(),
        (Some(_), Some(_)) => None,
    }
}

fn host_and_port(authority: &Authority) -> Option<(String, Option<u16>)> {
    let text = authority.as_str();
    let host = authority.host();
    let rest = &text[host.len().min(text.len())..];
    // `port_u16` is also absent for a port that is no number, and user information has no place in an origin.
    let port = match rest.strip_prefix(':') {
        Some(_) => Some(authority.port_u16().filter(|port| *port > 0)?),
        None if rest.is_empty() => None,
        None => return None,
    };
    let usable = !host.is_empty() && !host.contains('*') && !text.contains('@');
    usable.then(|| (host.to_ascii_lowercase(), port))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn admits(allowed: &[&str], origin: &str, host: &str) -> bool {
        let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        let headers = HeaderMap::from_iter([
            (ORIGIN, HeaderValue::from_str(origin).unwrap()),
            (HOST, HeaderValue::from_str(host).unwrap()),
        ]);
        OriginPolicy::new(&allowed, None).unwrap().check(&headers, &Uri::from_static("/orders")).is_ok()
    }

    #[test]
    fn clients_in_the_cluster_may_name_the_service_that_they_dial_also_beside_a_public_hostname() {
        let policy = OriginPolicy::new(&[], Some("shop.streams.example.com")).unwrap();
        let check = |host: &str, origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            headers.insert(ORIGIN, origin.parse().unwrap());
            policy.check(&headers, &Uri::from_static("/orders")).map_err(|error| error.to_string())
        };
        for host in ["orders-gateway.shop.svc.cluster.local:8080", "orders-gateway.shop.svc:8080"] {
            assert_eq!(check(host, &format!("http://{host}")), Ok(()), "{host}");
        }
        // A name that anybody can have, and another Service than the one that was dialled.
        assert!(check("a.svc.example.com", "http://a.svc.example.com").is_err());
        assert!(check("orders.shop.svc", "http://evil.shop.svc").is_err());
        assert!(
            check("shop.streams.example.com", "localhost:8080").is_err_and(|error| error.contains("not one origin"))
        );
    }

    #[test]
    fn a_request_without_an_origin_is_left_to_its_credentials() {
        assert!(OriginPolicy::default().check(&HeaderMap::new(), &Uri::from_static("/")).is_ok());
    }

    #[test]
    fn scheme_host_and_port_must_all_match_with_default_ports_filled_in() {
        let allowed = ["https://shop.example.com"];
        for origin in ["https://shop.example.com", "https://SHOP.example.com", "https://shop.example.com:443"] {
            assert!(admits(&allowed, origin, "streams.example.com"), "{origin}");
        }
        for origin in [
            "http://shop.example.com",
            "https://shop.example.com:8443",
            "https://shop.example.com.evil.example",
            "https://evil-shop.example.com",
            "https://a.shop.example.com",
            "https://shop.example.com@evil.example",
            "https://shop.example.com:443:443",
            "null",
            "",
            "shop.example.com",
        ] {
            assert!(!admits(&allowed, origin, "streams.example.com"), "{origin}");
        }
    }

    #[test]
    fn pages_of_the_gateways_own_host_may_connect() {
        assert!(admits(&[], "https://streams.example.com", "streams.example.com"));
        assert!(admits(&[], "http://localhost:8080", "LOCALHOST:8080"));
        assert!(admits(&[], "http://[::1]:8080", "[::1]:8080"));
        assert!(!admits(&[], "http://localhost:3000", "localhost:8080"));
        assert!(!admits(&[], "https://streams.example.com:8443", "streams.example.com"));
    }

    #[test]
    fn a_name_that_leads_to_the_gateway_is_not_its_own_once_the_own_one_is_known() {
        let policy = OriginPolicy::new(&[], Some("Streams.example.com")).unwrap();
        let admits = |origin: &'static str, host: &'static str| {
            let headers = [(ORIGIN, HeaderValue::from_static(origin)), (HOST, HeaderValue::from_static(host))];
            policy.check(&HeaderMap::from_iter(headers), &Uri::from_static("/orders")).is_ok()
        };
        assert!(!admits("http://rebound.example", "rebound.example"));
        assert!(!admits("https://streams.example.com", "rebound.example"));
        assert!(admits("https://streams.example.com", "streams.example.com"));
        assert!(admits("http://10.0.0.7:8080", "10.0.0.7:8080"));
        assert!(admits("http://[fd00::7]:8080", "[fd00::7]:8080"));
        assert!(admits("http://localhost:8080", "localhost:8080"), "a port-forward");
    }

    #[test]
    fn a_page_without_an_origin_of_its_own_needs_to_be_listed() {
        assert!(!admits(&[], "null", "null"));
        assert!(admits(&["null"], "null", "x"));
    }

    #[test]
    fn two_origins_or_two_hosts_are_nobodys() {
        let mut headers = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static("https://a.example"))]);
        headers.append(HOST, HeaderValue::from_static("a.example"));
        let uri = Uri::from_static("/");
        assert!(OriginPolicy::default().check(&headers, &uri).is_ok());
        headers.append(HOST, HeaderValue::from_static("b.example"));
        assert!(OriginPolicy::default().check(&headers, &uri).is_err());
        headers.append(ORIGIN, HeaderValue::from_static("https://a.example"));
        assert!(OriginPolicy::new(&["https://a.example".to_owned()], None).unwrap().check(&headers, &uri).is_err());
    }

    #[test]
    fn a_configured_origin_that_could_never_match_is_refused_by_name() {
        for text in [
            "*",
            "https://*",
            "https://*.example.com",
            "example.com",
            "https://",
            "https://a/",
            "https://u@a",
            "https://a:0",
            "https://a:65536",
        ] {
            assert_eq!(OriginPolicy::new(&[text.to_owned()], None), Err(vec![InvalidOrigin(text.to_owned())]));
        }
    }

    proptest! {
        #[test]
        fn an_origin_is_admitted_only_if_it_is_one_of_the_list(a in "https?://[a-c]{1,2}(:[1-3])?", b in "https?://[a-c]{1,2}(:[1-3])?") {
            prop_assert_eq!(admits(&[&a], &b, "other.example"), a == b);
        }

        #[test]
        fn no_text_makes_the_parser_panic(origin in "[ -~]{0,40}", host in "[ -~]{0,20}") {
            let _ = admits(&[], &origin, &host);
        }
    }
}
