//! Filters on CloudEvents attributes, in the dialects of the CloudEvents Subscriptions API.
//!
//! Owns their shape, and how deep they nest: a structural schema cannot recurse, so that it spells out
//! [`MAX_FILTER_DEPTH`] levels. Must never evaluate a filter; the gateway does.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Attribute name to the text that it is compared with. Several entries must all match.
pub type Comparisons = BTreeMap<String, String>;

/// Levels of filters: a comparison, in a group, in a group.
pub const MAX_FILTER_DEPTH: usize = 3;
/// Filters in one `all` or `any`.
pub const MAX_NESTED_FILTERS: usize = 16;
/// Attributes in one comparison.
pub const MAX_COMPARISONS: usize = 8;

/// One filter: exactly one of `exact`, `prefix`, `suffix`, `all`, `any` and `not`. An absent attribute never matches a
/// comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The attribute equals the text.
    Exact(Comparisons),
    /// The attribute begins with the text.
    Prefix(Comparisons),
    /// The attribute ends with the text.
    Suffix(Comparisons),
    /// Every nested filter matches.
    All(Vec<Filter>),
    /// At least one nested filter matches.
    Any(Vec<Filter>),
    /// The nested filter does not match.
    Not(Box<Filter>),
}

impl Filter {
    /// Levels of filters: 1 for a comparison.
    pub fn depth(&self) -> usize {
        match self {
            Self::Exact(_) | Self::Prefix(_) | Self::Suffix(_) => 1,
            Self::All(nested) | Self::Any(nested) => 1 + nested.iter().map(Self::depth).max().unwrap_or(0),
            Self::Not(nested) => 1 + nested.depth(),
        }
    }

    /// Number of comparisons in the whole filter.
    pub fn leaves(&self) -> usize {
        match self {
            Self::Exact(c) | Self::Prefix(c) | Self::Suffix(c) => c.len(),
            Self::All(nested) | Self::Any(nested) => nested.iter().map(Self::leaves).sum(),
            Self::Not(nested) => nested.leaves(),
        }
    }
}

impl JsonSchema for Filter {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Filter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        filter(MAX_FILTER_DEPTH)
    }
}

/// A filter that may hold `depth - 1` further levels.
fn filter(depth: usize) -> Schema {
    let mut names = vec!["exact", "prefix", "suffix"];
    let mut properties = serde_json::Map::new();
    for (name, verb) in [("exact", "equals"), ("prefix", "begins with"), ("suffix", "ends with")] {
        properties.insert(name.to_owned(), comparisons(verb));
    }
    if depth > 1 {
        let nested = filter(depth - 1);
        names.extend(["all", "any", "not"]);
        properties.insert("all".to_owned(), group("Matches if every one of these filters does.", &nested));
        properties.insert("any".to_owned(), group("Matches if at least one of these filters does.", &nested));
        let mut negated = nested;
        negated.insert("description".to_owned(), json!("Matches if this filter does not."));
        properties.insert("not".to_owned(), negated.to_value());
    }
    let given = names.iter().map(|name| format!("has(self.{name})")).collect::<Vec<_>>().join(", ");
    json_schema!({
        "type": "object",
        "description": "A filter with exactly one member.",
        "properties": properties,
        "x-kubernetes-validations": [{
            "rule": format!("[{given}].exists_one(given, given)"),
            "message": format!(
                "a filter has exactly one of {}: split it into several filters, or wrap them in all or any",
                names.join(", ")
            ),
        }],
    })
}

fn group(description: &str, nested: &Schema) -> serde_json::Value {
    json!({
        "type": "array",
        "description": description,
        "items": nested,
        "minItems": 1,
        "maxItems": MAX_NESTED_FILTERS,
        "x-kubernetes-list-type": "atomic",
    })
}

fn comparisons(verb: &str) -> serde_json::Value {
    json!({
        "type": "object",
        "description": format!(
            "Matches if each of these CloudEvents attributes or extensions {verb} the text; attribute names are lower-case letters and digits."
        ),
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256},
        "minProperties": 1,
        "maxProperties": MAX_COMPARISONS,
        "x-kubernetes-validations": [{
            "rule": "self.all(name, name.matches('^[a-z0-9]{1,64}$'))",
            "message": "attribute names are lower-case letters and digits, as in CloudEvents: correct the name",
        }],
    })
}
