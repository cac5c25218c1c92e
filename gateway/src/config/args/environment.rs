//! The environment: variables named after flags, and those of the connectors that Headgate replaces.
//!
//! Whatever looks like a setting of ours and is none is refused with the likeliest name, because a misspelt
//! authentication setting must never be ignored. Values never appear in a message.

use super::SettingError;
use clap::{ArgAction, Command};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

/// Prefix of the variables named after flags.
pub(super) const PREFIX: &str = "HEADGATE_";
/// Prefix of librdkafka properties, the rest in upper case with `_` for `.`.
const PROPERTIES_PREFIX: &str = "KAFKA__PROPERTIES__";
/// Variables of older connectors.
const OLDER_NAMES: [&str; 5] = ["input", "PORT", "AUTH_ENABLED", "AUTH_API_KEYS", "KAFKA__BOOTSTRAP_SERVERS"];
/// Prefixes under which an unknown variable is a mistake.
const GUARDED_PREFIXES: [&str; 3] = ["AUTH_", PREFIX, "KAFKA__"];
/// Below this similarity (Jaro-Winkler, 0 to 1) a suggestion would confuse.
const MIN_SIMILARITY: f64 = 0.8;

/// Settings under the names of older connectors.
#[derive(Default)]
pub(super) struct Older<'e> {
    pub topic: Option<&'e str>,
    pub listen: Option<SocketAddr>,
    pub auth_enabled: Option<bool>,
    pub api_keys: Option<&'e str>,
    pub bootstrap_servers: Option<&'e str>,
    pub properties: BTreeMap<String, String>,
    /// Names of all that are set.
    pub names: Vec<&'e str>,
}

/// True for a variable that a gateway reads or refuses.
pub(super) fn concerns(name: &str) -> bool {
    OLDER_NAMES.contains(&name) || GUARDED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The variable named after a flag.
fn variable_of(flag: &str) -> String {
    format!("{PREFIX}{}", flag.to_ascii_uppercase().replace('-', "_"))
}

/// The variables named after flags, as flags. Those that the command line `typed` itself are left out: it wins.
pub(super) fn as_flags(
    command: &Command,
    typed: &BTreeSet<String>,
    env: &BTreeMap<String, String>,
) -> Result<Vec<String>, SettingError> {
    let mut flags = Vec::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let Some(long) = argument.get_long().filter(|_| !typed.contains(argument.get_id().as_str())) else { continue };
        let name = variable_of(long);
        let Some(value) = env.get(&name) else { continue };
        match argument.get_action() {
            ArgAction::SetTrue => match value.as_str() {
                "true" => flags.push(format!("--{long}")),
                "false" => {}
                _ => return Err(SettingError::NotBoolean(name)),
            },
            ArgAction::Append => flags.extend(value.split(',').map(|entry| format!("--{long}={}", entry.trim()))),
            _ => flags.push(format!("--{long}={value}")),
        }
    }
    Ok(flags)
}

/// Reads the older names.
pub(super) fn older<'e>(env: &'e BTreeMap<String, String>, problems: &mut Vec<SettingError>) -> Older<'e> {
    let mut older = Older::default();
    for (name, value) in env {
        match name.as_str() {
            "input" => older.topic = Some(value),
            "PORT" => match value.parse::<u16>() {
                Ok(port) => older.listen = Some((Ipv4Addr::UNSPECIFIED, port).into()),
                Err(_) => problems.push(SettingError::NotAPort),
            },
            "AUTH_ENABLED" => match value.as_str() {
                "true" => older.auth_enabled = Some(true),
                "false" => older.auth_enabled = Some(false),
                _ => problems.push(SettingError::NotBoolean(name.clone())),
            },
            "AUTH_API_KEYS" => older.api_keys = Some(value),
            "KAFKA__BOOTSTRAP_SERVERS" => older.bootstrap_servers = Some(value),
            _ => match name.strip_prefix(PROPERTIES_PREFIX).filter(|property| !property.is_empty()) {
                Some(property) => {
                    older.properties.insert(property.to_ascii_lowercase().replace('_', "."), value.clone());
                }
                None => continue,
            },
        }
        older.names.push(name);
    }
    older
}

/// A problem for each variable that looks like a setting and is none.
pub(super) fn refuse_unknown(command: &Command, env: &BTreeMap<String, String>, problems: &mut Vec<SettingError>) {
    let visible = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let mut known: BTreeSet<String> = visible.filter_map(|argument| argument.get_long()).map(variable_of).collect();
    known.extend(OLDER_NAMES.map(str::to_owned));
    for name in env.keys().filter(|name| concerns(name) && !known.contains(*name) && !is_service_link(name)) {
        if name.strip_prefix(PROPERTIES_PREFIX).is_some_and(|property| !property.is_empty()) {
            continue;
        }
        problems.push(SettingError::Unknown { name: name.clone(), suggestion: closest(name, &known) });
    }
}

/// Kubernetes describes every Service of a namespace in the environment of its pods: a Service named `auth` sets
/// `AUTH_SERVICE_HOST`, `AUTH_PORT`, `AUTH_PORT_80_TCP_ADDR` and so on. None of them is a setting.
fn is_service_link(name: &str) -> bool {
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_PORT") || name.contains("_SERVICE_PORT") {
        return true;
    }
    let Some((_, rest)) = name.rsplit_once("_PORT_") else { return false };
    let mut words = rest.split('_');
    let is_port = words.next().is_some_and(|port| port.parse::<u16>().is_ok());
    is_port
        && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
        && matches!(words.next(), None | Some("PROTO" | "PORT" | "ADDR"))
}

fn closest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    let similarity = |other: &String| strsim::jaro_winkler(name, other);
    let best = known.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(best) >= MIN_SIMILARITY).then(|| best.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptions_of_kubernetes_services_are_not_taken_for_settings() {
        for name in [
            "AUTH_SERVICE_HOST",
            "AUTH_SERVICE_PORT",
            "AUTH_SERVICE_PORT_HTTP",
            "AUTH_PORT",
            "AUTH_PORT_80_TCP",
            "HEADGATE_AUTH_PORT_80_TCP_ADDR",
        ] {
            assert!(is_service_link(name), "{name}");
        }
        for name in ["AUTH_ENABLED", "AUTH_PORT_X_TCP", "HEADGATE_AUTH", "AUTH_PORTS", "AUTH_PORT_80_TCP_KEY"] {
            assert!(!is_service_link(name), "{name}");
        }
    }
}
