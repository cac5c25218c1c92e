//! Filters on CloudEvents attributes, in the dialects of the CloudEvents Subscriptions API 1.0, section 3.2.4.1.
//!
//! Owns the shape only; the gateway evaluates it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Attribute (or extension) name to the text that it is compared with. Several entries must all match.
pub type Comparisons = BTreeMap<String, String>;

/// Deepest nesting of `all`, `any` and `not` that a gateway accepts.
pub const MAX_FILTER_DEPTH: usize = 4;
/// Longest name of an attribute in a filter, in characters; all of them are ASCII.
pub const MAX_ATTRIBUTE_NAME: usize = 64;
/// Most leaves that one filter may have.
pub const MAX_FILTER_LEAVES: usize = 64;

/// One filter expression, written as an object with one member. An absent attribute never matches a comparison.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(try_from = "Members", into = "Members")]
pub enum Filter {
    /// The attribute equals the value.
    Exact(Comparisons),
    /// The attribute begins with the value.
    Prefix(Comparisons),
    /// The attribute ends with the value.
    Suffix(Comparisons),
    /// Every nested filter matches.
    All(Vec<Filter>),
    /// At least one nested filter matches.
    Any(Vec<Filter>),
    /// The nested filter does not match.
    Not(Box<Filter>),
}

/// The object form: YAML and JSON write it alike, which they do not for Rust's enums.
#[derive(Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "reference"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
struct Members {
    /// Attributes that equal these texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<Comparisons>,
    /// Attributes that begin with these texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<Comparisons>,
    /// Attributes that end with these texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    suffix: Option<Comparisons>,
    /// Filters that must all match.
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<Vec<Filter>>,
    /// Filters of which at least one must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    any: Option<Vec<Filter>>,
    /// A filter that must not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    not: Option<Box<Filter>>,
}

impl TryFrom<Members> for Filter {
    type Error = &'static str;

    fn try_from(members: Members) -> Result<Self, Self::Error> {
        let Members { exact, prefix, suffix, all, any, not } = members;
        let mut given = [
            exact.map(Self::Exact),
            prefix.map(Self::Prefix),
            suffix.map(Self::Suffix),
            all.map(Self::All),
            any.map(Self::Any),
            not.map(Self::Not),
        ]
        .into_iter()
        .flatten();
        match (given.next(), given.next()) {
            (Some(filter), None) => Ok(filter),
            _ => Err("a filter has exactly one of exact, prefix, suffix, all, any, not"),
        }
    }
}

impl From<Filter> for Members {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Exact(comparisons) => Self { exact: Some(comparisons), ..Self::default() },
            Filter::Prefix(comparisons) => Self { prefix: Some(comparisons), ..Self::default() },
            Filter::Suffix(comparisons) => Self { suffix: Some(comparisons), ..Self::default() },
            Filter::All(inner) => Self { all: Some(inner), ..Self::default() },
            Filter::Any(inner) => Self { any: Some(inner), ..Self::default() },
            Filter::Not(inner) => Self { not: Some(inner), ..Self::default() },
        }
    }
}

impl Filter {
    /// `attribute` must equal `value`.
    pub fn exact(attribute: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Exact(BTreeMap::from([(attribute.into(), value.into())]))
    }

    /// Nesting depth: 1 for a comparison.
    pub fn depth(&self) -> usize {
        match self {
            Self::Exact(_) | Self::Prefix(_) | Self::Suffix(_) => 1,
            Self::All(inner) | Self::Any(inner) => 1 + inner.iter().map(Self::depth).max().unwrap_or(0),
            Self::Not(inner) => 1 + inner.depth(),
        }
    }

    /// Number of comparisons in the whole expression.
    pub fn leaves(&self) -> usize {
        match self {
            Self::Exact(c) | Self::Prefix(c) | Self::Suffix(c) => c.len(),
            Self::All(inner) | Self::Any(inner) => inner.iter().map(Self::leaves).sum(),
            Self::Not(inner) => inner.leaves(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_write_a_filter_alike() {
        let filter =
            Filter::All(vec![Filter::exact("subject", "a"), Filter::Not(Box::new(Filter::exact("type", "b")))]);
        let json = r#"{"all":[{"exact":{"subject":"a"}},{"not":{"exact":{"type":"b"}}}]}"#;
        assert_eq!(serde_json::to_string(&filter).unwrap(), json);
        assert_eq!(serde_yaml::from_str::<Filter>(json).unwrap(), filter);
        assert_eq!(serde_yaml::from_str::<Filter>("exact: {subject: a}").unwrap(), Filter::exact("subject", "a"));
    }

    #[test]
    fn a_filter_with_two_members_or_none_is_refused() {
        for text in ["{}", r#"{"exact":{"a":"b"},"not":{"exact":{"a":"b"}}}"#, r#"{"equals":{"a":"b"}}"#] {
            assert!(serde_json::from_str::<Filter>(text).is_err(), "{text}");
        }
    }
}
