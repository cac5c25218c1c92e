//! Logins in files of this user: one each, mode 0600, in a folder with mode 0700, replaced as a whole.
//!
//! A file that others can read is refused, and nothing here prints what is in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes of the digest that names a file: enough to tell logins apart.
const NAME_BYTES: usize = 8;
/// Most logins that are read.
const MAX_LOGINS: usize = 100;
/// Rights of anybody but the owner.
const OF_OTHERS: u32 = 0o077;

/// What was asked of a provider. Two logins that ask the same replace each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    /// Who gives the tokens.
    pub(crate) issuer: String,
    /// As which client.
    pub(crate) client_id: String,
    /// For what (RFC 6749 section 3.3), separated by spaces.
    pub(crate) scope: String,
    /// The parameter `audience` that some providers have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audience: Option<String>,
    /// The parameter `resource` (RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<String>,
}

/// A login that lasts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Login {
    /// What it is for.
    #[serde(flatten)]
    pub(crate) request: Request,
    /// The JSON Web Token that gateways get.
    pub(crate) token: String,
    /// When that ends.
    pub(crate) expires_at: Timestamp,
    /// When it was given.
    pub(crate) renewed_at: Timestamp,
    /// What the next one is asked for with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// No home.
    #[error("no folder for logins: set HOME or XDG_CONFIG_HOME")]
    NoFolder,
    /// The file system says no.
    #[error("failed to use {0}: {1}")]
    File(PathBuf, io::Error),
    /// Others may have read it.
    #[error("{0} can be read by other users: remove it and log in again")]
    Exposed(PathBuf),
}

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Store(PathBuf);

impl Request {
    /// The parameters that say whom the tokens are for.
    pub(super) fn target(&self) -> Vec<(&str, &str)> {
        let audience = self.audience.as_deref().map(|value| ("audience", value));
        audience.into_iter().chain(self.resource.as_deref().map(|value| ("resource", value))).collect()
    }

    fn file_name(&self) -> String {
        let parts = [Some(&self.issuer), Some(&self.client_id), self.audience.as_ref(), self.resource.as_ref()];
        let text: Vec<&str> = parts.into_iter().map(|part| part.map_or("", String::as_str)).collect();
        let digest = Sha256::digest(text.join("\n"));
        let name: Vec<String> = digest[..NAME_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}.json", name.concat())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("request", &self.request)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// `$XDG_CONFIG_HOME/headgate/logins`, else `~/.config/headgate/logins`; `variable` reads the environment.
    pub(crate) fn of_this_user(variable: impl Fn(&str) -> Option<String>) -> Result<Self, StoreError> {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let configuration = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        Ok(Self(configuration.ok_or(StoreError::NoFolder)?.join("headgate/logins")))
    }

    /// Every login; those that cannot be read any more are left out.
    pub(crate) fn logins(&self) -> Result<Vec<Login>, StoreError> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::File(self.0.clone(), error)),
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let logins = files.take(MAX_LOGINS).map(|path| read(&path));
        logins.filter_map(Result::transpose).collect()
    }

    /// The login with the same request, as it is stored now.
    pub(crate) fn current(&self, request: &Request) -> Result<Option<Login>, StoreError> {
        read(&self.path(request))
    }

    /// Writes a login over the one with the same request.
    pub(crate) fn save(&self, login: &Login) -> Result<(), StoreError> {
        self.make()?;
        let path = self.path(&login.request);
        let failed = |error| StoreError::File(path.clone(), error);
        let text = serde_json::to_vec_pretty(login).map_err(|error| failed(error.into()))?;
        // Temporary files have mode 0600, which renaming keeps.
        let mut file = tempfile::Builder::new().tempfile_in(&self.0).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Forgets a login.
    pub(crate) fn remove(&self, login: &Login) -> Result<(), StoreError> {
        for path in [self.path(&login.request), self.lock_path(&login.request)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::File(path, error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Waits until no other process renews this login; until the file is dropped, none does. It blocks.
    pub(crate) fn lock(&self, request: &Request) -> Result<File, StoreError> {
        self.make()?;
        let path = self.lock_path(request);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let locked = file.and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| StoreError::File(path, error))
    }

    fn make(&self) -> Result<(), StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|error| StoreError::File(self.0.clone(), error))
    }

    fn path(&self, request: &Request) -> PathBuf {
        self.0.join(request.file_name())
    }

    fn lock_path(&self, request: &Request) -> PathBuf {
        self.path(request).with_extension("lock")
    }
}

/// A login, or nothing where there is none or what is there is no login.
fn read(path: &Path) -> Result<Option<Login>, StoreError> {
    let failed = |error| StoreError::File(path.to_owned(), error);
    let text = match fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & OF_OTHERS != 0 => {
            return Err(StoreError::Exposed(path.to_owned()));
        }
        Ok(_) => fs::read(path).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    Ok(serde_json::from_slice(&text).ok())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs::Permissions;
    use tempfile::TempDir;

    pub(in crate::login) fn login(issuer: &str, expires: i64) -> Login {
        let request = Request { issuer: issuer.to_owned(), client_id: "cli".to_owned(), ..Request::default() };
        Login {
            request,
            token: "the-token".to_owned(),
            expires_at: Timestamp::from_second(expires).unwrap(),
            renewed_at: Timestamp::UNIX_EPOCH,
            refresh_token: Some("the-refresh-token".to_owned()),
        }
    }

    fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        let store = Store::of_this_user(|name| (name == "HOME").then(|| home.clone())).unwrap();
        (folder, store)
    }

    #[test]
    fn a_login_is_kept_for_this_user_only_and_replaced_by_the_next() {
        let (folder, store) = store();
        store.save(&login("https://a", 1)).unwrap();
        store.save(&login("https://a", 2)).unwrap();
        store.save(&login("https://b", 3)).unwrap();
        let path = folder.path().join(".config/headgate/logins");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert!(fs::read_dir(&path).unwrap().all(|entry| mode(&entry.unwrap().path()) == 0o600));
        assert_eq!(store.current(&login("https://a", 0).request).unwrap(), Some(login("https://a", 2)));
        assert_eq!(store.logins().unwrap().len(), 2);
        store.remove(&login("https://a", 0)).unwrap();
        assert_eq!(store.logins().unwrap(), [login("https://b", 3)]);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_by_name() {
        let (_folder, store) = store();
        store.save(&login("https://a", 1)).unwrap();
        let path = store.path(&login("https://a", 1).request);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(store.logins(), Err(StoreError::Exposed(named)) if named == path));
    }

    #[test]
    fn nothing_stored_yet_is_no_error_and_no_home_is_one() {
        let (_folder, store) = store();
        assert_eq!(store.logins().unwrap(), []);
        assert!(matches!(Store::of_this_user(|_| None), Err(StoreError::NoFolder)));
    }

    #[test]
    fn debug_output_shows_no_token() {
        let text = format!("{:?}", login("https://a", 1));
        assert!(text.contains("https://a") && !text.contains("token\""), "{text}");
        assert!(!text.contains("the-"), "{text}");
    }
}
