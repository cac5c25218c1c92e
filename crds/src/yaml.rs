//! YAML to and from JSON values: the only module that names the YAML library.
//!
//! Owns reading manifests and writing generated files. Must never know a type of ours.

use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// A text that is not YAML, or not the YAML that JSON can express.
#[derive(Debug)]
pub struct YamlError(serde_yaml::Error);

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not valid YAML: {}", self.0)
    }
}

impl std::error::Error for YamlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// The documents of a text, separated by `---`. Empty ones are left out.
pub fn documents(text: &str) -> Result<Vec<Value>, YamlError> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).map_err(YamlError))
        .filter(|document| !matches!(document, Ok(Value::Null)))
        .collect()
}

/// A value as YAML, its keys in alphabetical order, whatever order they were made in.
pub fn to_string(value: &Value) -> Result<String, YamlError> {
    serde_yaml::to_string(&sorted(value)).map_err(YamlError)
}

fn sorted(value: &Value) -> serde_yaml::Value {
    match value {
        Value::Null => serde_yaml::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(float)) => float.into(),
            (None, None) => serde_yaml::Value::Null,
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => serde_yaml::Value::Sequence(items.iter().map(sorted).collect()),
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort();
            let pairs = keys.into_iter().map(|key| (key.as_str().into(), sorted(&members[key])));
            serde_yaml::Value::Mapping(pairs.collect())
        }
    }
}
