//! What of a changed configuration file takes effect in a running gateway: the rules of access, and nothing else.
//!
//! They must reach live connections within seconds. Everything else is fixed for the life of a process; whoever changes it
//! restarts the gateway, as the operator does; until then the names of the fields that wait are in the log, the status and a
//! metric. A file that cannot be used changes nothing, and is told of in the log, the status and a metric.

use super::{Config, ConfigError, Problem, check};
use crate::auth::{Authenticator, Policy, reload};
use crate::config::followed::{FollowedFile, FollowedFiles};
use headgate_wire::GatewayConfig;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

/// Why a changed file is not in force.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    /// It is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The process is ending.
    #[error("reading it was cut off: {0}")]
    CutOff(#[from] JoinError),
}

/// Follows the file until the shutdown.
pub async fn follow(path: PathBuf, running: Config, authenticator: Arc<Authenticator>, shutdown: CancellationToken) {
    let mut changes = reload::watch_file(&path);
    loop {
        // At once too: the file may have changed between the start of the process and that of the watch.
        let taken_over = read(path.clone(), &running).await.and_then(|written| {
            let changed = in_this_process(written.clone(), &running.wire);
            let change = authenticator.change_policy(&changed);
            change.map_err(|errors| ConfigError::Invalid { problems: errors.iter().map(Problem::from).collect() })?;
            Ok(waiting(&written, &changed, &running.wire))
        });
        match taken_over {
            Ok(waiting) => {
                authenticator.files().in_force(FollowedFile::Configuration);
                tell_of(waiting, authenticator.files());
            }
            Err(error) => {
                let in_force =
                    "the configuration file cannot be used; the rules of access before its change stay in force";
                tracing::error!(%error, "{in_force}");
                authenticator.files().unusable(FollowedFile::Configuration, &path, &error);
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

async fn read(path: PathBuf, running: &Config) -> Result<GatewayConfig, Unusable> {
    let has_extra_keys = !running.extra_keys.is_empty();
    Ok(tokio::task::spawn_blocking(move || read_and_check(&path, has_extra_keys)).await??)
}

/// What of the file can take effect here.
fn in_this_process(mut changed: GatewayConfig, running: &GatewayConfig) -> GatewayConfig {
    if changed.auth.mode != running.auth.mode {
        // Another mode needs other parts of this process; until it is replaced, closing takes effect and opening does
        // not.
        changed.auth = running.auth.clone();
        changed.public_access.anonymous &= running.public_access.anonymous;
    }
    changed
}

/// The fields of the file that are not in force before the next start.
fn waiting(written: &GatewayConfig, changed: &GatewayConfig, running: &GatewayConfig) -> BTreeSet<String> {
    let mut fields = differing(&without_access(written), &without_access(running));
    fields.append(&mut differing(written, changed));
    fields
}

/// The fields in which two configurations differ, named down to the second level, such as `app` or `stream.filters`: below
/// it may be names that somebody chose.
fn differing(one: &GatewayConfig, other: &GatewayConfig) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    for (name, one, other) in differing_members(&members_of(one), &members_of(other)) {
        match (one.as_object(), other.as_object()) {
            (Some(one), Some(other)) => {
                let inner = differing_members(one, other).into_iter().map(|(inner, ..)| format!("{name}.{inner}"));
                fields.extend(inner);
            }
            _ => drop(fields.insert(name)),
        }
    }
    fields
}

fn differing_members(one: &Map<String, Value>, other: &Map<String, Value>) -> Vec<(String, Value, Value)> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let both = names.into_iter().map(|name| (name, one.get(name), other.get(name)));
    let differing = both.filter(|(_, one, other)| one != other);
    let value = |value: Option<&Value>| value.cloned().unwrap_or_default();
    differing.map(|(name, one, other)| (name.clone(), value(one), value(other))).collect()
}

fn members_of(config: &GatewayConfig) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(members)) => members,
        // Cannot happen: it was read from such an object.
        _ => Map::new(),
    }
}

/// Tells in the log whenever it is news, and in the status and the metric for as long as it is true.
fn tell_of(waiting: BTreeSet<String>, files: &FollowedFiles) {
    if waiting != files.waiting_for_restart() {
        if waiting.is_empty() {
            tracing::info!("nothing in the configuration file waits for the next start any more");
        } else {
            let fields = waiting.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            tracing::warn!(
                fields,
                "fields of the configuration file have changed that take effect with the next start only"
            );
        }
    }
    files.wait_for_restart(waiting);
}

fn read_and_check(path: &Path, has_extra_keys: bool) -> Result<GatewayConfig, ConfigError> {
    let changed = Config::read_yaml(path)?;
    let mut problems = check::check(&changed, has_extra_keys);
    problems.extend(Policy::new(&changed).err().iter().flatten().map(Problem::from));
    if problems.is_empty() { Ok(changed) } else { Err(ConfigError::Invalid { problems }) }
}

/// The configuration without what a running gateway takes over.
fn without_access(config: &GatewayConfig) -> GatewayConfig {
    let mut rest = config.clone();
    rest.auth.oidc = None;
    rest.public_access = headgate_wire::config::PublicAccess::default();
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(change: &Value) -> GatewayConfig {
        let mut written = json!({
            "app": "orders", "kafka": { "bootstrapServers": "a:1", "topic": "t" }, "auth": { "mode": "ApiKey" },
        });
        for (pointer, value) in change.as_object().into_iter().flatten() {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            written.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        Config::parse_yaml(&written.to_string()).unwrap()
    }

    #[test]
    fn the_fields_that_wait_for_the_next_start_are_named_and_those_that_do_not_are_not() {
        let running = config(&json!({}));
        let waiting = |change: &Value| {
            let written = config(change);
            json!(waiting(&written, &in_this_process(written.clone(), &running), &running))
        };
        assert_eq!(waiting(&json!({})), json!([]));
        assert_eq!(waiting(&json!({ "/publicAccess": { "anonymous": true, "hostname": "a.example" } })), json!([]));
        let filters = json!({ "filters": [{ "exact": { "planted": "31337" } }] });
        assert_eq!(
            waiting(
                &json!({ "/app": "other", "/limits": { "pingSeconds": 7 }, "/stream": filters, "/drainSeconds": 9 })
            ),
            json!(["app", "drainSeconds", "limits.pingSeconds", "stream.filters"])
        );
        let properties = json!({ "bootstrapServers": "a:1", "topic": "t", "properties": { "planted": "31337" } });
        assert_eq!(waiting(&json!({ "/kafka": properties })), json!(["kafka.properties"]));
        assert_eq!(waiting(&json!({ "/endpoint": "shop/orders" })), json!(["endpoint"]));
        let open = json!({ "/auth": { "mode": "None" }, "/publicAccess": { "anonymous": true } });
        assert_eq!(waiting(&open), json!(["auth.mode", "publicAccess.anonymous"]), "opening needs a restart too");
        let closed =
            json!({ "/auth": { "mode": "ApiKeyOrOIDC", "oidc": { "issuerURL": "https://a", "audiences": [] } } });
        assert_eq!(waiting(&closed), json!(["auth.mode", "auth.oidc"]));
    }
}
