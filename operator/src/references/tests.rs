//! Who came first, and what of others is known.

use super::*;
use serde_json::{Value, json};

fn endpoint(namespace: &str, name: &str, created: Option<&str>, more: &Value) -> StreamEndpoint {
    let mut manifest = json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "StreamEndpoint",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"app": name, "topic": "t", "auth": {"mode": "ApiKey"}},
    });
    if let Some(created) = created {
        manifest["metadata"]["creationTimestamp"] = json!(created);
    }
    manifest["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(manifest).unwrap()
}

fn names(neighbours: &[Neighbour]) -> Vec<String> {
    neighbours.iter().map(|n| format!("{}/{}", n.namespace, n.name)).collect()
}

const EARLY: Option<&str> = Some("2026-01-01T00:00:00Z");
const LATE: Option<&str> = Some("2026-01-02T00:00:00Z");

#[test]
fn the_older_comes_first_and_among_equals_the_name_decides() {
    let all = [
        endpoint("b", "m", EARLY, &json!({})),
        endpoint("a", "z", EARLY, &json!({})),
        endpoint("b", "n", EARLY, &json!({})),
        endpoint("a", "a", LATE, &json!({})),
        endpoint("a", "b", None, &json!({})),
    ];
    assert_eq!(names(&neighbours(&all[0], &all)), ["a/z"]);
    assert_eq!(names(&neighbours(&all[1], &all)), [""; 0]);
    assert_eq!(names(&neighbours(&all[2], &all)), ["b/m", "a/z"]);
    assert_eq!(names(&neighbours(&all[3], &all)), ["b/m", "a/z", "b/n"]);
    assert_eq!(names(&neighbours(&all[4], &all)), ["b/m", "a/z", "b/n", "a/a"]);
}

#[test]
fn of_two_endpoints_exactly_one_comes_first() {
    let all = [endpoint("a", "x", EARLY, &json!({})), endpoint("b", "x", EARLY, &json!({}))];
    assert_eq!(neighbours(&all[0], &all).len() + neighbours(&all[1], &all).len(), 1);
}

#[test]
fn an_endpoint_that_is_being_deleted_keeps_its_place() {
    let mut leaving = endpoint("a", "x", EARLY, &json!({}));
    leaving.metadata.deletion_timestamp = leaving.metadata.creation_timestamp.clone();
    assert_eq!(names(&neighbours(&endpoint("a", "y", LATE, &json!({})), &[leaving])), ["a/x"]);
}

#[test]
fn what_an_endpoint_has_taken_is_known() {
    let taken = json!({
        "kafka": {"connectionRef": {"name": "platform"}},
        "publicAccess": {"exposure": "Ingress", "hostname": "s.example.com"},
    });
    let later = endpoint("a", "y", LATE, &json!({}));
    let [neighbour] = &neighbours(&later, &[endpoint("a", "x", EARLY, &taken)])[..] else { panic!("not one") };
    let expected = Neighbour {
        namespace: "a".to_owned(),
        name: "x".to_owned(),
        app: "x".to_owned(),
        hostname: Some("s.example.com".to_owned()),
        exposure: Exposure::Ingress,
        connection: Some("platform".to_owned()),
        own_cluster: false,
        refused: false,
    };
    assert_eq!(*neighbour, expected);
    let own = endpoint("a", "x", EARLY, &json!({"kafka": {"bootstrapServers": "k:1"}}));
    assert!(neighbours(&later, &[own])[0].own_cluster);
}

#[test]
fn an_endpoint_is_refused_while_its_status_says_that_it_is_not_allowed() {
    for (kind, reason, refused) in [
        ("Ready", "TopicNotAllowed", true),
        ("Ready", "GuardrailExceeded", true),
        ("Ready", "HostnameConflict", false),
        ("Ready", "Serving", false),
        ("Ready", "SomethingElse", false),
        ("Available", "TopicNotAllowed", false),
    ] {
        let mut other = endpoint("a", "x", EARLY, &json!({}));
        let condition = json!({"type": kind, "status": "False", "reason": reason, "message": "",
                               "lastTransitionTime": "2026-01-01T00:00:00Z"});
        other.status = serde_json::from_value(json!({"conditions": [condition]})).unwrap();
        assert_eq!(neighbours(&endpoint("a", "y", LATE, &json!({})), &[other])[0].refused, refused, "{kind} {reason}");
    }
}
