//! The rules that a written configuration must keep. Pure: it reads no file and loads no key.

use crate::filter;
use headgate_wire::GatewayConfig;
use headgate_wire::config::{AuthMode, Kafka, Limits, Listeners, Stream};
use headgate_wire::endpoints::ALIAS_PATH;
use std::fmt;
use std::ops::RangeInclusive;

/// Longest app name: that of a Kafka topic, whose name it often is.
pub const MAX_APP_LENGTH: usize = 249;
/// Path segments that have a meaning of their own, so no app may be called so.
pub const RESERVED_APPS: [&str; 8] =
    [ALIAS_PATH, "metrics", "livez", "readyz", "healthz", "status", "liveness", "readiness"];

const RING_BYTES: RangeInclusive<u64> = 1024 * 1024..=1024 * 1024 * 1024;
const REPLAY_CONCURRENT: RangeInclusive<u32> = 1..=256;
const DRAIN_SECONDS: RangeInclusive<u32> = 1..=3600;
const MAX_DELAY_MILLISECONDS: RangeInclusive<u32> = 0..=1000;
const MAX_TOPIC_LENGTH: usize = 249;
const MAX_EVENT_TYPE_LENGTH: usize = 255;
const MAX_FILTERS: usize = 32;
const MAX_ORIGINS: usize = 64;

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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Everything that is wrong, in the order of the fields.
pub(super) fn check(config: &GatewayConfig, has_extra_keys: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    app(&config.app, &mut problems);
    listeners(&config.listeners, &mut problems);
    kafka(&config.kafka, &mut problems);
    stream(&config.stream, &mut problems);
    auth(config, has_extra_keys, &mut problems);
    limits(&config.limits, &mut problems);
    within("drainSeconds", config.drain_seconds, &DRAIN_SECONDS, &mut problems);
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
    let is_server = |server: &str| !server.is_empty() && !server.contains(|c: char| c.is_whitespace() || c == '@');
    if !kafka.bootstrap_servers.split(',').all(|server| is_server(server.trim())) {
        let message = "must be `host:port`, several separated by commas";
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
    within("stream.replay.ringBytes", stream.replay.ring_bytes, &RING_BYTES, problems);
    within("stream.replay.maxConcurrent", stream.replay.max_concurrent, &REPLAY_CONCURRENT, problems);
    within("stream.maxDelayMilliseconds", stream.max_delay_milliseconds, &MAX_DELAY_MILLISECONDS, problems);
}

/// No combination may open a stream that its author believes closed, or ignore keys that its author believes in force.
fn auth(config: &GatewayConfig, has_extra_keys: bool, problems: &mut Vec<Problem>) {
    let access = &config.public_access;
    let has_keys = config.auth.keys_file.is_some() || has_extra_keys;
    match config.auth.mode {
        AuthMode::Oidc | AuthMode::ApiKeyOrOidc => {
            let message = "this version checks no OIDC tokens yet; use ApiKey, or a version that does";
            problems.push(Problem::new("auth.mode", message));
        }
        AuthMode::ApiKey if !has_keys => {
            problems.push(Problem::new("auth.keysFile", "mode ApiKey needs a keys file; name one"));
        }
        AuthMode::None if !access.anonymous => {
            let message =
                "mode None opens the stream to everybody; say so with publicAccess.anonymous: true, or use ApiKey";
            problems.push(Problem::new("auth.mode", message));
        }
        AuthMode::None if has_keys => {
            problems.push(Problem::new("auth.keysFile", "mode None would ignore the keys; remove them, or use ApiKey"));
        }
        AuthMode::ApiKey | AuthMode::None => {}
    }
    if access.allowed_origins.len() > MAX_ORIGINS {
        problems.push(Problem::new("publicAccess.allowedOrigins", format!("at most {MAX_ORIGINS} origins")));
    }
}

fn limits(limits: &Limits, problems: &mut Vec<Problem>) {
    for (field, value) in [
        ("limits.maxConnections", limits.max_connections),
        ("limits.maxConnectionsPerKey", limits.max_connections_per_key),
        ("limits.maxConnectionsPerAddress", limits.max_connections_per_address),
        ("limits.maxInboundBytes", limits.max_inbound_bytes),
        ("limits.handshakesPerSecond", limits.handshakes_per_second),
        ("limits.idleTimeoutSeconds", limits.idle_timeout_seconds),
        ("limits.pingSeconds", limits.ping_seconds),
    ] {
        if value == 0 {
            problems.push(Problem::new(field, "must be at least 1"));
        }
    }
    if limits.ping_seconds >= limits.idle_timeout_seconds {
        let message = "must be less than limits.idleTimeoutSeconds, else healthy clients are taken for gone";
        problems.push(Problem::new("limits.pingSeconds", message));
    }
}

fn within<T: Copy + PartialOrd + fmt::Display>(
    field: &str,
    value: T,
    range: &RangeInclusive<T>,
    problems: &mut Vec<Problem>,
) {
    if !range.contains(&value) {
        let message = format!("is {value}, must be {} to {}", range.start(), range.end());
        problems.push(Problem::new(field, message));
    }
}
