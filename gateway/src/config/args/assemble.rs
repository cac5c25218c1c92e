//! From flags and variables to the configuration that a file would have held. Pure; bounds are checked later, by
//! [`crate::config`].

use super::SettingError;
use super::environment::Older;
use super::flags::{Flags, KafkaFlags};
use crate::auth::brought_keys::{BroughtKeys, brought_keys};
use headgate_wire::GatewayConfig;
use headgate_wire::config::{
    Auth, AuthMode, Kafka, KafkaSasl, KafkaTls, Limits, ListenerTls, Listeners, Properties, PublicAccess,
    QueryCredentials, Replay, Stream,
};
use headgate_wire::key::Verifier;

/// Words in the names of librdkafka properties whose values are secret.
const SECRET_WORDS: [&str; 7] = ["password", "passphrase", "secret", "token", "pem", "jaas", "oauthbearer.config"];

/// What flags and variables say.
pub(super) struct Assembled {
    pub config: GatewayConfig,
    pub extra_keys: Vec<Verifier>,
    pub warnings: Vec<String>,
}

struct Access {
    mode: AuthMode,
    anonymous: bool,
    keys: BroughtKeys,
}

/// A whole configuration, or nothing and at least one problem.
pub(super) fn assemble(flags: Flags, older: Older<'_>, problems: &mut Vec<SettingError>) -> Option<Assembled> {
    let access = access(&flags, &older).map_err(|problem| problems.push(problem)).ok();
    let mut warnings = Vec::new();
    let in_url = flags.allow_query_credentials || older.api_keys.is_some();
    let topic = flags.topic.clone().or_else(|| older.topic.map(str::to_owned));
    if topic.is_none() {
        problems.push(SettingError::Missing("--topic (or HEADGATE_TOPIC, or input)"));
    }
    let listeners = listeners(&flags, &older);
    let (limits, stream) = (limits(&flags), stream(&flags));
    let kafka = kafka(flags.kafka, topic.as_deref(), older, problems);
    let (access, kafka) = (access?, kafka?);
    if access.anonymous {
        warnings.push("anyone may read this stream: anonymous access is on".to_owned());
    }
    if in_url && access.mode == AuthMode::ApiKey {
        warnings.push(
            "credentials in the URL (?token=) are accepted; proxies and browsers may log them, prefer the Authorization \
             header"
                .to_owned(),
        );
    }
    warnings.extend(access.keys.warnings);
    let in_url = if in_url { QueryCredentials::Allowed } else { QueryCredentials::Denied };
    let config = GatewayConfig {
        app: flags.app.unwrap_or_else(|| kafka.topic.clone()),
        endpoint: None,
        listeners,
        kafka,
        stream,
        auth: Auth::keys(access.mode, flags.keys_file),
        public_access: PublicAccess {
            anonymous: access.anonymous,
            allowed_origins: flags.allowed_origin,
            query_credentials: in_url,
            hostname: None,
            trusted_proxies: Vec::new(),
        },
        limits,
        drain_seconds: flags.drain_seconds.unwrap_or(DEFAULT_DRAIN_SECONDS),
    };
    Some(Assembled { config, extra_keys: access.keys.verifiers, warnings })
}

/// As in a file that does not say it.
const DEFAULT_DRAIN_SECONDS: u32 = 30;

/// Who may connect. Nothing said, or something contradictory, is an error and never an open stream.
fn access(flags: &Flags, older: &Older<'_>) -> Result<Access, SettingError> {
    let none = BroughtKeys { verifiers: Vec::new(), warnings: Vec::new() };
    let keys = match older.api_keys {
        // A switched-off list may be left empty.
        Some(list) if older.auth_enabled == Some(false) && list.trim().is_empty() => none,
        Some(list) => brought_keys(list)?,
        None => none,
    };
    let has_keys = !keys.verifiers.is_empty() || flags.keys_file.is_some();
    let (mode, anonymous) = match (older.auth_enabled, has_keys, flags.anonymous) {
        (Some(true), false, _) => return Err(SettingError::NoKeys),
        (Some(true), true, true) => return Err(SettingError::Contradiction),
        (Some(true), true, false) => (AuthMode::ApiKey, false),
        // The keys stay valid, so that clients which send one go on working.
        (Some(false), true, _) => (AuthMode::ApiKey, true),
        (None, true, anonymous) => (AuthMode::ApiKey, anonymous),
        (Some(false), false, _) | (None, false, true) => (AuthMode::None, true),
        (None, false, false) => return Err(SettingError::NobodySaysWho),
    };
    Ok(Access { mode, anonymous, keys })
}

