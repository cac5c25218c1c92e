//! From the schema that the derives make to the one that is installed.
//!
//! In between is the annotated schema, in which `title` says which text type made a node.
//!
//! Owns the corrections: no `nullable`, bounds for the types of Kubernetes itself, short defaults, flowing text. Must
//! never loosen what a type says.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value, json};

/// Longest text in a field that a type of Kubernetes brings along without a bound.
const FOREIGN_TEXT: usize = 4096;
/// Longest text with a format: times.
const FORMATTED_TEXT: usize = 64;
/// Longest `message` of a condition, as Kubernetes documents it.
const CONDITION_MESSAGE: usize = 32_768;
/// Most items of a list or map that a type of Kubernetes brings along without a bound.
const FOREIGN_ITEMS: usize = 64;

/// The annotated CRD: as it is installed, but with titles.
pub(super) fn annotated(derived: &CustomResourceDefinition) -> Value {
    // A CRD is a plain tree of texts, numbers and lists; that it could not be JSON would show in every test.
    let mut crd = serde_json::to_value(derived).unwrap_or_default();
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        clean(schema, "");
    }
    crd
}

/// An annotated CRD as it is installed.
pub(super) fn installed(annotated: &Value) -> Value {
    let mut crd = annotated.clone();
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        remove_titles(schema);
    }
    crd
}

/// The name of a Rust type is nothing to a reader of the CRD.
fn remove_titles(schema: &mut Value) {
    let Value::Object(node) = schema else { return };
    node.remove("title");
    node.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten().for_each(|(_, p)| remove_titles(p));
    for part in ["items", "additionalProperties"] {
        node.get_mut(part).into_iter().for_each(remove_titles);
    }
}

fn clean(schema: &mut Value, name: &str) {
    let Value::Object(node) = schema else { return };
    // `null` would be stored and not defaulted, and breaks merge patches.
    node.remove("nullable");
    if let Some(Value::Array(words)) = node.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::String(text)) = node.get_mut("description") {
        *text = flow(text);
    }
    bound(node, name);
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        for (name, property) in properties {
            clean(property, name);
            shorten_default(property);
        }
    }
    for part in ["items", "additionalProperties"] {
        if let Some(inner) = node.get_mut(part) {
            clean(inner, "");
        }
    }
}

/// Gives a bound to a text, list or map that has none.
fn bound(node: &mut Map<String, Value>, name: &str) {
    let (limit, most) = match node.get("type").and_then(Value::as_str) {
        Some("string") if node.contains_key("enum") => return,
        Some("string") if node.contains_key("format") => ("maxLength", FORMATTED_TEXT),
        Some("string") if name == "message" => ("maxLength", CONDITION_MESSAGE),
        Some("string") => ("maxLength", FOREIGN_TEXT),
        Some("array") => ("maxItems", FOREIGN_ITEMS),
        Some("object") if node.contains_key("additionalProperties") => ("maxProperties", FOREIGN_ITEMS),
        _ => return,
    };
    node.entry(limit).or_insert_with(|| json!(most));
}

/// `{}` instead of a default that only repeats the defaults of the members. Not beside rules: the API server tries them
/// on the default itself, without those of its members, when the CRD is installed.
fn shorten_default(property: &mut Value) {
    if property.get("x-kubernetes-validations").is_some() {
        return;
    }
    let Some(default) = property.get("default").and_then(Value::as_object) else { return };
    let repeats = default.iter().all(|(name, value)| {
        let member = &property["properties"][name]["default"];
        member == value || (member == &json!({}) && value.is_object())
    });
    if repeats {
        property["default"] = json!({});
    }
}

/// Text without the line breaks of the source: only empty lines separate paragraphs.
fn flow(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| {
        paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
