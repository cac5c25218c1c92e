//! The files that a running gateway takes over when they change, and which of them is not in force.
//!
//! A file that cannot be used changes nothing: what was in force stays in force. That must not be known to the log alone,
//! so it is in the status and in metrics until the file can be used; so are the fields of the configuration that wait for the
//! next start. Owns no reading. What it keeps of a file is its path, a sentence about it and names of fields, never its
//! content.

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Most characters of a sentence that are kept.
const MAX_REASON_CHARACTERS: usize = 1000;

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FollowedFile {
    /// The configuration: its rules of access are taken over.
    Configuration,
    /// `auth.keysFile`.
    Keys,
    /// `auth.oidc.jwksFile`.
    KeySet,
    /// `auth.oidc.caFile`.
    Authority,
    /// `listeners.tls`.
    Certificate,
}

impl FollowedFile {
    /// The word for it in metrics and in the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Keys => "keys",
            Self::KeySet => "jwks",
            Self::Authority => "ca",
            Self::Certificate => "certificate",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabel {
    file: &'static str,
}

/// How the followed files of one stream stand.
#[derive(Debug, Default)]
pub struct FollowedFiles {
    successful: Family<FileLabel, Gauge>,
    failures: Family<FileLabel, Counter>,
    unusable: Mutex<BTreeMap<FollowedFile, Unusable>>,
    restart_required: Gauge,
    waiting: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct Unusable {
    path: PathBuf,
    reason: String,
    since: Timestamp,
}

impl FollowedFiles {
    /// Puts the metrics into a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "config_last_reload_successful",
            "1 while the file is in force as it is now, 0 while it cannot be used and what was read before stays in force",
            self.successful.clone(),
        );
        registry.register(
            "config_reload_failures",
            "Times that a file was read again and could not be used",
            self.failures.clone(),
        );
        registry.register(
            "config_restart_required",
            "1 while the configuration file has changes that take effect with the next start only",
            self.restart_required.clone(),
        );
    }

    /// The file is in force as it is now.
    pub fn in_force(&self, file: FollowedFile) {
        self.successful.get_or_create(&file.into()).set(1);
        // So that there is a zero from which the first failure is an increase.
        drop(self.failures.get_or_create(&file.into()));
        self.with(|unusable| drop(unusable.remove(&file)));
    }

    /// The file cannot be used. The reason must not repeat what is in it.
    pub fn unusable(&self, file: FollowedFile, path: &Path, reason: &dyn Display) {
        self.successful.get_or_create(&file.into()).set(0);
        self.failures.get_or_create(&file.into()).inc();
        let reason = reason.to_string().chars().take(MAX_REASON_CHARACTERS).collect();
        self.with(|unusable| {
            let since = unusable.get(&file).map_or_else(Timestamp::now, |known| known.since);
            unusable.insert(file, Unusable { path: path.to_owned(), reason, since });
        });
    }

    /// There is no such file any more.
    pub fn not_followed(&self, file: FollowedFile) {
        self.successful.remove(&file.into());
        self.with(|unusable| drop(unusable.remove(&file)));
    }

    /// The files that are not in force: `file`, `path`, `reason`, and `since` when (RFC 3339).
    pub fn report(&self) -> Vec<Value> {
        let one = |(file, Unusable { path, reason, since }): (&FollowedFile, &Unusable)| json!({ "file": file.as_str(), "path": path, "reason": reason, "since": since });
        self.with(|unusable| unusable.iter().map(one).collect())
    }

    /// These fields of the configuration file take effect with the next start only; none, if all of it is in force. Names
    /// of fields, of which there are no more than the configuration has.
    pub fn wait_for_restart(&self, fields: BTreeSet<String>) {
        self.restart_required.set(i64::from(!fields.is_empty()));
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = fields;
    }

    /// The fields of the configuration file that take effect with the next start only, such as `stream.filters`.
    pub fn waiting_for_restart(&self) -> BTreeSet<String> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<FollowedFile, Unusable>) -> T) -> T {
        work(&mut self.unusable.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<FollowedFile> for FileLabel {
    fn from(file: FollowedFile) -> Self {
        Self { file: file.as_str() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics_of(files: &FollowedFiles) -> String {
        let mut registry = Registry::default();
        files.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_file_is_not_in_force_from_its_first_failure_to_the_next_success() {
        let files = FollowedFiles::default();
        files.in_force(FollowedFile::Keys);
        assert_eq!(files.report(), Vec::<Value>::new());
        assert!(metrics_of(&files).contains("config_last_reload_successful{file=\"keys\"} 1"));

        files.unusable(FollowedFile::Keys, Path::new("/k"), &"line 1");
        let since = files.report()[0]["since"].clone();
        files.unusable(FollowedFile::Keys, Path::new("/k"), &"line 2");
        let expected = json!([{ "file": "keys", "path": "/k", "reason": "line 2", "since": since }]);
        assert_eq!(Value::from(files.report()), expected);
        let text = metrics_of(&files);
        assert!(text.contains("config_last_reload_successful{file=\"keys\"} 0"), "{text}");
        assert!(text.contains("config_reload_failures_total{file=\"keys\"} 2"), "{text}");

        files.in_force(FollowedFile::Keys);
        assert_eq!(files.report(), Vec::<Value>::new());
        assert!(metrics_of(&files).contains("config_last_reload_successful{file=\"keys\"} 1"));
    }

    #[test]
    fn fields_wait_for_a_restart_until_they_are_changed_back() {
        let files = FollowedFiles::default();
        assert!(metrics_of(&files).contains("config_restart_required 0"));
        files.wait_for_restart(["limits.pingSeconds".to_owned()].into());
        assert_eq!(json!(files.waiting_for_restart()), json!(["limits.pingSeconds"]));
        assert!(metrics_of(&files).contains("config_restart_required 1"));
        files.wait_for_restart(BTreeSet::new());
        assert_eq!(json!(files.waiting_for_restart()), json!([]));
        assert!(metrics_of(&files).contains("config_restart_required 0"));
    }

    #[test]
    fn a_file_that_is_no_longer_asked_for_is_no_failure() {
        let files = FollowedFiles::default();
        files.unusable(FollowedFile::KeySet, Path::new("/jwks"), &"x".repeat(2 * MAX_REASON_CHARACTERS));
        assert_eq!(files.report()[0]["reason"].as_str().map(str::len), Some(MAX_REASON_CHARACTERS));
        files.not_followed(FollowedFile::KeySet);
        assert_eq!(files.report(), Vec::<Value>::new());
        assert!(!metrics_of(&files).contains("successful{file"));
    }
}
