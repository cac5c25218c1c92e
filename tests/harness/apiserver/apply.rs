//! Server-side apply: who owns which field, what an apply adds, and what it takes away.
//!
//! Owns field ownership, without the versions that real managed fields have. Must never look at what a field means.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::kinds::Kind;
use super::lists::{self, List};

/// One step from an object to a field in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A member of an object.
    Field(String),
    /// An item of a list: its keys, or the value itself in a set.
    Item(String),
}

/// The fields of one manager: the way to each.
pub type Owned = BTreeSet<Vec<Step>>;

/// Which manager owns what, by name and, where a manager only updates, the mark that it does.
pub type Owners = BTreeMap<String, Owned>;

/// Members that belong to the server, whoever writes them.
const IDENTITY: &[&str] = &["apiVersion", "kind"];

/// The fields that a configuration is about.
pub fn fields(kind: &Kind, applied: &Value) -> Result<Owned, String> {
    let mut walk = Walk { kind, names: Vec::new(), path: Vec::new(), found: Owned::new() };
    for (name, value) in members(applied) {
        if !IDENTITY.contains(&name.as_str()) {
            walk.member(name, value)?;
        }
    }
    for field in ["name", "namespace", "uid", "resourceVersion"] {
        walk.found.remove(["metadata", field].map(|field| Step::Field(field.to_owned())).as_slice());
    }
    Ok(walk.found)
}

/// Puts a configuration into a live object.
pub fn merge(kind: &Kind, live: &mut Value, applied: &Value) {
    merge_value(kind, &mut Vec::new(), live, applied);
}

/// What a manager may change without force: everything that nobody else owns with another value.
pub fn conflicts<'a>(manager: &str, owners: &'a Owners, live: &Value, merged: &Value, wanted: &Owned) -> Vec<&'a str> {
    let differs = |path: &[Step]| lookup(live, path) != lookup(merged, path);
    let others = owners.iter().filter(|(name, _)| name.as_str() != manager);
    others
        .filter(|(_, owned)| wanted.intersection(owned).any(|path| differs(path)))
        .map(|(name, _)| name.as_str())
        .collect()
}

/// Takes away what a manager no longer applies and nobody else owns.
pub fn remove_dropped(object: &mut Value, manager: &str, owners: &Owners, wanted: &Owned) {
    let Some(before) = owners.get(manager) else { return };
    let kept = |path: &Vec<Step>| {
        wanted.contains(path)
            || owners.iter().any(|(name, owned)| name != manager && owned.contains(path))
            // An item that still has a field is still wanted.
            || wanted.iter().any(|other| other.len() > path.len() && other.starts_with(path))
    };
    // The longest first, so that an item is empty before it goes.
    let mut dropped: Vec<_> = before.iter().filter(|path| !kept(path)).collect();
    dropped.sort_by_key(|path| std::cmp::Reverse(path.len()));
    for path in dropped {
        remove(object, path);
    }
}

/// After a plain write by `manager`: what changed is theirs, and nobody else's.
pub fn take_over(kind: &Kind, owners: &mut Owners, manager: &str, before: &Value, after: &Value) {
    let Ok(now) = fields(kind, after) else { return };
    let changed: Owned = now.into_iter().filter(|path| lookup(before, path) != lookup(after, path)).collect();
    for (name, owned) in owners.iter_mut() {
        if name != manager {
            owned.retain(|path| !changed.contains(path) && lookup(after, path).is_some());
        }
    }
    owners.retain(|_, owned| !owned.is_empty());
    if !changed.is_empty() {
        owners.entry(manager.to_owned()).or_default().extend(changed);
    }
}

struct Walk<'a> {
    kind: &'a Kind,
    names: Vec<String>,
    path: Vec<Step>,
    found: Owned,
}

