//! Whatever somebody changes or deletes of a child is repaired, and nothing else is.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use headgate_operator::apply::FIELD_MANAGER;
use headgate_tests::apiserver::apply::{Step, remove_field};
use serde_json::{Value, json};

use crate::stage::{NAMESPACE, Stage, everything};

/// Fewest fields that a drift test has to have found, so that it cannot pass by finding none.
const FEWEST_FIELDS: usize = 100;

/// The object without what a repair changes although the object is the same.
fn content(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|name, _| {
        !["resourceVersion", "generation", "managedFields", "uid", "creationTimestamp"].contains(&name.as_str())
    });
    object.as_object_mut().unwrap().remove("status");
    object
}

/// A value of the same type that nobody wants.
fn other(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(format!("{text}x").into()),
        Value::Number(number) => number.as_i64().map(|number| (number + 1).into()),
        Value::Bool(value) => Some((!value).into()),
        _ => None,
    }
}

fn set(object: &mut Value, path: &[Step], change: impl FnOnce(&Value) -> Option<Value>) -> bool {
    let mut value = object;
    for step in path {
        let next = match step {
            Step::Field(name) => value.get_mut(name),
            Step::Item(key) => {
                let key: Value = serde_json::from_str(key).unwrap();
                let is_it = |item: &&mut Value| match &key {
                    Value::Object(parts) => parts.iter().all(|(name, part)| item.get(name).is_none_or(|v| v == part)),
                    key => **item == *key,
                };
                value.as_array_mut().and_then(|items| items.iter_mut().find(is_it))
            }
        };
        let Some(next) = next else { return false };
        value = next;
    }
    match change(value) {
        Some(changed) => {
            *value = changed;
            true
        }
        None => false,
    }
}

/// A child, as it was before somebody changed it.
type Broken = (String, String, Vec<Step>, Value);

/// Breaks every field of every applied child in one way: in each round, one field of each. How many could be broken.
async fn repairs(stage: &Stage, damage: impl Fn(&mut Value, &[Step]) -> bool) -> usize {
    stage.settle().await;
    // Keys are not applied, and have tests of their own.
    let is_applied = |name: &str| !name.contains("-key-") && !name.ends_with("-tickets");
    let children = stage.children().into_iter().filter(|(_, name)| is_applied(name));
    let fields = children.map(|(kind, name)| {
        let paths: Vec<Vec<Step>> = stage.server.owned(&kind, NAMESPACE, &name, FIELD_MANAGER).into_iter().collect();
        (kind, name, paths)
    });
    let fields: Vec<_> = fields.collect();
    let rounds = fields.iter().map(|(_, _, paths)| paths.len()).max().unwrap_or_default();
    let mut broken = 0;
    for round in 0..rounds {
        let with_field = fields.iter().filter_map(|(kind, name, paths)| Some((kind, name, paths.get(round)?)));
        let now: Vec<Broken> =
            with_field.filter_map(|(kind, name, path)| break_one(stage, kind, name, path, &damage)).collect();
        if now.is_empty() {
            continue;
        }
        broken += now.len();
        stage.reconcile().await.unwrap();
        for (kind, name, path, before) in now {
            let repaired = stage.get(&kind, &name).unwrap();
            assert_eq!(content(&repaired), content(&before), "{kind} {name} {path:?}");
        }
    }
    broken
}

/// Breaks one field, unless the API server does not let that through or fills the field in again, which is no drift. A
/// child without its owner is no longer ours, which is a conflict and no drift either.
fn break_one(
    stage: &Stage,
    kind: &str,
    name: &str,
    path: &[Step],
    damage: impl Fn(&mut Value, &[Step]) -> bool,
) -> Option<Broken> {
    if path.contains(&Step::Field("ownerReferences".to_owned())) {
        return None;
    }
    let before = stage.get(kind, name)?;
    let mut after = before.clone();
    after["metadata"].as_object_mut()?.remove("managedFields");
    if !damage(&mut after, path) {
        return None;
    }
    let after = stage.server.put(after).ok()?;
    (content(&after) != content(&before)).then(|| (kind.to_owned(), name.to_owned(), path.to_vec(), before))
}

fn removed(object: &mut Value, path: &[Step]) -> bool {
    remove_field(object, path);
    true
}

/// But not what tells an entry of a list from others: with another name it is an entry of somebody else, which stays.
fn changed(object: &mut Value, path: &[Step]) -> bool {
    let is_name = match path {
        [.., Step::Item(key), Step::Field(name)] => {
            serde_json::from_str::<Value>(key).is_ok_and(|key| key.get(name).is_some())
        }
        _ => false,
    };
    !is_name && set(object, path, other)
}

/// The ways in from outside exclude each other.
fn exposures() -> [fn(&mut Value); 3] {
    [
        everything,
        |spec| {
            spec["publicAccess"] = json!({
                "exposure": "Ingress", "hostname": "orders.example.com", "ingress": {"className": "nginx"},
            });
        },
        |spec| spec["publicAccess"] = json!({"exposure": "LoadBalancer", "hostname": "orders.example.com"}),
    ]
}

#[tokio::test]
async fn every_field_that_somebody_changes_is_repaired() {
    let mut fields = 0;
    for exposure in exposures() {
        fields += repairs(&Stage::with_endpoint(exposure), changed).await;
    }
    assert!(fields > FEWEST_FIELDS, "only {fields}");
}

