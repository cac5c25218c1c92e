//! API keys for one run: fresh from the operating system, their digests in files that are gone afterwards.
//!
//! A key's text is only in what is printed. The folder is readable for this user only.

use headgate_operator::model::Key;
use headgate_wire::Filter;
use headgate_wire::key::{KeyDigest, Verifier, VerifierFile, mint};
use jiff::Timestamp;
use std::fmt;
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use tempfile::TempDir;

/// A key that was made for this run.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IssuedKey {
    /// Name in the manifest.
    pub(crate) name: String,
    /// The key.
    pub(crate) text: String,
    /// Which events it shows: those that match all of these.
    pub(crate) filters: Vec<Filter>,
    /// When it ends.
    pub(crate) expires_at: Option<Timestamp>,
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The folder with the digests; it disappears when this is dropped.
#[derive(Debug)]
pub(crate) struct KeyFolder(TempDir);

impl KeyFolder {
    /// A new folder (mode 0700) in the system's place for such.
    pub(crate) fn create() -> io::Result<Self> {
        let only_this_user = Permissions::from_mode(0o700);
        tempfile::Builder::new().prefix("headgate-dev-").permissions(only_this_user).tempdir().map(Self)
    }

    /// Issues these keys of an app. Returns the file with their digests, and those whose text nobody has yet.
    pub(crate) fn issue(&self, app: &str, keys: &[Key]) -> anyhow::Result<(PathBuf, Vec<IssuedKey>)> {
        let mut file = VerifierFile::default();
        let mut issued = Vec::new();
        for key in keys {
            let (id, digest) = if let Some(digest) = key.digest {
                (key.name.to_string(), digest)
            } else {
                let (id, text) = fresh()?;
                let digest = KeyDigest::of(&text);
                let (name, filters, expires_at) = (key.name.to_string(), key.filters.clone(), key.expires_at);
                issued.push(IssuedKey { name, text, filters, expires_at });
                (id, digest)
            };
            file.keys.push(Verifier {
                id,
                name: key.name.to_string(),
                digest,
                permissions: key.permissions.iter().copied().collect(),
                expires_at: key.expires_at,
                filters: key.filters.clone(),
            });
        }
        let path = self.0.path().join(format!("{app}.json"));
        let mut writer = tempfile::Builder::new().tempfile_in(self.0.path())?;
        writer.write_all(&serde_json::to_vec_pretty(&file)?)?;
        // Temporary files have mode 0600, which renaming keeps.
        writer.persist(&path)?;
        Ok((path, issued))
    }
}

fn fresh() -> Result<(String, String), getrandom::Error> {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret)?;
    Ok(mint(getrandom::u64()?, &secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_crds::types::{KeyName, Text as _};
    use headgate_wire::key::Permission;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn key(digest: Option<KeyDigest>) -> Key {
        Key {
            name: KeyName::unchecked("web".to_owned()),
            permissions: BTreeSet::from([Permission::Read]),
            expires_at: Some("2027-01-01T00:00:00Z".parse().unwrap()),
            digest,
            filters: vec![Filter::exact("tenant", "shop")],
        }
    }

    fn read(path: &Path) -> Verifier {
        let file: VerifierFile = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        file.keys.into_iter().next().unwrap()
    }

    #[test]
    fn the_file_has_the_digest_of_the_key_and_not_the_key() {
        let folder = KeyFolder::create().unwrap();
        let (path, issued) = folder.issue("orders", &[key(None)]).unwrap();
        let verifier = read(&path);
        assert_eq!(verifier.digest, KeyDigest::of(&issued[0].text));
        assert_eq!((verifier.permissions, verifier.expires_at), (vec![Permission::Read], key(None).expires_at));
        assert_eq!(verifier.filters, key(None).filters);
        assert!(!std::fs::read_to_string(&path).unwrap().contains(&issued[0].text));
        assert!(!format!("{issued:?}").contains(&issued[0].text));
    }

    #[test]
    fn a_key_that_is_known_by_its_digest_is_accepted_and_never_issued() {
        let folder = KeyFolder::create().unwrap();
        let (path, issued) = folder.issue("orders", &[key(Some(KeyDigest::of("brought")))]).unwrap();
        assert_eq!(issued, []);
        assert_eq!(read(&path).digest, KeyDigest::of("brought"));
    }

    #[test]
    fn only_this_user_can_read_them_and_nothing_stays() {
        let folder = KeyFolder::create().unwrap();
        let (path, _) = folder.issue("orders", &[key(None)]).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let parent = path.parent().unwrap().to_owned();
        assert_eq!((mode(&path), mode(&parent)), (0o600, 0o700));
        drop(folder);
        assert!(!parent.exists());
    }
}