impl Walk<'_> {
    fn member(&mut self, name: &str, value: &Value) -> Result<(), String> {
        self.names.push(name.to_owned());
        self.path.push(Step::Field(name.to_owned()));
        self.value(value)?;
        self.path.pop();
        self.names.pop();
        Ok(())
    }

    fn value(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::Object(members) if !members.is_empty() => {
                members.iter().try_for_each(|(name, value)| self.member(name, value))
            }
            Value::Array(items) => self.items(items),
            _ => {
                self.found.insert(self.path.clone());
                Ok(())
            }
        }
    }

    fn items(&mut self, items: &[Value]) -> Result<(), String> {
        let merge = merge_of(self.kind, &self.names);
        if merge == List::Atomic {
            self.found.insert(self.path.clone());
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        for item in items {
            let key = key_of(&merge, item);
            if !seen.insert(key.clone()) {
                return Err(format!(".{}: duplicate entries for key {key}", self.names.join(".")));
            }
            self.path.push(Step::Item(key));
            self.found.insert(self.path.clone());
            for (name, value) in members(item) {
                self.member(name, value)?;
            }
            self.path.pop();
        }
        Ok(())
    }
}

fn merge_of(kind: &Kind, names: &[String]) -> List {
    lists::merge_of(kind, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn key_of(merge: &List, item: &Value) -> String {
    let List::Keyed(keys) = merge else { return item.to_string() };
    let part = |key: &String| match &item[key] {
        Value::Null => (key.clone(), lists::default_of(key).unwrap_or(Value::Null)),
        value => (key.clone(), value.clone()),
    };
    Value::Object(keys.iter().map(part).collect()).to_string()
}

fn merge_value(kind: &Kind, names: &mut Vec<String>, live: &mut Value, applied: &Value) {
    match (live, applied) {
        (live @ Value::Object(_), Value::Object(applied)) => {
            for (name, value) in applied {
                names.push(name.clone());
                merge_value(kind, names, &mut live[name.as_str()], value);
                names.pop();
            }
        }
        (Value::Array(live), Value::Array(applied)) => merge_items(kind, names, live, applied),
        (live, Value::Object(applied)) => {
            *live = Value::Object(Map::new());
            merge_value(kind, names, live, &Value::Object(applied.clone()));
        }
        (live, applied) => *live = applied.clone(),
    }
}

fn merge_items(kind: &Kind, names: &mut Vec<String>, live: &mut Vec<Value>, applied: &[Value]) {
    let merge = merge_of(kind, names);
    if merge == List::Atomic {
        live.clear();
        live.extend(applied.iter().cloned());
        return;
    }
    let mut merged = Vec::new();
    for item in applied {
        let key = key_of(&merge, item);
        let mut value = match live.iter().position(|other| key_of(&merge, other) == key) {
            Some(index) => live.remove(index),
            None => Value::Null,
        };
        merge_value(kind, names, &mut value, item);
        merged.push(value);
    }
    merged.append(live);
    *live = merged;
}

/// The keys of an item are not a value of their own: an item is where all of its key's members are.
fn position(items: &[Value], key: &str) -> Option<usize> {
    let wanted: Value = serde_json::from_str(key).ok()?;
    items.iter().position(|item| match &wanted {
        Value::Object(parts) => parts.iter().all(|(name, value)| {
            item.get(name) == Some(value)
                || (item.get(name).is_none() && lists::default_of(name).as_ref() == Some(value))
        }),
        other => item == other,
    })
}

/// Takes one field away.
pub fn remove_field(object: &mut Value, path: &[Step]) {
    remove(object, path);
}

fn lookup<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get(name),
        Step::Item(key) => value.as_array().and_then(|items| items.get(position(items, key)?)),
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn remove(value: &mut Value, path: &[Step]) {
    match path {
        [] => {}
        [Step::Field(name)] => {
            if let Some(members) = value.as_object_mut() {
                members.remove(name);
            }
        }
        [Step::Item(key)] => {
            if let Some(items) = value.as_array_mut()
                && let Some(index) = position(items, key)
            {
                items.remove(index);
            }
        }
        [Step::Field(name), rest @ ..] => {
            if let Some(member) = value.get_mut(name) {
                let was_empty = is_empty(member);
                remove(member, rest);
                // What is empty because its last member went becomes null, which is as good as absent.
                if !was_empty && rest.len() == 1 && is_empty(member) {
                    remove(value, &path[..1]);
                }
            }
        }
        [Step::Item(key), rest @ ..] => {
            if let Some(items) = value.as_array_mut()
                && let Some(index) = position(items, key)
            {
                // Its keys stay until the item itself goes.
                let is_key = matches!(rest, [Step::Field(name)] if serde_json::from_str::<Value>(key)
                    .is_ok_and(|key| key.get(name).is_some()));
                if !is_key {
                    remove(&mut items[index], rest);
                }
            }
        }
    }
}
