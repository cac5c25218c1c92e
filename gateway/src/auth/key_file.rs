//! Reads the mounted file of key digests and makes a ring of it, together with the keys brought at start.
//!
//! The file may hold plaintext by mistake, so an error here names a place in it and must never quote it.

use crate::auth::key_ring::{KeyRing, KeyRingError};
use crate::stream::filter;
use headgate_wire::key::{Verifier, VerifierFile};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Largest file of digests that is read, in bytes: 1000 keys, each with generous filters.
pub const MAX_KEYS_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Why a file of digests is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum KeysFileError {
    /// It is not there, or may not be read.
    #[error("the keys file {path} cannot be read: {source}; mount it, or correct auth.keysFile")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Larger than any honest one.
    #[error("the keys file {0} has more than {MAX_KEYS_FILE_BYTES} bytes")]
    TooLarge(PathBuf),
    /// Not the JSON that it should be. Its content is not quoted: somebody may have put a key there.
    #[error(
        "the keys file {path} is not `{{\"keys\": […]}}` with an id, name, digest and permissions per key: line {line}, \
         column {column}"
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// Counts from 1.
        line: usize,
        /// Counts from 1.
        column: usize,
    },
    /// A key with a filter that cannot be evaluated.
    #[error("key `{id}` in the keys file has an invalid filter: {reason}")]
    Filter {
        /// The key.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The keys contradict each other.
    #[error(transparent)]
    Ring(#[from] KeyRingError),
}

/// The ring of the file's keys and the brought ones. Without a file, the brought ones alone.
pub fn load(path: Option<&Path>, brought: &[Verifier]) -> Result<KeyRing, KeysFileError> {
    let mut verifiers = match path {
        Some(path) => read(path)?.keys,
        None => Vec::new(),
    };
    for verifier in &verifiers {
        for filter in &verifier.filters {
            filter::validate(filter)
                .map_err(|error| KeysFileError::Filter { id: verifier.id.clone(), reason: error.to_string() })?;
        }
    }
    verifiers.extend_from_slice(brought);
    Ok(KeyRing::from_verifiers(verifiers)?)
}

fn read(path: &Path) -> Result<VerifierFile, KeysFileError> {
    let failed = |source| KeysFileError::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_KEYS_FILE_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_KEYS_FILE_BYTES {
        return Err(KeysFileError::TooLarge(path.to_owned()));
    }
    serde_json::from_slice(&text).map_err(|error| KeysFileError::Parse {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn load_text(text: &str) -> Result<KeyRing, KeysFileError> {
        load(Some(file_of(text).path()), &[])
    }

    #[test]
    fn an_empty_list_is_a_ring_that_admits_nobody() {
        assert!(load_text(r#"{"keys":[]}"#).unwrap().is_empty());
    }

    #[test]
    fn a_missing_an_empty_and_a_misspelt_file_are_refused() {
        assert!(matches!(load(Some(Path::new("/nonexistent/keys.json")), &[]), Err(KeysFileError::Read { .. })));
        for text in ["", "{}", r#"{"key":[]}"#, "[]", r#"{"keys":[{}]}"#] {
            assert!(matches!(load_text(text), Err(KeysFileError::Parse { .. })), "{text}");
        }
    }

    #[test]
    fn a_plaintext_key_in_the_wrong_place_is_not_quoted_by_the_error() {
        for text in [
            r#"{"keys":["hunter2"]}"#,
            r#"{"hunter2":1}"#,
            r#"{"keys":[{"id":"a","name":"a","digest":"hunter2","permissions":["Read"]}]}"#,
            r#"{"keys":[{"id":"a","hunter2":"hunter2"}]}"#,
        ] {
            let error = load_text(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
