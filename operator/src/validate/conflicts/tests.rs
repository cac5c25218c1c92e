//! Who keeps what two endpoints want.

use crate::references::Neighbour;
use crate::{References, validate};
use headgate_crds::StreamEndpoint;
use headgate_crds::reasons::Reason;
use headgate_crds::types::BootstrapServers;
use headgate_crds::v1alpha1::Exposure;
use serde_json::{Value, json};

const HOSTNAME: &str = "s.example.com";

fn endpoint(access: &Value) -> StreamEndpoint {
    serde_json::from_value(json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "StreamEndpoint",
        "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"app": "orders", "topic": "t", "auth": {"mode": "ApiKey"}, "publicAccess": access},
    }))
    .unwrap()
}

fn older(change: impl FnOnce(&mut Neighbour)) -> Neighbour {
    let mut neighbour = Neighbour {
        namespace: "bank".to_owned(),
        name: "first".to_owned(),
        app: "orders".to_owned(),
        hostname: Some(HOSTNAME.to_owned()),
        exposure: Exposure::Gateway,
        connection: None,
        own_cluster: true,
        refused: false,
    };
    change(&mut neighbour);
    neighbour
}

/// Reason and message of each problem.
fn conflicts(access: &Value, neighbour: Neighbour) -> Vec<(Reason, String)> {
    let endpoint = endpoint(access);
    let unrestricted = References::unrestricted(&endpoint, BootstrapServers::new("127.0.0.1:9092").unwrap());
    let references = References { earlier: vec![neighbour], ..unrestricted };
    let problems = validate(&endpoint, &references).err().map(|invalid| invalid.problems).unwrap_or_default();
    problems.into_iter().map(|problem| (problem.reason, problem.message)).collect()
}

fn reasons(access: &Value, neighbour: Neighbour) -> Vec<Reason> {
    conflicts(access, neighbour).into_iter().map(|(reason, _)| reason).collect()
}

fn ingress() -> Value {
    json!({"exposure": "Ingress", "hostname": HOSTNAME})
}

#[test]
fn an_app_belongs_to_one_endpoint_of_a_namespace() {
    let sibling = |app: &str| older(|n| (n.namespace, n.app) = ("shop".to_owned(), app.to_owned()));
    let [(reason, message)] = &conflicts(&json!({}), sibling("orders"))[..] else { panic!("not one problem") };
    assert_eq!(*reason, Reason::AppConflict);
    assert!(message.contains("first"), "{message}");
    assert_eq!(reasons(&json!({}), sibling("other")), []);
    assert_eq!(reasons(&json!({}), older(|_| ())), []);
}

#[test]
fn a_path_under_a_host_name_belongs_to_one_endpoint_whatever_routes_to_it() {
    for exposure in [Exposure::Gateway, Exposure::Ingress] {
        assert_eq!(reasons(&ingress(), older(|n| n.exposure = exposure)), [Reason::HostnameConflict]);
    }
    assert_eq!(reasons(&ingress(), older(|n| n.exposure = Exposure::LoadBalancer)), []);
    assert_eq!(reasons(&ingress(), older(|n| n.app = "other".to_owned())), []);
    assert_eq!(reasons(&ingress(), older(|n| n.hostname = Some("t.example.com".to_owned()))), []);
    assert_eq!(reasons(&ingress(), older(|n| n.hostname = None)), []);
    assert_eq!(reasons(&json!({"exposure": "LoadBalancer", "hostname": HOSTNAME}), older(|_| ())), []);
}

#[test]
fn nobody_learns_whose_a_host_name_is() {
    let [(_, message)] = &conflicts(&ingress(), older(|_| ()))[..] else { panic!("not one problem") };
    assert!(!message.contains("bank") && !message.contains("first"), "{message}");
}

#[test]
fn an_endpoint_that_is_not_allowed_keeps_nothing_from_others() {
    assert_eq!(reasons(&ingress(), older(|n| n.refused = true)), []);
    let sibling = older(|n| (n.namespace, n.refused) = ("shop".to_owned(), true));
    assert_eq!(reasons(&ingress(), sibling), []);
}
