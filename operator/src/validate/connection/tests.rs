//! Who may use a connection, for what, and as whom.
#![expect(
    clippy::unwrap_in_result,
    reason = "the result is what is tested; the rest of a test is right, or it has failed"
)]

use super::super::{Request, guardrails};
use crate::model::Endpoint;
use crate::references::Neighbour;
use crate::{Invalid, References, validate};
use headgate_crds::KafkaConnection;
use headgate_crds::reasons::Reason;
use headgate_crds::types::{AppName, NamespaceName, TopicName};
use headgate_crds::v1alpha1::Exposure;
use serde_json::{Value, json};

/// The topic `shop.orders` for the namespace `shop`, with this entry's further members.
fn entry(more: &Value) -> Value {
    let mut entry = json!({"namespaces": {"selector": {}}, "topics": ["{namespace}.*"]});
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

/// An endpoint that came first and uses the same connection.
fn sibling(number: u32) -> Neighbour {
    Neighbour {
        namespace: "shop".to_owned(),
        name: format!("older-{number}"),
        app: format!("older-{number}"),
        hostname: None,
        exposure: Exposure::ClusterLocal,
        connection: Some("platform".to_owned()),
        own_cluster: false,
        refused: false,
    }
}

fn attempt(connection: &Value, earlier_endpoints: u32) -> Result<Endpoint, Invalid> {
    let endpoint = json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "StreamEndpoint",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"app": "web", "topic": "shop.orders", "auth": {"mode": "ApiKey"},
                 "kafka": {"connectionRef": {"name": "platform"}}},
    });
    let mut spec = json!({"bootstrapServers": "kafka:9092"});
    spec.as_object_mut().unwrap().extend(connection.as_object().unwrap().clone());
    let connection = json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "KafkaConnection",
        "metadata": {"name": "platform"},
        "spec": spec,
    });
    let references = References {
        namespace_labels: [("tier", "gold")].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        connections: vec![serde_json::from_value(connection).unwrap()],
        secrets: None,
        cluster_tokens: None,
        earlier: (0..earlier_endpoints).map(sibling).collect(),
    };
    validate(&serde_json::from_value(endpoint).unwrap(), &references)
}

fn reasons(connection: &Value) -> Vec<Reason> {
    attempt(connection, 0).err().into_iter().flat_map(|i| i.problems).map(|problem| problem.reason).collect()
}

/// Namespace and name of the Secret with the user that the endpoint logs in as.
fn user(connection: &Value) -> (String, String) {
    let credentials = attempt(connection, 0).unwrap().kafka.sasl.unwrap().credentials;
    (credentials.namespace.into(), credentials.name.into())
}

fn sasl() -> Value {
    json!({"mechanism": "ScramSha512", "credentialsSecretRef": {"namespace": "kafka", "name": "headgate"}})
}

#[test]
fn a_namespace_is_selected_by_its_labels_and_a_selector_that_makes_no_sense_selects_nothing() {
    let requirement = |operator: &str, values: &Value| json!({"matchExpressions": [{"key": "tier", "operator": operator, "values": values}]});
    for (selector, selected) in [
        (json!({}), true),
        (json!({"matchLabels": {"tier": "gold"}}), true),
        (json!({"matchLabels": {"tier": "gold", "other": "x"}}), false),
        (requirement("In", &json!(["silver", "gold"])), true),
        (requirement("In", &json!(["silver"])), false),
        (requirement("NotIn", &json!(["silver"])), true),
        (requirement("Exists", &json!([])), true),
        (requirement("DoesNotExist", &json!([])), false),
        // Kubernetes refuses these; read leniently, some would select every namespace.
        (requirement("In", &json!([])), false),
        (requirement("NotIn", &json!([])), false),
        (requirement("Exists", &json!(["gold"])), false),
        (requirement("notin", &json!(["silver"])), false),
    ] {
        let entry = entry(&json!({"namespaces": {"selector": selector}}));
        let expected: &[Reason] = if selected { &[] } else { &[Reason::TopicNotAllowed] };
        assert_eq!(reasons(&json!({"allowed": [entry]})), expected, "{selector}");
    }
}

#[test]
fn a_pattern_outside_its_limits_allows_nothing() {
    for pattern in ["*{other}", "* ", ""] {
        let entry = entry(&json!({"topics": [pattern]}));
        assert_eq!(reasons(&json!({"allowed": [entry]})), [Reason::TopicNotAllowed], "{pattern}");
    }
}

