//! What each verb does to the store.
//!
//! Owns the semantics of get, list, create, update, patch and delete. Must never wait: a call happens at one instant.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::apply::{self, Owners};
use super::kinds::{self, Kind};
use super::request::{Call, PatchKind, Verb};
use super::store::{Entry, Key, Store};
use super::{defaults, shapes};

/// Does a call. The error is a mistake that no client of ours may make.
pub fn execute(store: &mut Store, call: &Call, now: Timestamp) -> Result<Answer, String> {
    let key = Key::new(call.kind, &call.namespace, &call.name);
    match call.verb {
        Verb::Get => Ok(match store.get(&key) {
            Some(object) => Answer::object(200, answer::shown(object, call.metadata_only)),
            None => Answer::not_found(call.kind, &call.name),
        }),
        Verb::List => list(store, call),
        Verb::Create => create(store, call, now),
        Verb::Update => update(store, call, now),
        Verb::Patch => patch(store, call, now),
        Verb::Delete => delete(store, call),
        Verb::Watch => Err("a watch is no call".to_owned()),
    }
}

fn list(store: &Store, call: &Call) -> Result<Answer, String> {
    let (after, as_of) = match call.parameter("continue").split_once('|') {
        Some((as_of, after)) => (after, as_of.parse().map_err(|_| "the token of continue is not ours")?),
        None => ("", store.revision),
    };
    if as_of < store.oldest {
        return Ok(Answer::gone());
    }
    let limit = match call.parameter("limit") {
        "" | "0" => usize::MAX,
        number => number.parse().map_err(|_| format!("limit is {number}"))?,
    };
    let place = |key: &Key| format!("{}/{}", key.namespace, key.name);
    let mut items: Vec<(Key, Value)> = store
        .list(call.kind, &call.namespace)
        .filter(|(key, object)| place(key).as_str() > after && call.selection.matches(object))
        .map(|(key, object)| (key.clone(), object))
        .collect();
    let next = if items.len() > limit { format!("{as_of}|{}", place(&items[limit - 1].0)) } else { String::new() };
    items.truncate(limit);
    Ok(Answer::object(200, answer::list(call.kind, items, store.revision, &next, call.metadata_only)))
}

fn create(store: &mut Store, call: &Call, now: Timestamp) -> Result<Answer, String> {
    let mut body = call.body.clone();
    let name = body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    checked(call, &name, &body)?;
    for field in ["resourceVersion", "uid"] {
        if !body["metadata"][field].is_null() {
            return Ok(Answer::failure(
                400,
                "BadRequest",
                format!("{field} should not be set on objects to be created"),
            ));
        }
    }
    let key = Key::new(call.kind, &call.namespace, &name);
    if store.objects.contains_key(&key) {
        return Ok(Answer::already_exists(call.kind, &name));
    }
    if call.kind.status
        && let Some(members) = body.as_object_mut()
    {
        members.remove("status");
    }
    let mut owners = Owners::new();
    complete(call.kind, &key, &mut body);
    apply::take_over(call.kind, &mut owners, call.manager(), &json!({}), &body);
    store_it(store, call, &key, Entry { object: body, owners }, now)
}

fn update(store: &mut Store, call: &Call, now: Timestamp) -> Result<Answer, String> {
    checked(call, &call.name, &call.body)?;
    let key = Key::new(call.kind, &call.namespace, &call.name);
    let Some(before) = store.objects.get(&key).cloned() else {
        return Ok(Answer::not_found(call.kind, &call.name));
    };
    let (given, current) = (&call.body["metadata"], &before.object["metadata"]);
    let optional = ["Event", "Lease", "Secret", "ConfigMap"].contains(&call.kind.name);
    if given["resourceVersion"].is_null() && !optional {
        let problem = "metadata.resourceVersion: Invalid value: 0: must be specified for an update".to_owned();
        return Ok(Answer::invalid(call.kind, &call.name, &[problem]));
    }
    if let Some(conflict) = precondition(call, given, current) {
        return Ok(conflict);
    }
    let mut next = before.clone();
    if call.status {
        next.object["status"] = call.body["status"].clone();
    } else {
        next.object = call.body.clone();
        keep_status(call.kind, &before.object, &mut next.object);
    }
    complete(call.kind, &key, &mut next.object);
    apply::take_over(call.kind, &mut next.owners, call.manager(), &before.object, &next.object);
    store_it(store, call, &key, next, now)
}

