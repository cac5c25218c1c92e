//! The rules that a written configuration must keep. Pure: it reads no file and loads no key.

mod oidc;

use crate::auth::policy::PolicyError;
use crate::stream::filter;
use headgate_wire::GatewayConfig;
use headgate_wire::config::bounds::{
    MAX_EVENT_TYPE_LENGTH, MAX_FILTERS, MAX_ORIGINS, MAX_TOPIC_LENGTH, MAX_TRUSTED_PROXIES,
};
use headgate_wire::config::{AuthMode, Kafka, Listeners, Stream};
use headgate_wire::endpoints::RESERVED_APPS;
use std::fmt;

/// Longest app name: that of a Kafka topic, whose name it often is where a gateway runs without an operator.
pub const MAX_APP_LENGTH: usize = MAX_TOPIC_LENGTH;

/// One thing that is wrong: the field and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, as it is written in the file.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A problem of this field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl From<&PolicyError> for Problem {
    fn from(error: &PolicyError) -> Self {
        Self::new(error.field(), error.to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Everything that is wrong: section by section, then the numbers.
pub(super) fn check(config: &GatewayConfig, has_extra_keys: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    app(&config.app, &mut problems);
    listeners(&config.listeners, &mut problems);
    kafka(&config.kafka, &mut problems);
    stream(&config.stream, &mut problems);
    auth(config, has_extra_keys, &mut problems);
    numbers(config, &mut problems);
    problems
}

fn app(app: &str, problems: &mut Vec<Problem>) {
    let is_segment = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if app.is_empty() || app.len() > MAX_APP_LENGTH || !app.chars().all(is_segment) || app.chars().all(|c| c == '.') {
        let message = format!(
            "must be one URL path segment of 1 to {MAX_APP_LENGTH} letters, digits, `-`, `_`, `.` or `~`; choose another name"
        );
        problems.push(Problem::new("app", message));
    } else if RESERVED_APPS.contains(&app) {
        problems.push(Problem::new("app", format!("`{app}` is a reserved path; choose another name")));
    }
}

fn listeners(listeners: &Listeners, problems: &mut Vec<Problem>) {
    if listeners.stream == listeners.admin && listeners.stream.port() != 0 {
        let message = "is the address of listeners.stream; the admin port is never exposed, give it its own";
        problems.push(Problem::new("listeners.admin", message));
    }
}

fn kafka(kafka: &Kafka, problems: &mut Vec<Problem>) {
    if !kafka.bootstrap_servers.split(',').all(|server| is_server(server.trim())) {
        let message = "must be `host:port` with a port from 1 to 65535, several separated by commas";
        problems.push(Problem::new("kafka.bootstrapServers", message));
    }
    let topic = kafka.topic.as_str();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !(1..=MAX_TOPIC_LENGTH).contains(&topic.len()) || !topic.chars().all(is_name) || matches!(topic, "." | "..") {
        let message = "must be the name of a Kafka topic: 1 to 249 letters, digits, `.`, `_` or `-`";
        problems.push(Problem::new("kafka.topic", message));
    }
    if let Some(tls) = &kafka.tls
        && tls.certificate_file.is_some() != tls.key_file.is_some()
    {
        let message = "certificateFile and keyFile belong together; name both or neither";
        problems.push(Problem::new("kafka.tls", message));
    }
}

fn stream(stream: &Stream, problems: &mut Vec<Problem>) {
    let event_type = stream.event_type.as_str();
    if !(1..=MAX_EVENT_TYPE_LENGTH).contains(&event_type.len()) || event_type.contains(char::is_control) {
        let message = format!("must be 1 to {MAX_EVENT_TYPE_LENGTH} bytes, such as `com.example.order.v1`");
        problems.push(Problem::new("stream.eventType", message));
    }
    if stream.filters.len() > MAX_FILTERS {
        problems.push(Problem::new("stream.filters", format!("at most {MAX_FILTERS}; combine some with `all`")));
    }
    for (index, filter) in stream.filters.iter().enumerate() {
        if let Err(error) = filter::validate(filter) {
            problems.push(Problem::new(format!("stream.filters[{index}]"), error.to_string()));
        }
    }
}

/// A broker as librdkafka reads it: with its own default where there is no port, and a security protocol in front where
/// older configurations have one.
fn is_server(server: &str) -> bool {
    let address = server.split_once("://").map_or(server, |(_, address)| address);
    let (host, port) = match address.rsplit_once(':') {
        // Within brackets a colon is part of the address (RFC 3986 section 3.2.2).
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    };
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0);
    let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || matches!(c, '@' | '/'));
    is_host && port.is_none_or(is_port)
}

/// No combination may open a stream that its author believes closed, or ignore keys that its author believes in force.
fn auth(config: &GatewayConfig, has_extra_keys: bool, problems: &mut Vec<Problem>) {
    let access = &config.public_access;
    let has_keys = config.auth.keys_file.is_some() || has_extra_keys;
    match config.auth.mode {
        AuthMode::ApiKey | AuthMode::ApiKeyOrOidc if !has_keys => {
            problems.push(Problem::new("auth.keysFile", "a mode with API keys needs a keys file; name one"));
        }
        AuthMode::Oidc if has_keys => {
            let message = "mode OIDC would ignore the keys; remove them, or use ApiKeyOrOIDC";
            problems.push(Problem::new("auth.keysFile", message));
        }
        AuthMode::None if !access.anonymous => {
            let message =
                "mode None opens the stream to everybody; say so with publicAccess.anonymous: true, or use ApiKey";
            problems.push(Problem::new("auth.mode", message));
        }
        AuthMode::None if has_keys => {
            problems.push(Problem::new("auth.keysFile", "mode None would ignore the keys; remove them, or use ApiKey"));
        }
        AuthMode::ApiKey | AuthMode::None | AuthMode::Oidc | AuthMode::ApiKeyOrOidc => {}
    }
    oidc::check(config, problems);
    if access.trusted_proxies.len() > MAX_TRUSTED_PROXIES {
        let message = format!("at most {MAX_TRUSTED_PROXIES} networks");
        problems.push(Problem::new("publicAccess.trustedProxies", message));
    }
    if access.allowed_origins.len() > MAX_ORIGINS {
        problems.push(Problem::new("publicAccess.allowedOrigins", format!("at most {MAX_ORIGINS} origins")));
    }
}

fn numbers(config: &GatewayConfig, problems: &mut Vec<Problem>) {
    for (bounds, value) in config.numbers() {
        if !bounds.contains(value) {
            let message = format!("is {value}, must be {} to {}", bounds.least, bounds.most);
            problems.push(Problem::new(bounds.field, message));
        }
    }
    if config.limits.ping_seconds >= config.limits.idle_timeout_seconds {
        let message = "must be less than limits.idleTimeoutSeconds, else healthy clients are taken for gone";
        problems.push(Problem::new("limits.pingSeconds", message));
    }
}
