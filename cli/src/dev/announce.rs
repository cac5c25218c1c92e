//! What `headgate dev` prints when everything is ready. Pure, except that it is meant to be printed.

use super::issuer::readers::Reader;
use super::keys::IssuedKey;
use super::rows::{Row, in_words};
use crate::publish::Attributes;
use headgate_wire::Filter;
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// A stream that can be connected to now.
#[derive(Debug, Clone)]
pub(crate) struct ReadyStream {
    /// App.
    pub(crate) app: String,
    /// Kafka topic.
    pub(crate) topic: String,
    /// Anyone may read.
    pub(crate) anonymous: bool,
    /// It takes tokens of the issuer.
    pub(crate) takes_tokens: bool,
    /// In a cluster, those are tokens of its ServiceAccounts.
    pub(crate) of_a_cluster: bool,
    /// Keys of this run.
    pub(crate) keys: Vec<IssuedKey>,
    /// Attributes that its readers ask for, by reader.
    pub(crate) rows: Vec<Row>,
}

/// Everything that is running.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    /// The streams.
    pub(crate) streams: Vec<ReadyStream>,
    /// Where clients connect.
    pub(crate) listen: SocketAddr,
    /// Probes and metrics.
    pub(crate) admin: SocketAddr,
    /// Bootstrap servers.
    pub(crate) kafka: String,
    /// Kafka is in this process.
    pub(crate) embedded: bool,
    /// URL of the test issuer.
    pub(crate) issuer: Option<String>,
    /// Who can log in there.
    pub(crate) people: Vec<Reader>,
    /// How this program was called.
    pub(crate) program: String,
}

/// The line of `-o json`.
#[derive(Serialize)]
struct Line<'r> {
    streams: Vec<LineStream<'r>>,
    kafka: &'r str,
    admin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'r str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    people: Vec<LinePerson<'r>>,
}

#[derive(Serialize)]
struct LinePerson<'r> {
    user: &'r str,
    /// Apps that let the user in.
    reads: Vec<&'r str>,
    /// The same apps with the user's rows: those that match all filters.
    streams: Vec<LineReading<'r>>,
}

#[derive(Serialize)]
struct LineReading<'r> {
    app: &'r str,
    filters: &'r [Filter],
}

#[derive(Serialize)]
struct LineStream<'r> {
    app: &'r str,
    url: String,
    key: Option<&'r str>,
    keys: Vec<LineKey<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineKey<'r> {
    name: &'r str,
    key: &'r str,
    filters: &'r [Filter],
    expires_at: Option<Timestamp>,
}

impl<'r> From<&'r IssuedKey> for LineKey<'r> {
    fn from(issued: &'r IssuedKey) -> Self {
        let IssuedKey { name, text, filters, expires_at } = issued;
        Self { name, key: text, filters, expires_at: *expires_at }
    }
}

impl<'r> From<&'r Reader> for LinePerson<'r> {
    fn from(reader: &'r Reader) -> Self {
        let reads = reader.apps();
        let reading = |app: &&'r str| Some(LineReading { app, filters: reader.filters(app)? });
        Self { user: &reader.user, streams: reads.iter().filter_map(reading).collect(), reads }
    }
}