fn listeners(flags: &Flags, older: &Older<'_>) -> Listeners {
    let default = Listeners::default();
    let files = flags.tls_certificate_file.clone().zip(flags.tls_key_file.clone());
    Listeners {
        stream: flags.listen.or(older.listen).unwrap_or(default.stream),
        admin: flags.admin.unwrap_or(default.admin),
        tls: files.map(|(certificate_file, key_file)| ListenerTls { certificate_file, key_file }),
    }
}

fn stream(flags: &Flags) -> Stream {
    let default = Stream::default();
    let replay = Replay::default();
    Stream {
        format: flags.format.unwrap_or(default.format),
        start: flags.start.unwrap_or(default.start),
        event_type: flags.event_type.clone().unwrap_or(default.event_type),
        slow_client: flags.slow_client.unwrap_or(default.slow_client),
        replay: Replay { ring_bytes: flags.ring_bytes.unwrap_or(replay.ring_bytes), ..replay },
        ..Stream::default()
    }
}

fn limits(flags: &Flags) -> Limits {
    let default = Limits::default();
    Limits {
        max_connections: flags.max_connections.unwrap_or(default.max_connections),
        max_connections_per_key: flags.max_connections_per_key.unwrap_or(default.max_connections_per_key),
        max_connections_per_address: flags.max_connections_per_address.unwrap_or(default.max_connections_per_address),
        ..default
    }
}

fn kafka(flags: KafkaFlags, topic: Option<&str>, older: Older<'_>, problems: &mut Vec<SettingError>) -> Option<Kafka> {
    let bootstrap_servers = flags.bootstrap_servers.or_else(|| older.bootstrap_servers.map(str::to_owned));
    if bootstrap_servers.is_none() {
        problems.push(SettingError::Missing("--kafka (or HEADGATE_KAFKA, or KAFKA__BOOTSTRAP_SERVERS)"));
    }
    let mut properties = older.properties;
    for (index, property) in flags.properties.iter().enumerate() {
        match property.split_once('=') {
            Some((name, _)) if is_secret(name) => problems.push(SettingError::SecretProperty(name.to_owned())),
            Some((name, value)) if !name.is_empty() => {
                properties.insert(name.to_owned(), value.to_owned());
            }
            _ => problems.push(SettingError::MalformedProperty(index + 1)),
        }
    }
    let any_tls_file = flags.ca_file.is_some() || flags.certificate_file.is_some() || flags.key_file.is_some();
    let tls = (flags.tls || any_tls_file).then_some(KafkaTls {
        ca_file: flags.ca_file,
        certificate_file: flags.certificate_file,
        key_file: flags.key_file,
    });
    let sasl = match (flags.mechanism, flags.username_file, flags.password_file) {
        (None, None, None) => None,
        (Some(mechanism), Some(username_file), Some(password_file)) => {
            Some(KafkaSasl { mechanism, username_file, password_file })
        }
        _ => {
            problems.push(SettingError::IncompleteSasl);
            None
        }
    };
    Some(Kafka {
        bootstrap_servers: bootstrap_servers?,
        topic: topic?.to_owned(),
        tls,
        sasl,
        isolation: flags.isolation.unwrap_or_default(),
        properties: Properties(properties),
    })
}

fn is_secret(property: &str) -> bool {
    let property = property.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| property.contains(word))
}
