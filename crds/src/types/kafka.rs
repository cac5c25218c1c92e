//! Names of apps, topics, brokers and event attributes.
//!
//! Owns their limits. Must never talk to Kafka.

/// One broker, with a port from 1 to 65535.
macro_rules! server {
    () => {
        concat!(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):", port!())
    };
}

text_types! {
    /// Name of an app: the first segment of the stream's path.
    AppName {
        kind: "app name",
        length: 1..=63,
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        // Paths of every gateway itself.
        reserved: &["ws", "metrics", "livez", "readyz", "healthz", "status", "liveness", "readiness"],
        remedy: "use lower-case letters, digits and '-', beginning and ending with a letter or digit, and no path of gateways like 'ws' or 'status'",
    }

    /// Name of a Kafka topic.
    TopicName {
        kind: "topic name",
        length: 1..=249,
        pattern: "^[a-zA-Z0-9._-]+$",
        reserved: &[".", ".."],
        remedy: "use letters, digits, '.', '_' and '-', as Kafka does",
    }

    /// Kafka brokers as `host:port`, separated by commas without spaces.
    BootstrapServers {
        kind: "list of bootstrap servers",
        length: 3..=1024,
        pattern: concat!("^", server!(), "(,", server!(), ")*$"),
        remedy: "write host:port, or several of them separated by commas without spaces, with ports from 1 to 65535",
    }

    /// CloudEvents `type`: a name under a domain that you own, in reverse order.
    EventType {
        kind: "event type",
        length: 1..=255,
        pattern: "^[!-~]+$",
        remedy: "write it like com.example.order.created, without spaces",
    }

    /// Name of a CloudEvents attribute or extension.
    AttributeName {
        kind: "CloudEvents attribute name",
        length: 1..=64,
        pattern: "^[a-z0-9]+$",
        remedy: "use lower-case letters and digits only, as CloudEvents does",
    }
}

impl BootstrapServers {
    /// The brokers one by one.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.as_str().split(',')
    }
}
