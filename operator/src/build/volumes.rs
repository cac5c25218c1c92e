//! Where a gateway finds its files.
//!
//! Whole directories, never single files of them: only those are refreshed while a pod runs.

use crate::model::Endpoint;
use crate::settings::{Settings, TICKETS_MOUNT};
use headgate_crds::names;
use headgate_wire::endpoints::{CONFIG_MOUNT, KEYS_MOUNT};
use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, SecretVolumeSource, Volume, VolumeMount};
use std::path::Path;

/// Readable by the gateway whatever user it runs as, which the cluster may choose; nobody else mounts them.
const READ_ONLY: i32 = 0o444;

/// Volumes of the pod, and where its container sees them.
pub(super) fn volumes(endpoint: &Endpoint, settings: &Settings) -> (Vec<Volume>, Vec<VolumeMount>) {
    let mut all = vec![
        (config_map("config", names::gateway(&endpoint.name)), CONFIG_MOUNT.to_owned()),
        (secret("keys", names::verifier(&endpoint.name)), KEYS_MOUNT.to_owned()),
    ];
    if endpoint.auth.has_tickets() {
        all.push((secret("tickets", names::tickets(&endpoint.name)), TICKETS_MOUNT.to_owned()));
    }
    if !endpoint.kafka.files.is_empty() {
        all.push((secret("kafka", names::kafka(&endpoint.name)), text(&settings.kafka_directory)));
    }
    if let Some(certificate) = &endpoint.certificate {
        all.push((secret("tls", certificate.secret.to_string()), text(&settings.tls_directory)));
    }
    all.into_iter().map(|(volume, path)| (volume.clone(), mount(volume.name, path))).unzip()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn mount(name: String, path: String) -> VolumeMount {
    VolumeMount { name, mount_path: path, read_only: Some(true), ..VolumeMount::default() }
}

fn config_map(volume: &str, name: String) -> Volume {
    let source = ConfigMapVolumeSource { name, default_mode: Some(READ_ONLY), ..ConfigMapVolumeSource::default() };
    Volume { name: volume.to_owned(), config_map: Some(source), ..Volume::default() }
}

fn secret(volume: &str, name: String) -> Volume {
    let source =
        SecretVolumeSource { secret_name: Some(name), default_mode: Some(READ_ONLY), ..SecretVolumeSource::default() };
    Volume { name: volume.to_owned(), secret: Some(source), ..Volume::default() }
}
