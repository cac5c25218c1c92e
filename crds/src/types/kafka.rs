//! Names of apps, topics, brokers and event attributes.
//!
//! Owns their limits. Must never talk to Kafka.

text_types! {
    /// Name of an app: the first segment of the stream's path.
    AppName {
        kind: "app name",
        length: 1..=63,
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        // Every gateway answers to /ws as an alias of its own app.
        reserved: &["ws"],
        remedy: "use lower-case letters, digits and '-', beginning and ending with a letter or digit, and not 'ws'",
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
        pattern: r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}(,(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5})*$",
        remedy: "write host:port, or several of them separated by commas without spaces",
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