fn patch(store: &mut Store, call: &Call, now: Timestamp) -> Result<Answer, String> {
    let key = Key::new(call.kind, &call.namespace, &call.name);
    match (&call.patch, store.objects.get(&key).cloned()) {
        (Some(PatchKind::Merge), None) => Ok(Answer::not_found(call.kind, &call.name)),
        (Some(PatchKind::Merge), Some(before)) => merge_patch(store, call, &key, &before, now),
        (Some(PatchKind::Apply { .. }), None) if call.status => Ok(Answer::not_found(call.kind, &call.name)),
        (Some(PatchKind::Apply { force }), before) => server_side_apply(store, call, before.as_ref(), *force, now),
        (None, _) => Err("a patch without a kind".to_owned()),
    }
}

fn merge_patch(store: &mut Store, call: &Call, key: &Key, before: &Entry, now: Timestamp) -> Result<Answer, String> {
    if let Some(conflict) = precondition(call, &call.body["metadata"], &before.object["metadata"]) {
        return Ok(conflict);
    }
    let mut next = before.clone();
    merge(&mut next.object, &call.body);
    if call.status {
        let status = next.object["status"].take();
        next.object = before.object.clone();
        next.object["status"] = status;
    } else {
        keep_status(call.kind, &before.object, &mut next.object);
    }
    checked(call, &call.name, &next.object)?;
    complete(call.kind, key, &mut next.object);
    apply::take_over(call.kind, &mut next.owners, call.manager(), &before.object, &next.object);
    store_it(store, call, key, next, now)
}

fn server_side_apply(
    store: &mut Store,
    call: &Call,
    before: Option<&Entry>,
    force: bool,
    now: Timestamp,
) -> Result<Answer, String> {
    checked(call, &call.name, &call.body)?;
    let key = Key::new(call.kind, &call.namespace, &call.name);
    let mut applied = call.body.clone();
    if !applied["metadata"]["managedFields"].is_null() {
        return Ok(Answer::failure(400, "BadRequest", "metadata.managedFields must be nil"));
    }
    let live = before.cloned().unwrap_or_else(|| Entry { object: json!({"metadata": {}}), owners: Owners::new() });
    if let Some(conflict) = precondition(call, &applied["metadata"], &live.object["metadata"]) {
        return Ok(conflict);
    }
    // A status is applied alone, and everything but the status without it.
    match (call.status, applied.as_object_mut()) {
        (true, Some(members)) => members.retain(|name, _| ["apiVersion", "kind", "status"].contains(&name.as_str())),
        (false, Some(members)) if call.kind.status => drop(members.remove("status")),
        _ => {}
    }
    let manager = call.manager();
    let wanted = apply::fields(call.kind, &applied)?;
    let mut next = live.clone();
    apply::merge(call.kind, &mut next.object, &applied);
    let conflicts = apply::conflicts(manager, &live.owners, &live.object, &next.object, &wanted);
    if !(force || conflicts.is_empty()) {
        return Ok(Answer::conflict(call.kind, &call.name, &format!("conflicts with {}", conflicts.join(", "))));
    }
    apply::remove_dropped(&mut next.object, manager, &live.owners, &wanted);
    complete(call.kind, &key, &mut next.object);
    // Who applies a field with another value than its owner's owns it from then on.
    apply::take_over(call.kind, &mut next.owners, manager, &live.object, &next.object);
    next.owners.insert(manager.to_owned(), wanted);
    store_it(store, call, &key, next, now)
}

