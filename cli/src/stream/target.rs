//! From what the user typed to the address of one stream. Pure; credentials never become part of an address here.

use headgate_wire::endpoints::ALIAS_PATH;
use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 section 2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What to ask of the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// Path segment after the app.
    pub(crate) channel: Option<String>,
    /// Query parameters in order, decoded.
    pub(crate) parameters: Vec<(String, String)>,
}

/// Why the target is no address of a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    /// Not a URL at all.
    #[error("`{0}` is no address: write APP, or a URL such as https://streams.example.com/orders")]
    Malformed(String),
    /// Another scheme.
    #[error("`{0}:` is not supported: use http, https, ws or wss")]
    Scheme(String),
    /// `user:password@host`.
    #[error("credentials do not belong into the address: use HEADGATE_KEY, HEADGATE_TOKEN, --key or --token")]
    Credentials,
}

/// The WebSocket address of a stream, without a starting position.
///
/// `target` is an app's name, a whole URL, or absent for the only app of `server`.
pub(crate) fn resolve(target: Option<&str>, server: &str, query: &Query) -> Result<Uri, TargetError> {
    let mut address = match target {
        Some(url) if url.contains("://") => split(url)?,
        other => {
            let mut base = split(server)?;
            base.path.push('/');
            base.path.extend(utf8_percent_encode(other.unwrap_or(ALIAS_PATH), ESCAPED));
            base
        }
    };
    if let Some(channel) = &query.channel {
        address.path.push('/');
        address.path.extend(utf8_percent_encode(channel, ESCAPED));
    }
    // The gateway refuses a parameter that is given twice, and the address is the more explicit of the two.
    if !address.query.split('&').any(|parameter| parameter.starts_with("format=")) {
        append(&mut address.query, "format", "cloudevents");
    }
    for (name, value) in &query.parameters {
        append(&mut address.query, name, value);
    }
    address.into_uri()
}

/// The same address with a starting position, which replaces one that it had.
pub(crate) fn from_position(address: &Uri, position: Option<&str>) -> Result<Uri, TargetError> {
    let Some(position) = position else { return Ok(address.clone()) };
    let mut parts = split(&address.to_string())?;
    let kept: Vec<&str> = parts.query.split('&').filter(|p| !p.is_empty() && !p.starts_with("from=")).collect();
    parts.query = kept.join("&");
    append(&mut parts.query, "from", position);
    parts.into_uri()
}

struct Address {
    scheme: &'static str,
    authority: String,
    /// Without a slash at the end.
    path: String,
    query: String,
}

impl Address {
    fn into_uri(self) -> Result<Uri, TargetError> {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        let separator = if self.query.is_empty() { "" } else { "?" };
        let text = format!("{}://{}{path}{separator}{}", self.scheme, self.authority, self.query);
        text.parse().map_err(|_| TargetError::Malformed(text))
    }
}

fn split(url: &str) -> Result<Address, TargetError> {
    let malformed = || TargetError::Malformed(url.to_owned());
    if url.split(['/', '?']).nth(2).is_some_and(|authority| authority.contains('@')) {
        return Err(TargetError::Credentials);
    }
    let uri: Uri = url.parse().map_err(|_| malformed())?;
    let scheme = match uri.scheme_str().ok_or_else(malformed)? {
        "http" | "ws" => "ws",
        "https" | "wss" => "wss",
        other => return Err(TargetError::Scheme(other.to_owned())),
    };
    Ok(Address {
        scheme,
        authority: uri.authority().ok_or_else(malformed)?.to_string(),
        path: uri.path().trim_end_matches('/').to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
    })
}

fn append(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.extend(utf8_percent_encode(name, ESCAPED));
    query.push('=');
    query.extend(utf8_percent_encode(value, ESCAPED));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "http://127.0.0.1:8080";

    fn address(target: Option<&str>, query: &Query) -> String {
        resolve(target, SERVER, query).unwrap().to_string()
    }

    #[test]
    fn an_app_alone_is_a_stream_of_the_server() {
        assert_eq!(address(Some("orders"), &Query::default()), "ws://127.0.0.1:8080/orders?format=cloudevents");
    }

    #[test]
    fn no_target_is_the_servers_only_app() {
        assert_eq!(address(None, &Query::default()), "ws://127.0.0.1:8080/ws?format=cloudevents");
    }

    #[test]
    fn a_url_keeps_its_path_and_its_query() {
        let query = Query { channel: None, parameters: vec![("type".to_owned(), "a".to_owned())] };
        assert_eq!(
            address(Some("https://h:1/base/orders/?format=raw"), &query),
            "wss://h:1/base/orders?format=raw&type=a"
        );
    }

    #[test]
    fn a_server_may_have_a_path_and_an_ipv6_address() {
        let uri = resolve(Some("orders"), "https://[::1]:8443/streams/", &Query::default()).unwrap();
        assert_eq!(uri.to_string(), "wss://[::1]:8443/streams/orders?format=cloudevents");
    }

    #[test]
    fn channel_and_values_are_percent_encoded() {
        let query = Query {
            channel: Some("a b/ü".to_owned()),
            parameters: vec![("filter.subject.prefix".to_owned(), "x&y=+".to_owned())],
        };
        let expected = "/orders/a%20b%2F%C3%BC?format=cloudevents&filter.subject.prefix=x%26y%3D%2B";
        assert_eq!(resolve(Some("orders"), SERVER, &query).unwrap().path_and_query().unwrap(), expected);
    }

    #[test]
    fn a_new_position_replaces_the_old_one_only() {
        let first = resolve(Some("ws://h/orders?from=earliest&type=a"), SERVER, &Query::default()).unwrap();
        assert_eq!(
            from_position(&first, Some("AQMA")).unwrap().to_string(),
            "ws://h/orders?type=a&format=cloudevents&from=AQMA"
        );
        assert_eq!(from_position(&first, None).unwrap(), first);
    }

    #[test]
    fn credentials_in_the_address_are_refused() {
        let refused = resolve(Some("https://me:secret@h/orders"), SERVER, &Query::default());
        assert_eq!(refused, Err(TargetError::Credentials));
    }

    #[test]
    fn an_at_sign_after_the_host_is_no_credential() {
        assert!(resolve(Some("https://h/orders?type=a@b"), SERVER, &Query::default()).is_ok());
    }

    #[test]
    fn another_scheme_is_refused_by_name() {
        let refused = resolve(Some("ftp://h/orders"), SERVER, &Query::default());
        assert_eq!(refused, Err(TargetError::Scheme("ftp".to_owned())));
    }
}