#[tokio::test]
async fn every_field_that_somebody_removes_is_repaired() {
    let mut fields = 0;
    for exposure in exposures() {
        fields += repairs(&Stage::with_endpoint(exposure), removed).await;
    }
    assert!(fields > FEWEST_FIELDS, "only {fields}");
}

#[tokio::test]
async fn a_secret_of_a_key_is_repaired_around_its_key() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    let keys = stage.keys();
    let before = stage.get("Secret", "orders-key-web").unwrap();
    let entries = before["data"].as_object().unwrap().keys().filter(|entry| *entry != "api-key");
    for entry in entries {
        for damage in [Value::from("ZGFtYWdl"), Value::Null] {
            stage.server.edit("Secret", NAMESPACE, "orders-key-web", |secret| secret["data"][entry] = damage).unwrap();
            stage.reconcile().await.unwrap();
            assert_eq!(stage.get("Secret", "orders-key-web").unwrap()["data"], before["data"], "{entry}");
        }
    }
    let without_labels = |secret: &mut Value| secret["metadata"]["labels"] = json!({});
    stage.server.edit("Secret", NAMESPACE, "orders-key-web", without_labels).unwrap();
    stage.reconcile().await.unwrap();
    assert_eq!(content(&stage.get("Secret", "orders-key-web").unwrap()), content(&before));
    assert_eq!(stage.keys(), keys);
}

#[tokio::test]
async fn the_secret_of_tickets_is_repaired_around_its_key() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    let before = stage.get("Secret", "orders-tickets").unwrap();
    let damage = |secret: &mut Value| secret["metadata"]["labels"] = json!({});
    stage.server.edit("Secret", NAMESPACE, "orders-tickets", damage).unwrap();
    stage.reconcile().await.unwrap();
    assert_eq!(content(&stage.get("Secret", "orders-tickets").unwrap()), content(&before));
    for spoiled in ["", "c2hvcnQ="] {
        let damage = |secret: &mut Value| secret["data"]["key"] = spoiled.into();
        stage.server.edit("Secret", NAMESPACE, "orders-tickets", damage).unwrap();
        stage.reconcile().await.unwrap();
        let key = stage.ticket_key().unwrap();
        assert_eq!(BASE64_STANDARD.decode(&key).unwrap().len(), 32, "{key}");
        assert_ne!(before["data"]["key"], key, "what was spoiled may be known");
    }
}

#[tokio::test]
async fn every_child_that_somebody_deletes_comes_back() {
    for exposure in exposures() {
        let stage = Stage::with_endpoint(exposure);
        stage.settle().await;
        let children = stage.children();
        assert!(children.len() >= 8, "{children:?}");
        for (kind, name) in children {
            let before = stage.get(&kind, &name).unwrap();
            assert!(stage.server.remove(&kind, NAMESPACE, &name));
            stage.settle().await;
            let now = stage.get(&kind, &name).unwrap_or_else(|| panic!("{kind} {name} stays away"));
            let is_made_anew = ["-verifier", "-tickets"].iter().any(|end| name.ends_with(end));
            if before["type"] != "headgate.dev/api-key" && !is_made_anew && kind != "Service" {
                assert_eq!(content(&now), content(&before), "{kind} {name}");
            }
        }
    }
}

#[tokio::test]
async fn an_entry_of_somebody_else_that_is_in_the_way_of_ours_goes() {
    let stage = Stage::with_endpoint(|_| {});
    stage.settle().await;
    let before = stage.get("Service", "orders-gateway").unwrap();
    let renumber = |service: &mut Value| service["spec"]["ports"][0]["port"] = 8081.into();
    stage.server.edit("Service", NAMESPACE, "orders-gateway", renumber).unwrap();
    // Applied, ours would be a second port of the same name, which is refused.
    stage.settle().await;
    assert_eq!(content(&stage.get("Service", "orders-gateway").unwrap()), content(&before));
}

#[tokio::test]
async fn a_field_that_is_no_longer_wanted_goes() {
    let stage = Stage::with_endpoint(|spec| {
        spec["pod"]["labels"] = json!({"team": "shop"});
        spec["pod"]["nodeSelector"] = json!({"disk": "ssd"});
    });
    stage.settle().await;
    stage.change(|spec| spec["pod"] = json!({}));
    stage.settle().await;
    let deployment = stage.get("Deployment", "orders-gateway").unwrap();
    let template = &deployment["spec"]["template"];
    assert!(template["metadata"]["labels"].get("team").is_none());
    assert!(template["spec"].get("nodeSelector").is_none_or(|selector| *selector == json!({})));
}

#[tokio::test]
async fn children_that_are_no_longer_wanted_go() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    for (kind, name) in [("HTTPRoute", "orders-gateway"), ("PodDisruptionBudget", "orders-gateway")] {
        assert!(stage.get(kind, name).is_some(), "{kind}");
    }
    stage.change(|spec| {
        spec["replicas"] = 1.into();
        spec["publicAccess"] = json!({});
    });
    stage.settle().await;
    for (kind, name) in [("HTTPRoute", "orders-gateway"), ("PodDisruptionBudget", "orders-gateway")] {
        assert!(stage.get(kind, name).is_none(), "{kind}");
    }
}
