//! The objects, and what became of them.
//!
//! Owns resource versions, generations, identities and the history that watches read. Must never be asked for something
//! over HTTP directly: `calls` is between them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::apply::Owners;
use super::kinds::Kind;

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Name of the kind in manifests.
    pub kind: &'static str,
    /// Namespace; empty for kinds without.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// The object of a kind with this name.
    pub fn new(kind: &Kind, namespace: &str, name: &str) -> Self {
        let namespace = if kind.namespaced { namespace.to_owned() } else { String::new() };
        Self { kind: kind.name, namespace, name: name.to_owned() }
    }
}

/// One object.
#[derive(Debug, Clone)]
pub struct Entry {
    /// As it is served, but for `metadata.managedFields`.
    pub object: Value,
    /// Who owns which field.
    pub owners: Owners,
}

/// One change.
#[derive(Debug, Clone)]
pub struct Change {
    /// Resource version that it made.
    pub revision: u64,
    /// Which object.
    pub key: Key,
    /// The object before; absent if it is new.
    pub before: Option<Value>,
    /// The object after; absent if it is gone.
    pub after: Option<Value>,
}

/// Everything that the server knows.
#[derive(Debug, Clone, Default)]
pub struct Store {
    /// The newest resource version.
    pub revision: u64,
    /// The oldest resource version from which a watch can still begin.
    pub oldest: u64,
    /// Every object.
    pub objects: BTreeMap<Key, Entry>,
    /// Every change, in order.
    pub history: Vec<Change>,
    identities: u64,
    addresses: u64,
}

impl Store {
    /// An object, as it is served.
    pub fn get(&self, key: &Key) -> Option<Value> {
        self.objects.get(key).map(served)
    }

    /// The objects of a kind in a namespace, or in all for an empty one.
    pub fn list(&self, kind: &Kind, namespace: &str) -> impl Iterator<Item = (&Key, Value)> {
        self.objects
            .iter()
            .filter(move |(key, _)| key.kind == kind.name && (namespace.is_empty() || key.namespace == namespace))
            .map(|(key, entry)| (key, served(entry)))
    }

    /// A cluster IP that nobody has.
    pub fn address(&mut self) -> String {
        self.addresses += 1;
        format!("10.96.{}.{}", self.addresses / 250, self.addresses % 250 + 1)
    }

    /// Stores an object that is complete but for what the store gives: identity, versions, time. Whether it was a change.
    pub fn put(&mut self, kind: &Kind, key: &Key, mut entry: Entry, now: Timestamp) -> bool {
        let before = self.objects.get(key).cloned();
        let metadata = &mut entry.object["metadata"];
        if let Some(before) = &before {
            for field in ["uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp"] {
                copy(&before.object["metadata"], metadata, field);
            }
        } else {
            self.identities += 1;
            metadata["uid"] = format!("00000000-0000-4000-8000-{:012}", self.identities).into();
            if metadata["creationTimestamp"].is_null() {
                metadata["creationTimestamp"] = second(now).into();
            }
            if kind.generation {
                metadata["generation"] = 1.into();
            }
        }
        if let Some(before) = &before {
            if before.object == entry.object && before.owners.keys().eq(entry.owners.keys()) {
                // Nobody sees that fields changed hands without a change of value, which would be a write to no end.
                self.objects.insert(key.clone(), entry);
                return false;
            }
            if kind.generation && before.object["spec"] != entry.object["spec"] {
                let generation = before.object["metadata"]["generation"].as_i64().unwrap_or_default();
                entry.object["metadata"]["generation"] = (generation + 1).into();
            }
        }
        self.revision += 1;
        entry.object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let after = Some(served(&entry));
        self.objects.insert(key.clone(), entry);
        self.record(key, before.as_ref().map(served), after);
        true
    }

    /// Removes an object. Nothing of ours has finalizers.
    pub fn delete(&mut self, key: &Key) -> Option<Value> {
        let mut entry = self.objects.remove(key)?;
        let before = served(&entry);
        self.revision += 1;
        entry.object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        self.record(key, Some(before), None);
        Some(served(&entry))
    }

    /// Removes everything whose owners are all gone, as the garbage collector does.
    pub fn collect_garbage(&mut self) {
        loop {
            let alive = |uid: &Value| self.objects.values().any(|entry| entry.object["metadata"]["uid"] == *uid);
            let orphan = self.objects.iter().find(|(_, entry)| {
                let owners = entry.object["metadata"]["ownerReferences"].as_array();
                owners.is_some_and(|owners| !owners.is_empty() && !owners.iter().any(|owner| alive(&owner["uid"])))
            });
            let Some(key) = orphan.map(|(key, _)| key.clone()) else { return };
            self.delete(&key);
        }
    }

    fn record(&mut self, key: &Key, before: Option<Value>, after: Option<Value>) {
        self.history.push(Change { revision: self.revision, key: key.clone(), before, after });
    }
}

/// A time as the server writes it.
pub fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn copy(from: &Value, to: &mut Value, field: &str) {
    match from.get(field) {
        Some(value) => to[field] = value.clone(),
        None => {
            if let Some(members) = to.as_object_mut() {
                members.remove(field);
            }
        }
    }
}

fn served(entry: &Entry) -> Value {
    let mut object = entry.object.clone();
    let managers = entry.owners.keys().map(|manager| json!({"manager": manager, "fieldsType": "FieldsV1"}));
    let managers: Vec<Value> = managers.collect();
    if !managers.is_empty() {
        object["metadata"]["managedFields"] = managers.into();
    }
    object
}
