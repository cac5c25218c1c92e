//! Defaulting, as the API server does it.
//!
//! Owns the order: explicit nulls are dropped, then absent members get their default, then what was given is descended
//! into. Must never change a value that is there.

use serde_json::{Map, Value};

/// The value with the defaults of its schema.
pub(super) fn apply(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(object(schema, members)),
        Value::Array(items) => Value::Array(items.iter().map(|item| apply(&schema["items"], item)).collect()),
        other => other.clone(),
    }
}

fn object(schema: &Value, members: &Map<String, Value>) -> Map<String, Value> {
    let known = schema["properties"].as_object();
    let mut result = Map::new();
    for (name, value) in members {
        match known.and_then(|known| known.get(name)) {
            // No field of ours is nullable.
            Some(_) if value.is_null() => {}
            Some(member) => drop(result.insert(name.clone(), apply(member, value))),
            None => drop(result.insert(name.clone(), apply(&schema["additionalProperties"], value))),
        }
    }
    for (name, member) in known.into_iter().flatten() {
        if let (false, Some(default)) = (result.contains_key(name), member.get("default")) {
            result.insert(name.clone(), apply(member, default));
        }
    }
    result
}