impl Ready {
    /// One line for scripts: `{"streams":[{"app","url","key","keys"}],"kafka","admin"}`. `keys` is
    /// `[{"name","key","filters","expiresAt"}]`, and `key` the first of them, null where none was made. `issuer` and
    /// `people` (`[{"user","reads","streams":[{"app","filters"}]}]`) follow where there is one.
    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        let streams = self.streams.iter().map(|stream| LineStream {
            app: &stream.app,
            url: self.url(stream),
            key: stream.keys.first().map(|key| key.text.as_str()),
            keys: stream.keys.iter().map(LineKey::from).collect(),
        });
        let admin = format!("http://{}", reachable(self.admin));
        let issuer = self.issuer.as_deref();
        let people = self.people.iter().map(LinePerson::from).collect();
        serde_json::to_string(&Line { streams: streams.collect(), kafka: &self.kafka, admin, issuer, people })
    }

    /// Addresses, keys, and commands to try.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for stream in &self.streams {
            let access = if stream.anonymous { "anyone may read" } else { "closed" };
            let _ = writeln!(text, "{}\n  {}  (topic {}, {access})", stream.app, self.url(stream), stream.topic);
            for key in &stream.keys {
                let _ = writeln!(text, "  key {}: {}{}", key.name, key.text, limits(key));
            }
        }
        let kind = if self.embedded { "embedded, in memory" } else { "yours" };
        let _ = writeln!(text, "Kafka\n  {}  ({kind})", self.kafka);
        let _ = writeln!(text, "Probes and metrics\n  http://{}\n", reachable(self.admin));
        if let Some(issuer) = &self.issuer {
            self.people(&mut text, issuer);
        }
        // A stream that takes only tokens has its commands beside the issuer.
        let readable = |stream: &&ReadyStream| stream.anonymous || !stream.keys.is_empty() || !stream.takes_tokens;
        if let Some(stream) = self.streams.iter().find(readable) {
            self.suggestions(&mut text, stream);
        }
        text.push_str("Ctrl-C ends everything and leaves nothing behind.");
        text
    }

    fn suggestions(&self, text: &mut String, stream: &ReadyStream) {
        let (url, program, app) = (self.url(stream), &self.program, &stream.app);
        let key = stream.keys.first();
        let paste = if key.is_some() { ", paste the key" } else { "" };
        let _ = writeln!(text, "Try, in a browser{paste}\n  {url}\nor in another terminal");
        if let Some(key) = key {
            let _ = writeln!(text, "  export HEADGATE_KEY={}", key.text);
        }
        let _ = writeln!(text, "  {program} stream {}", if self.is_default() { app } else { &url });
        let bearer = if key.is_some() { r#" -H "Authorization: Bearer $HEADGATE_KEY""# } else { "" };
        let _ = writeln!(text, "  curl -N -H 'Accept: text/event-stream'{bearer} {url}");
        let _ = writeln!(text, "  {}", python(&url, key.is_some()));
        let _ = writeln!(text, "  {}\n", self.publish(stream));
    }

    /// The command that publishes what a reader of the stream is shown.
    fn publish(&self, stream: &ReadyStream) -> String {
        let (program, kafka, topic) = (&self.program, &self.kafka, &stream.topic);
        let row = stream.rows.iter().find(|row| !row.is_empty());
        let options: String = row.into_iter().flatten().map(|(name, value)| publish_option(name, value)).collect();
        format!("{program} publish --kafka {kafka} --topic {topic}{options} '{{\"hello\":\"world\"}}'")
    }

    fn people(&self, text: &mut String, issuer: &str) {
        let program = &self.program;
        let _ = writeln!(text, "TEST ISSUER, FOR DEVELOPMENT ONLY: nobody is asked for a password\n  {issuer}");
        for reader in &self.people {
            let _ = writeln!(text, "  {}", reader.user);
            for (app, reading) in &reader.streams {
                let _ = writeln!(text, "    {app}: {reading}");
            }
        }
        for stream in self.streams.iter().filter(|stream| stream.of_a_cluster) {
            let app = &stream.app;
            let _ = writeln!(
                text,
                "  In a cluster, {app} takes the tokens of ServiceAccounts (kubectl create token). There is no cluster here: \
                 log in as somebody above."
            );
        }
        let _ = writeln!(text, "  {program} login {issuer}");
        for stream in self.streams.iter().filter(|stream| stream.takes_tokens) {
            let _ = writeln!(text, "  {program} stream {} --issuer {issuer}", self.url(stream));
            if stream.keys.is_empty() {
                let _ = writeln!(text, "  {}", self.publish(stream));
            }
        }
        text.push('\n');
    }

    fn url(&self, stream: &ReadyStream) -> String {
        format!("http://{}/{}", reachable(self.listen), stream.app)
    }

    fn is_default(&self) -> bool {
        crate::args::DEFAULT_SERVER.strip_prefix("http://") == Some(reachable(self.listen).to_string().as_str())
    }
}