fn delete(store: &mut Store, call: &Call) -> Result<Answer, String> {
    let known = ["apiVersion", "kind", "preconditions", "propagationPolicy", "gracePeriodSeconds"];
    if let Some(name) =
        call.body.as_object().into_iter().flatten().map(|(name, _)| name).find(|name| !known.contains(&name.as_str()))
    {
        return Err(format!("unknown option {name} of a deletion"));
    }
    let key = Key::new(call.kind, &call.namespace, &call.name);
    let Some(object) = store.get(&key) else { return Ok(Answer::not_found(call.kind, &call.name)) };
    let preconditions = &call.body["preconditions"];
    for field in ["uid", "resourceVersion"] {
        let (wanted, current) = (&preconditions[field], &object["metadata"][field]);
        if !wanted.is_null() && wanted != current {
            let why =
                format!("the {field} in the precondition ({wanted}) does not match the one in record ({current})");
            return Ok(Answer::conflict(call.kind, &call.name, &why));
        }
    }
    store.delete(&key);
    let details = json!({"name": call.name, "kind": call.kind.plural, "uid": object["metadata"]["uid"]});
    Ok(Answer::object(
        200,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
        }),
    ))
}

/// What every written object must be: of the kind, name and namespace of the path, with known fields only.
fn checked(call: &Call, name: &str, body: &Value) -> Result<(), String> {
    let expected = [
        ("/kind", call.kind.name.to_owned()),
        ("/apiVersion", call.kind.api_version()),
        ("/metadata/name", name.to_owned()),
        ("/metadata/namespace", call.namespace.clone()),
    ];
    for (path, expected) in expected {
        let given = body.pointer(path).and_then(Value::as_str);
        let may_miss = path == "/metadata/namespace" || (path == "/metadata/name" && call.verb != Verb::Create);
        if given.is_none() && may_miss {
            continue;
        }
        if given != Some(expected.as_str()) || expected.is_empty() {
            return Err(format!("{path} is {given:?}, and the path says {expected:?}"));
        }
    }
    shapes::unknown_fields(call.kind, body)
}

/// A resource version or uid that the client expects.
fn precondition(call: &Call, given: &Value, current: &Value) -> Option<Answer> {
    for field in ["uid", "resourceVersion"] {
        if !given[field].is_null() && given[field] != current[field] {
            let why = "the object has been modified; please apply your changes to the latest version and try again";
            return Some(Answer::conflict(call.kind, &call.name, why));
        }
    }
    None
}

fn keep_status(kind: &Kind, before: &Value, next: &mut Value) {
    if kind.status {
        match before.get("status") {
            Some(status) => next["status"] = status.clone(),
            None => drop(next.as_object_mut().map(|members| members.remove("status"))),
        }
    }
}

/// Fills in what the path says, and removes what is the server's.
fn complete(kind: &Kind, key: &Key, object: &mut Value) {
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.name.into();
    object["metadata"]["name"] = key.name.clone().into();
    if kind.namespaced {
        object["metadata"]["namespace"] = key.namespace.clone().into();
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
}

fn store_it(store: &mut Store, call: &Call, key: &Key, mut entry: Entry, now: Timestamp) -> Result<Answer, String> {
    if call.kind.namespaced && !store.objects.contains_key(&Key::new(namespaces(), "", &key.namespace)) {
        return Ok(Answer::not_found(namespaces(), &key.namespace));
    }
    let before = store.objects.get(key).map(|entry| entry.object.clone());
    let address = match before.as_ref().and_then(|before| before.pointer("/spec/clusterIP")).and_then(Value::as_str) {
        Some(address) => address.to_owned(),
        None if call.kind.name == "Service" => store.address(),
        None => String::new(),
    };
    defaults::stored(call.kind, &mut entry.object, || address);
    // Identity is the store's; it is put back before rules are checked on the whole object.
    let problems = shapes::invalid(call.kind, &entry.object, before.as_ref());
    if !problems.is_empty() {
        return Ok(Answer::invalid(call.kind, &key.name, &problems));
    }
    store.put(call.kind, key, entry, now);
    let code = if before.is_none() { 201 } else { 200 };
    let object = store.get(key).ok_or("what was stored is gone")?;
    Ok(Answer::object(code, answer::shown(object, call.metadata_only)))
}

fn namespaces() -> &'static Kind {
    kinds::by_name("Namespace").unwrap_or(&kinds::KINDS[0])
}

/// JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            drop(target.as_object_mut().map(|members| members.remove(name)));
        } else {
            merge(&mut target[name.as_str()], value);
        }
    }
}
