//! What CloudEvents 1.0 requires of an event, and the words that say why a record that claims to be one is undecodable.

use super::attributes::Attributes;

/// A structured event in Avro, Protobuf or another format that this gateway does not read.
pub(super) const UNSUPPORTED_FORMAT: &str = "unsupported-format";
/// Claims to be JSON, and is not, or is nested too deeply.
pub(super) const NOT_JSON: &str = "not-json";
/// An attribute's name is written with JSON escapes that it does not need.
pub(super) const ESCAPED_NAME: &str = "escaped-attribute-name";
/// More than [`super::MAX_ATTRIBUTES`].
pub(super) const TOO_MANY_ATTRIBUTES: &str = "too-many-attributes";
/// A `ce_` header is not UTF-8.
pub(super) const NOT_UTF8: &str = "attribute-not-utf8";

/// A CloudEvent of a version other than 1.0.
const UNSUPPORTED_VERSION: &str = "unsupported-specversion";

/// What CloudEvents 1.0 requires, with the word for its absence.
const REQUIRED: [(&str, &str); 4] = [
    ("specversion", "missing-specversion"),
    ("id", "missing-id"),
    ("source", "missing-source"),
    ("type", "missing-type"),
];

/// Passes attributes on if everything that CloudEvents requires is among them: non-empty, and of a version 1.0, which
/// some producers write with a patch number.
pub(super) fn complete(attributes: Attributes) -> Result<Attributes, &'static str> {
    for (name, reason) in REQUIRED {
        let value = attributes.string(name).filter(|value| !value.is_empty()).ok_or(reason)?;
        if name == "specversion" && value != "1.0" && !value.starts_with("1.0.") {
            return Err(UNSUPPORTED_VERSION);
        }
    }
    Ok(attributes)
}
