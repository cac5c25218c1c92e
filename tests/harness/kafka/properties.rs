//! The broker's configuration file, its certificates, and what a client needs to match them.
//!
//! It writes files and makes strings; it never starts anything.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Result;
use rdkafka::ClientConfig;

use crate::certificates::{Authority, Issued};
use crate::ports::free_port;

pub(super) const FILE: &str = "server.properties";
pub(super) const DATA: &str = "data";
pub(super) const AUTHORITY: &str = "ca.pem";
pub(super) const CLIENT_CERTIFICATE: &str = "client.pem";
pub(super) const CLIENT_KEY: &str = "client-key.pem";
const SERVER_KEYSTORE: &str = "server.pem";

/// One of the broker's doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Neither TLS nor users. Everything is allowed here: the harness itself uses it.
    Plaintext,
    /// Users and passwords without TLS.
    SaslPlaintext,
    /// Users and passwords over TLS.
    SaslSsl,
    /// TLS with a client certificate; its user is the certificate's common name.
    Ssl,
}

impl Listener {
    const ALL: [Self; 4] = [Self::Plaintext, Self::SaslPlaintext, Self::SaslSsl, Self::Ssl];

    /// Kafka's name of it, also its `security.protocol`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
            Self::Ssl => "SSL",
        }
    }
}

/// How a user logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself.
    Plain,
    /// A challenge with SHA-256.
    ScramSha256,
    /// A challenge with SHA-512.
    ScramSha512,
}

impl Mechanism {
    pub(super) const SCRAM: [Self; 2] = [Self::ScramSha256, Self::ScramSha512];

    /// Kafka's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// A user that the broker knows, with every mechanism.
#[derive(Clone, Copy, Debug)]
pub struct User {
    /// What it logs in as.
    pub name: &'static str,
    /// Its password.
    pub password: &'static str,
}

/// May do everything.
pub const SUPER_USER: User = User { name: "admin", password: "admin-secret" };
/// May do only what [`super::RealKafka::allow`] has granted.
pub const STRANGER: User = User { name: "stranger", password: "stranger-secret" };
pub(super) const USERS: [User; 2] = [SUPER_USER, STRANGER];
/// The common name of the client certificate; a user like [`STRANGER`].
pub(super) const CERTIFICATE_USER: &str = "certified";

/// The address and the ports of one broker, the same for its whole life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    host: Ipv4Addr,
    controller: u16,
    listeners: [u16; Listener::ALL.len()],
}

impl Ports {
    pub(super) fn choose(host: Ipv4Addr) -> Result<Self> {
        let mut listeners = [0; Listener::ALL.len()];
        for port in &mut listeners {
            *port = free_port()?;
        }
        Ok(Self { host, controller: free_port()?, listeners })
    }

    pub(super) fn port(self, listener: Listener) -> u16 {
        self.listeners[listener as usize]
    }

    pub(super) fn address(self, listener: Listener) -> String {
        format!("{}:{}", self.host, self.port(listener))
    }
}

/// The node that is the controller, too.
pub(super) const FIRST_NODE: i32 = 1;

/// Everything that one broker on one machine needs so that no internal topic waits for a second one. The session time
/// is how long a killed broker must wait for its own ghost when it starts again; nine seconds by default.
const ALONE: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=250
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=2097152
ssl.keystore.type=PEM
ssl.truststore.type=PEM
listener.name.ssl.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/,DEFAULT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
";

/// The text of `server.properties`; `extra` comes last and so wins.
pub(super) fn render(folder: &Path, ports: Ports, extra: &[(&str, &str)]) -> String {
    let advertised =
        Listener::ALL.map(|listener| format!("{}://{}", listener.name(), ports.address(listener))).join(",");
    let controller = format!("127.0.0.1:{}", ports.controller);
    let file = |name: &str| folder.join(name).display().to_string();
    let mut settings: Vec<(String, String)> = vec![
        ("controller.quorum.voters".into(), format!("{FIRST_NODE}@{controller}")),
        ("listeners".into(), format!("CONTROLLER://{controller},{advertised}")),
        ("advertised.listeners".into(), advertised),
        ("log.dirs".into(), file(DATA)),
        ("ssl.keystore.location".into(), file(SERVER_KEYSTORE)),
        ("ssl.truststore.location".into(), file(AUTHORITY)),
        ("super.users".into(), format!("User:ANONYMOUS;User:{}", SUPER_USER.name)),
    ];
    settings.extend(logins());
    settings.extend(extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    settings.into_iter().fold(ALONE.to_owned(), |mut text, (key, value)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key}={value}");
        text
    })
}

/// What makes a broker at `ports` a further one of the cluster whose first one is at `first`.
pub(super) fn beside(first: Ports, ports: Ports, node: i32) -> Vec<(&'static str, String)> {
    let listeners = Listener::ALL.map(|listener| format!("{}://{}", listener.name(), ports.address(listener)));
    vec![
        ("process.roles", "broker".to_owned()),
        ("node.id", node.to_string()),
        ("controller.quorum.voters", format!("{FIRST_NODE}@127.0.0.1:{}", first.controller)),
        ("listeners", listeners.join(",")),
    ]
}

/// The login modules of both listeners with users.
fn logins() -> Vec<(String, String)> {
    let passwords = USERS.map(|user| format!("user_{}=\"{}\"", user.name, user.password)).join(" ");
    let plain = format!("org.apache.kafka.common.security.plain.PlainLoginModule required {passwords};");
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let mut logins = Vec::new();
    for listener in ["sasl_plaintext", "sasl_ssl"] {
        logins.push((format!("listener.name.{listener}.plain.sasl.jaas.config"), plain.clone()));
        for mechanism in Mechanism::SCRAM {
            let mechanism = mechanism.name().to_lowercase();
            logins.push((format!("listener.name.{listener}.{mechanism}.sasl.jaas.config"), scram.to_owned()));
        }
    }
    logins
}

/// Makes an authority for this broker, and the files of broker and client.
pub(super) fn write_certificates(folder: &Path, host: Ipv4Addr) -> Result<()> {
    let authority = Authority::new("Kafka of the tests")?;
    let Issued { certificate, key } = authority.server(&["localhost", &host.to_string()])?;
    fs::write(folder.join(SERVER_KEYSTORE), key + &certificate)?;
    fs::write(folder.join(AUTHORITY), authority.certificate())?;
    let client = authority.client(CERTIFICATE_USER)?;
    fs::write(folder.join(CLIENT_CERTIFICATE), client.certificate)?;
    fs::write(folder.join(CLIENT_KEY), client.key)?;
    Ok(())
}

/// What a client of this listener is told: its address, its protocol and the TLS files.
pub(super) fn client(folder: &Path, ports: Ports, listener: Listener) -> ClientConfig {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", ports.address(listener)).set("security.protocol", listener.name());
    // A broker that comes back is found soon; the default is ten seconds.
    config.set("reconnect.backoff.ms", "20").set("reconnect.backoff.max.ms", "200");
    if matches!(listener, Listener::SaslSsl | Listener::Ssl) {
        config.set("ssl.ca.location", file(AUTHORITY));
    }
    if listener == Listener::Ssl {
        config.set("ssl.certificate.location", file(CLIENT_CERTIFICATE)).set("ssl.key.location", file(CLIENT_KEY));
    }
    config
}