#[test]
fn credentials_are_those_of_the_entry_that_allows_the_endpoint() {
    let own = json!({"credentialsSecretRef": {"namespace": "users", "name": "{namespace}-{app}"}});
    let other = json!({"topics": ["other"], "credentialsSecretRef": {"namespace": "users", "name": "other"}});
    let own_user = ("users".to_owned(), "shop-web".to_owned());
    let shared_user = ("kafka".to_owned(), "headgate".to_owned());
    assert_eq!(user(&json!({"sasl": sasl(), "allowed": [entry(&own), entry(&json!({}))]})), own_user);
    assert_eq!(user(&json!({"sasl": sasl(), "allowed": [entry(&other), entry(&json!({}))]})), shared_user);
}

#[test]
fn guardrails_of_several_entries_are_never_added_up() {
    let one = json!({"guardrails": {"maxEndpoints": 0, "maxReplicasPerEndpoint": 10}});
    let other = json!({"topics": ["other"], "guardrails": {"maxEndpoints": 10}});
    assert_eq!(reasons(&json!({"allowed": [entry(&one), entry(&other)]})), [Reason::GuardrailExceeded]);
}

#[test]
fn endpoints_that_came_first_keep_their_place() {
    let connection = json!({"allowed": [entry(&json!({"guardrails": {"maxEndpoints": 2}}))]});
    assert!(attempt(&connection, 1).is_ok());
    let invalid = attempt(&connection, 2).unwrap_err();
    assert_eq!(invalid.problems[0].reason, Reason::GuardrailExceeded);
}

#[test]
fn only_endpoints_of_the_namespace_that_use_the_connection_take_a_place() {
    let manifest = |annotations: &Value| {
        json!({
            "apiVersion": "headgate.dev/v1alpha1",
            "kind": "KafkaConnection",
            "metadata": {"name": "platform", "annotations": annotations},
            "spec": {"bootstrapServers": "kafka:9092",
                     "allowed": [entry(&json!({"guardrails": {"maxEndpoints": 1}}))]},
        })
    };
    let [named, default] = [json!({}), json!({"headgate.dev/default-connection": "true"})]
        .map(|annotations| serde_json::from_value::<KafkaConnection>(manifest(&annotations)).unwrap());
    let exceeds = |connection: &KafkaConnection, change: &dyn Fn(&mut Neighbour)| {
        let mut neighbour = sibling(1);
        change(&mut neighbour);
        let references = References { earlier: vec![neighbour], ..References::default() };
        let endpoint = json!({"app": "web", "topic": "shop.orders", "auth": {"mode": "ApiKey"}});
        let request = Request {
            namespace: &NamespaceName::new("shop").unwrap(),
            app: &AppName::new("web").unwrap(),
            topic: &TopicName::new("shop.orders").unwrap(),
            spec: &serde_json::from_value(endpoint).unwrap(),
            references: &references,
        };
        !guardrails::violations(&request, connection, &connection.spec.allowed[0]).is_empty()
    };
    assert!(exceeds(&named, &|_| ()));
    // A refused endpoint counts, or two that wait for one place could both take it.
    assert!(exceeds(&named, &|n| n.refused = true));
    assert!(exceeds(&default, &|n| n.connection = None));
    assert!(!exceeds(&named, &|n| n.connection = None));
    assert!(!exceeds(&named, &|n| n.connection = Some("other".to_owned())));
    assert!(!exceeds(&named, &|n| n.namespace = "other".to_owned()));
    assert!(!exceeds(&default, &|n| {
        n.connection = None;
        n.own_cluster = true;
    }));
}

#[test]
fn a_connection_that_nobody_can_use_says_so_only_to_those_who_may() {
    let own = json!({"credentialsSecretRef": {"namespace": "users", "name": "{namespace}"}});
    let bad_name = json!({"credentialsSecretRef": {"namespace": "users", "name": "-{namespace}"}});
    let oauth = json!({"mechanism": "OAuthBearer", "credentialsSecretRef": {"namespace": "kafka", "name": "a"}});
    for (broken, entry_of_ours) in [
        (json!({"bootstrapServers": "kafka"}), entry(&json!({}))),
        (json!({"bootstrapServers": "kafka:0"}), entry(&json!({}))),
        (json!({"sasl": oauth}), entry(&json!({}))),
        (json!({}), entry(&own)),
        (json!({"sasl": sasl()}), entry(&bad_name)),
        (json!({"tls": {"caSecretRef": {"namespace": "kafka", "name": "CA"}}}), entry(&json!({}))),
    ] {
        let with = |entry: Value| {
            let mut connection = broken.clone();
            connection["allowed"] = json!([entry]);
            connection
        };
        assert_eq!(reasons(&with(entry_of_ours)), [Reason::InvalidSpec], "{broken}");
        assert_eq!(reasons(&with(entry(&json!({"topics": ["other"]})))), [Reason::TopicNotAllowed], "{broken}");
    }
}
