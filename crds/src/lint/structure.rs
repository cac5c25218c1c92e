//! The structure of a value against its schema: types, bounds, words, required and unknown fields.
//!
//! Owns the part of OpenAPI that our CRDs use. Must never skip a keyword silently: a test compares the keywords of the
//! CRDs with `KEYWORDS`.

use super::{Problem, suggest};
use crate::types::owner;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Keywords that are checked here, or that say nothing about whether a value is right.
#[cfg(test)]
const KEYWORDS: &[&str] = &[
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
];

/// Members of every object that no CRD describes.
const OBJECT_MEMBERS: &[&str] = &["apiVersion", "kind", "metadata"];

/// Checks a whole object.
pub(super) fn check(schema: &Value, object: &Value, problems: &mut Vec<Problem>) {
    let mut check = Check { path: String::new(), problems };
    match object.as_object() {
        Some(members) => check.members(schema, members, OBJECT_MEMBERS),
        None => check.report("must be an object"),
    }
}

/// Where the check is, and what it found.
struct Check<'a> {
    path: String,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn report(&mut self, message: impl Into<String>) {
        self.problems.push(Problem { path: self.path.clone(), message: message.into() });
    }

    /// Does something one step further down.
    fn at(&mut self, step: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !self.path.is_empty() && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        check(self);
        self.path.truncate(length);
    }

    fn value(&mut self, schema: &Value, value: &Value) {
        if schema["x-kubernetes-int-or-string"] == true {
            if !value.is_string() && !value.is_i64() {
                self.report("must be a whole number or a text");
            }
            return;
        }
        match (schema["type"].as_str(), value) {
            (Some("string"), Value::String(text)) => self.text(schema, text),
            (Some("integer"), Value::Number(_)) => self.integer(schema, value),
            (Some("number"), Value::Number(_)) | (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            (Some("array"), Value::Array(items)) => self.list(schema, items),
            (Some("object"), Value::Object(members)) => self.members(schema, members, &[]),
            (Some(wanted), _) => self.report(format!("must be {}, not {}", named(wanted), shown(value))),
        }
    }

    fn text(&mut self, schema: &Value, text: &str) {
        if let Some(words) = schema["enum"].as_array() {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            if !words.contains(&text) {
                let hint = suggest::did_you_mean(text, words.iter().copied());
                self.report(format!("\"{text}\" is not one of {}{hint}", words.join(", ")));
            }
            return;
        }
        let length = text.chars().count() as u64;
        self.size(schema, ("minLength", "maxLength"), length, "characters");
        if let Some(pattern) = schema["pattern"].as_str()
            && length <= schema["maxLength"].as_u64().unwrap_or(u64::MAX)
            && !matches(pattern, text)
        {
            self.report(match owner(schema) {
                Some(owner) => format!("is not a valid {}: {}", owner.kind, owner.remedy),
                None => format!("must match {pattern}"),
            });
        }
        if schema["format"] == "date-time" && Time::deserialize(Value::from(text)).is_err() {
            self.report("must be a time like 2027-01-01T00:00:00Z");
        }
    }

    fn integer(&mut self, schema: &Value, value: &Value) {
        let Some(number) = value.as_i64() else {
            return self.report(format!("must be a whole number, not {}", shown(value)));
        };
        let (least, most) = match schema["format"].as_str() {
            Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        let bound = |name: &str| schema[name].as_f64().map(|bound| bound as i64);
        let (least, most) = (bound("minimum").unwrap_or(least), bound("maximum").unwrap_or(most));
        if number < least {
            self.report(format!("must be at least {least}, not {number}"));
        } else if number > most {
            self.report(format!("must be at most {most}, not {number}"));
        }
    }

    fn list(&mut self, schema: &Value, items: &[Value]) {
        self.size(schema, ("minItems", "maxItems"), items.len() as u64, "items");
        self.unique(schema, items);
        for (index, item) in items.iter().enumerate() {
            self.at(&format!("[{index}]"), |check| check.value(&schema["items"], item));
        }
    }

    /// Sets hold a value once, list-maps a key.
    fn unique(&mut self, schema: &Value, items: &[Value]) {
        let keys: Vec<&str> = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => Vec::new(),
            Some("map") => schema["x-kubernetes-list-map-keys"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect(),
            _ => return,
        };
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let identity = if keys.is_empty() {
                item.to_string()
            } else {
                keys.iter().map(|key| item[*key].to_string()).collect::<Vec<_>>().join(", ")
            };
            if !seen.insert(identity.clone()) {
                let what = if keys.is_empty() { "value" } else { keys[0] };
                self.at(&format!("[{index}]"), |check| {
                    check.report(format!("has the same {what} {identity} as an earlier item"));
                });
            }
        }
    }

    fn members(&mut self, schema: &Value, members: &Map<String, Value>, allowed: &[&str]) {
        self.size(schema, ("minProperties", "maxProperties"), members.len() as u64, "entries");
        let known = schema["properties"].as_object();
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                self.at(name, |check| check.report("is required and missing"));
            }
        }
        for (name, value) in members {
            match (known.and_then(|known| known.get(name)), &schema["additionalProperties"]) {
                (Some(member), _) => self.at(name, |check| check.value(member, value)),
                (None, more @ Value::Object(_)) => self.at(name, |check| check.value(more, value)),
                (None, _) if allowed.contains(&name.as_str()) => {}
                (None, _) => {
                    let names = known.into_iter().flatten().map(|(name, _)| name.as_str());
                    self.at(name, |check| {
                        let problem = suggest::unknown_field(check.path.clone(), name, names);
                        check.problems.push(problem);
                    });
                }
            }
        }
    }

    fn size(&mut self, schema: &Value, (least, most): (&str, &str), size: u64, unit: &str) {
        if let Some(least) = schema[least].as_u64().filter(|least| size < *least) {
            self.report(match (least, size) {
                (1, 0) => "must not be empty".to_owned(),
                _ => format!("must have at least {least} {unit}, and has {size}"),
            });
        }
        if let Some(most) = schema[most].as_u64().filter(|most| size > *most) {
            self.report(format!("must have at most {most} {unit}, and has {size}"));
        }
    }
}

/// Whether the text matches. Each pattern is compiled once; there are as many as the CRDs have.
fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: LazyLock<Mutex<BTreeMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if !compiled.contains_key(pattern) {
        compiled.insert(pattern.to_owned(), Regex::new(pattern).ok());
    }
    compiled.get(pattern).is_some_and(|regex| regex.as_ref().is_some_and(|regex| regex.is_match(text)))
}

/// A type of JSON in words.
fn named(kind: &str) -> &'static str {
    match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "an object",
    }
}

/// A value of the wrong type, in words that reveal little of it.
fn shown(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codegen;

    #[test]
    fn no_keyword_of_the_crds_is_unknown_here() {
        fn collect(schema: &Value, keywords: &mut BTreeSet<String>) {
            for (keyword, value) in schema.as_object().into_iter().flatten() {
                keywords.insert(keyword.clone());
                match keyword.as_str() {
                    "properties" => value.as_object().unwrap().values().for_each(|member| collect(member, keywords)),
                    "items" | "additionalProperties" => collect(value, keywords),
                    _ => {}
                }
            }
        }
        let mut keywords = BTreeSet::new();
        for crd in [codegen::stream_endpoint_crd(), codegen::kafka_connection_crd()] {
            collect(codegen::schema(crd), &mut keywords);
        }
        let unknown: Vec<_> = keywords.iter().filter(|keyword| !KEYWORDS.contains(&keyword.as_str())).collect();
        assert!(unknown.is_empty(), "not checked: {unknown:?}");
    }
}
