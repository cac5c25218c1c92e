//! Kubernetes manifests as documents. The only module that names serde_yaml. It judges no content.

use serde::Deserialize as _;
use serde_json::Value;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest manifest file that is read, in bytes: etcd stores no object above 1.5 MiB.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// One document of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// Where it was read from, for messages.
    pub(crate) file: String,
    /// Position in the file, from 1.
    pub(crate) number: usize,
    /// Its content.
    pub(crate) value: Value,
}

/// Why a file is no manifest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// Not readable.
    #[error("failed to read {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("{0} is larger than 8 MiB: no manifest is")]
    TooLarge(PathBuf),
    /// Not YAML.
    #[error("{file}, document {number}: {cause}")]
    Yaml {
        /// The file.
        file: String,
        /// Position in the file, from 1.
        number: usize,
        /// With line and column.
        cause: String,
    },
}

impl Document {
    /// `kind`, or an empty text.
    pub(crate) fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// `namespace/name`, or what there is of it.
    pub(crate) fn name(&self) -> String {
        let metadata = &self.value["metadata"];
        match (metadata["namespace"].as_str(), metadata["name"].as_str()) {
            (Some(namespace), Some(name)) => format!("{namespace}/{name}"),
            (None, Some(name)) => name.to_owned(),
            (_, None) => "(no name)".to_owned(),
        }
    }
}

/// Reads every document of a file; `-` is the standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<Document>, ManifestError> {
    let unreadable = |cause| ManifestError::Read { path: path.to_owned(), cause };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    }
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ManifestError::TooLarge(path.to_owned()));
    }
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    parse(&name, &text)
}

/// Every document of a text; empty ones are left out, and a `List` yields its items.
pub(crate) fn parse(file: &str, text: &str) -> Result<Vec<Document>, ManifestError> {
    let mut documents = Vec::new();
    for (index, part) in serde_yaml::Deserializer::from_str(text).enumerate() {
        let number = index + 1;
        let bad = |cause: String| ManifestError::Yaml { file: file.to_owned(), number, cause };
        // By way of YAML's own value, which notices keys that are written twice.
        let yaml = serde_yaml::Value::deserialize(part).map_err(|error| bad(error.to_string()))?;
        let value: Value = serde_json::to_value(yaml).map_err(|error| bad(error.to_string()))?;
        let items = match value {
            Value::Null => Vec::new(),
            Value::Object(mut list) if list.get("kind") == Some(&Value::from("List")) => match list.remove("items") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            },
            other => vec![other],
        };
        documents.extend(items.into_iter().map(|value| Document { file: file.to_owned(), number, value }));
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_document_is_numbered_and_empty_ones_are_left_out() {
        let text = "---\nkind: A\n---\n# nothing\n---\nkind: B\nmetadata: {name: b, namespace: n}\n";
        let documents = parse("f", text).unwrap();
        let numbers: Vec<_> = documents.iter().map(|d| (d.number, d.kind().to_owned(), d.name())).collect();
        assert_eq!(numbers, [(1, "A".to_owned(), "(no name)".to_owned()), (3, "B".to_owned(), "n/b".to_owned())]);
    }

    #[test]
    fn a_list_yields_its_items() {
        let documents = parse("f", "kind: List\nitems: [{kind: A}, {kind: B}]").unwrap();
        assert_eq!(documents.iter().map(Document::kind).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn a_key_that_is_written_twice_is_an_error_with_its_place() {
        let error = parse("f.yaml", "kind: A\nkind: B\n").unwrap_err().to_string();
        assert!(error.starts_with("f.yaml, document 1: "), "{error}");
        assert!(error.contains("kind"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a-z:{}\\[\\]&*\n #|>\"']{0,80}") {
            let _ = parse("f", &text);
        }
    }
}