/// What a key shows and how long, unless it is everything and for ever.
fn limits(key: &IssuedKey) -> String {
    let rows = (!key.filters.is_empty()).then(|| in_words(&key.filters));
    let end = key.expires_at.map(|end| format!("until {end}"));
    let words: Vec<String> = rows.into_iter().chain(end).collect();
    if words.is_empty() { String::new() } else { format!("  ({})", words.join(", ")) }
}

/// The option of `headgate publish` for an attribute, with a space before it; nothing for what cannot be chosen there.
fn publish_option(name: &str, value: &str) -> String {
    let mut attributes = Attributes::default();
    attributes.set(name, value);
    let value = quoted(value);
    match name {
        "subject" | "type" | "source" => format!(" --{name} {value}"),
        _ if attributes.check().is_err() || attributes == Attributes::default() => String::new(),
        _ => format!(" --attribute {name}={value}"),
    }
}

/// A word of a shell's command line.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:@".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The `websockets` library of Python, version 13 or newer.
fn python(url: &str, with_key: bool) -> String {
    let url = url.replacen("http", "ws", 1);
    let headers = if with_key {
        r#", additional_headers={"Authorization": "Bearer " + __import__("os").environ["HEADGATE_KEY"]}"#
    } else {
        ""
    };
    format!(r#"python3 -c 'from websockets.sync.client import connect; [print(e) for e in connect("{url}"{headers})]'"#)
}

/// An address that a client on this machine can use: "any address" is none.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::issuer::readers::Reading;
    use super::*;

    fn ready(listen: &str, keys: Vec<IssuedKey>) -> Ready {
        let stream = ReadyStream {
            app: "orders".to_owned(),
            topic: "shop.orders".to_owned(),
            anonymous: false,
            takes_tokens: true,
            of_a_cluster: false,
            keys,
            rows: Vec::new(),
        };
        Ready {
            streams: vec![stream],
            listen: listen.parse().unwrap(),
            admin: "127.0.0.1:9090".parse().unwrap(),
            kafka: "127.0.0.1:4711".to_owned(),
            embedded: true,
            issuer: None,
            people: Vec::new(),
            program: "target/release/headgate".to_owned(),
        }
    }

    fn key() -> IssuedKey {
        let (name, text) = ("default".to_owned(), "hgk_x".to_owned());
        IssuedKey { name, text, filters: Vec::new(), expires_at: None }
    }

    #[test]
    fn scripts_get_one_line() {
        let line = ready("127.0.0.1:8080", vec![key()]).to_json().unwrap();
        let expected = r#"{"streams":[{"app":"orders","url":"http://127.0.0.1:8080/orders","key":"hgk_x","keys":[{"name":"default","key":"hgk_x","filters":[],"expiresAt":null}]}],"kafka":"127.0.0.1:4711","admin":"http://127.0.0.1:9090"}"#;
        assert_eq!(line, expected);
        assert!(ready("127.0.0.1:8080", vec![]).to_json().unwrap().contains(r#""key":null"#));
    }

    #[test]
    fn people_get_the_key_and_commands_that_work_as_they_stand() {
        let text = ready("127.0.0.1:8080", vec![key()]).to_text();
        assert!(text.contains("key default: hgk_x"), "{text}");
        assert!(text.contains("target/release/headgate stream orders\n"), "{text}");
        assert!(text.contains("curl -N -H 'Accept: text/event-stream' -H \"Authorization: Bearer $HEADGATE_KEY\""));
        assert!(text.contains("ws://127.0.0.1:8080/orders"), "{text}");
    }

    #[test]
    fn every_key_says_what_it_shows_and_until_when_and_what_is_published_is_shown() {
        let filters = vec![Filter::exact("tenant", "a b")];
        let expires_at = Some("2027-01-01T00:00:00Z".parse().unwrap());
        let partner = IssuedKey { name: "partner".to_owned(), filters, expires_at, ..key() };
        let mut ready = ready("127.0.0.1:8080", vec![key(), partner.clone()]);
        ready.streams[0].rows = super::super::rows::rows_of_all([&[], &partner.filters[..]]);
        let text = ready.to_text();
        assert!(text.contains("key default: hgk_x\n"), "{text}");
        assert!(text.contains("key partner: hgk_x  (events with tenant a b, until 2027-01-01T00:00:00Z)\n"), "{text}");
        assert!(text.contains("--topic shop.orders --attribute tenant='a b' '{\"hello\":\"world\"}'\n"), "{text}");
        let line = ready.to_json().unwrap();
        let expected = r#"{"name":"partner","key":"hgk_x","filters":[{"exact":{"tenant":"a b"}}],"expiresAt":"2027-01-01T00:00:00Z"}"#;
        assert!(line.contains(expected), "{line}");
    }

    #[test]
    fn a_filter_becomes_the_option_that_sets_its_attribute_if_there_is_one() {
        let options = |name, value| publish_option(name, value);
        assert_eq!(options("subject", "it's"), r" --subject 'it'\''s'");
        assert_eq!(options("type", "a.b"), " --type a.b");
        assert_eq!(options("tenant", ""), " --attribute tenant=''");
        assert_eq!((options("id", "1"), options("Tenant", "1")), (String::new(), String::new()));
    }

    #[test]
    fn the_test_issuer_says_loudly_what_it_is_and_how_to_log_in() {
        let mut ready = ready("127.0.0.1:8080", vec![]);
        assert!(!ready.to_text().contains("DEVELOPMENT ONLY"));
        ready.issuer = Some("http://127.0.0.1:8082".to_owned());
        let text = ready.to_text();
        assert!(text.contains("DEVELOPMENT ONLY"), "{text}");
        assert!(text.contains("headgate login http://127.0.0.1:8082\n"), "{text}");
        assert!(text.contains("stream http://127.0.0.1:8080/orders --issuer http://127.0.0.1:8082\n"), "{text}");
        assert!(ready.to_json().unwrap().contains(r#""issuer":"http://127.0.0.1:8082"}"#));
    }

    #[test]
    fn it_is_said_who_may_read_what_and_what_stands_in_for_a_cluster() {
        let mut ready = ready("127.0.0.1:8080", vec![]);
        ready.issuer = Some("http://127.0.0.1:8082".to_owned());
        ready.streams[0].of_a_cluster = true;
        let person =
            |user: &str, reading| Reader { user: user.to_owned(), streams: vec![("orders".to_owned(), reading)] };
        ready.people = vec![
            person("alice", Reading::Rows(Vec::new())),
            person("carol", Reading::Refused(vec!["tenant".to_owned()])),
        ];
        let text = ready.to_text();
        assert!(text.contains("  alice\n    orders: everything\n"), "{text}");
        assert!(text.contains("  carol\n    orders: refused, for want of the claim tenant\n"), "{text}");
        assert!(
            text.contains("orders takes the tokens of ServiceAccounts (kubectl create token). There is no cluster"),
            "{text}"
        );
        let line = ready.to_json().unwrap();
        assert!(
            line.contains(
                r#""people":[{"user":"alice","reads":["orders"],"streams":[{"app":"orders","filters":[]}]},{"user":"carol","reads":[],"streams":[]}]"#
            ),
            "{line}"
        );
    }

    #[test]
    fn a_stream_that_takes_tokens_only_has_its_commands_beside_the_issuer() {
        let issuer = Some("http://127.0.0.1:8082".to_owned());
        let text = Ready { issuer, ..ready("127.0.0.1:8080", vec![]) }.to_text();
        assert!(text.contains("stream http://127.0.0.1:8080/orders --issuer http://127.0.0.1:8082\n"), "{text}");
        assert!(!text.contains("curl"), "{text}");
    }

    #[test]
    fn another_port_and_a_wildcard_address_become_a_whole_url() {
        let mut ready = ready("0.0.0.0:18080", vec![]);
        ready.streams[0].anonymous = true;
        let text = ready.to_text();
        assert!(text.contains("stream http://127.0.0.1:18080/orders\n"), "{text}");
        assert!(!text.contains("HEADGATE_KEY"), "{text}");
    }
}
