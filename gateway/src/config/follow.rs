//! What of a changed configuration file takes effect in a running gateway: the rules of access, and nothing else.
//!
//! They must reach live connections within seconds. Everything else is fixed for the life of a process; whoever changes it
//! restarts the gateway, as the operator does. A file that cannot be used changes nothing, and is told of in the log, the
//! status and a metric.

use super::{Config, ConfigError, check};
use crate::auth::policy::PolicyError;
use crate::auth::{Authenticator, reload};
use crate::followed::FollowedFile;
use headgate_wire::GatewayConfig;
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
    /// Its rules of access are none.
    #[error("{field}: {0}", field = .0.field())]
    Policy(#[from] PolicyError),
    /// The process is ending.
    #[error("reading it was cut off: {0}")]
    CutOff(#[from] JoinError),
}

/// Follows the file until the shutdown.
pub async fn follow(path: PathBuf, running: Config, authenticator: Arc<Authenticator>, shutdown: CancellationToken) {
    let mut changes = reload::watch_file(&path);
    loop {
        // At once too: the file may have changed between the start of the process and that of the watch.
        let changed = read(path.clone(), &running).await;
        match changed.and_then(|changed| Ok(authenticator.change_policy(&changed)?)) {
            Ok(()) => authenticator.files().in_force(FollowedFile::Configuration),
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
    let mut changed = tokio::task::spawn_blocking(move || read_and_check(&path, has_extra_keys)).await??;
    if without_access(&changed) != without_access(&running.wire) {
        tracing::info!("the configuration file has changes that take effect with the next start only");
    }
    if changed.auth.mode != running.wire.auth.mode {
        // Another mode needs other parts of this process; until it is replaced, closing takes effect and opening does
        // not.
        changed.auth = running.wire.auth.clone();
        changed.public_access.anonymous &= running.wire.public_access.anonymous;
    }
    Ok(changed)
}

fn read_and_check(path: &Path, has_extra_keys: bool) -> Result<GatewayConfig, ConfigError> {
    let changed = Config::read_yaml(path)?;
    let problems = check::check(&changed, has_extra_keys);
    if problems.is_empty() { Ok(changed) } else { Err(ConfigError::Invalid { problems }) }
}

/// The configuration without what a running gateway takes over.
fn without_access(config: &GatewayConfig) -> GatewayConfig {
    let mut rest = config.clone();
    rest.auth.oidc = None;
    rest.public_access = headgate_wire::config::PublicAccess::default();
    rest
}
