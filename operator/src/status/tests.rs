//! Every situation with the conditions that it must have, and what must not change without a cause.

mod fixture;

use super::*;
use crate::probe::PodReport;
use fixture::{Scene, pod, report, words};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

/// A scene as it is while all is well.
fn serving() -> Scene {
    Scene::new(&json!({}))
}

#[test]
fn an_endpoint_that_serves_is_ready_and_has_no_abnormal_condition() {
    let status = serving().applied();
    assert_eq!(
        words(&status),
        [
            "Ready=True Serving",
            "Available=True ReplicasReady",
            "KafkaReady=True KafkaReachable",
            "CredentialsReady=True KeysIssued",
            "Exposed=True ClusterLocal",
        ]
    );
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.url.as_deref(), Some("ws://orders-gateway.shop.svc.cluster.local:8080/orders"));
    assert_eq!((status.replicas, status.ready_replicas, status.active_keys), (Some(1), Some(1), Some(1)));
    assert_eq!(status.binding, Some(Binding { name: "orders-key-default".to_owned() }));
    assert_eq!(
        status.selector.as_deref(),
        Some("app.kubernetes.io/name=headgate-gateway,headgate.dev/endpoint=orders")
    );
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(1)));
}

/// Status of a Deployment: its pods, those of the newest template, those that are ready, and one condition.
fn deployment(pods: [i32; 3], condition: [&str; 4]) -> serde_json::Value {
    let [replicas, updated, ready] = pods;
    let [type_, status, reason, message] = condition;
    json!({
        "observedGeneration": 1,
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "conditions": [{ "type": type_, "status": status, "reason": reason, "message": message }],
    })
}

#[test]
fn every_state_of_the_deployment_has_its_reason() {
    let updating = ["Progressing", "True", "ReplicaSetUpdated", ""];
    let complete = ["Progressing", "True", "NewReplicaSetAvailable", ""];
    let late = ["Progressing", "False", "ProgressDeadlineExceeded", "it has timed out"];
    let refused = |message| ["ReplicaFailure", "True", "FailedCreate", message];
    let quota = refused("pods \"x\" is forbidden: exceeded quota: small");
    let policy = refused("pods \"x\" is forbidden: violates PodSecurity");
    for (deployment, ready, available, abnormal) in [
        (json!({}), "RolloutInProgress", "False RolloutInProgress", Some("Reconciling")),
        (deployment([1, 1, 0], updating), "RolloutInProgress", "False RolloutInProgress", Some("Reconciling")),
        (deployment([2, 1, 1], updating), "RolloutInProgress", "True ReplicasReady", Some("Reconciling")),
        (deployment([1, 1, 0], complete), "ReplicasUnavailable", "False ReplicasUnavailable", None),
        (deployment([1, 1, 0], late), "RolloutFailed", "False RolloutFailed", Some("Stalled")),
        (deployment([2, 1, 1], late), "RolloutFailed", "True ReplicasReady", Some("Stalled")),
        (deployment([0, 0, 0], quota), "QuotaExceeded", "False QuotaExceeded", Some("Reconciling")),
        (deployment([0, 0, 0], policy), "AdmissionDenied", "False AdmissionDenied", Some("Stalled")),
    ] {
        let mut scene = serving();
        scene.deployment = deployment.clone();
        scene.pods[0].report = None;
        let words = words(&scene.applied());
        assert_eq!(words[0], format!("Ready=False {ready}"), "{deployment}");
        assert_eq!(words[1], format!("Available={available}"), "{deployment}");
        let abnormal = abnormal.map(|type_| format!("{type_}=True {ready}"));
        assert_eq!(words.get(5), abnormal.as_ref(), "{deployment}");
    }
}

#[test]
fn what_a_pod_waits_for_is_told_and_what_is_normal_only_after_the_deadline() {
    let updating = ["Progressing", "True", "ReplicaSetUpdated", ""];
    let late = ["Progressing", "False", "ProgressDeadlineExceeded", "it has timed out."];
    for (condition, waiting, told) in [
        (updating, "ErrImagePull", "(ImagePullBackOff)."),
        (updating, "ImagePullBackOff", "(ImagePullBackOff)."),
        (updating, "ContainerCreating", "are starting."),
        (late, "ContainerCreating", "it has timed out (ContainerCreating)."),
    ] {
        let mut scene = serving();
        scene.deployment = deployment([1, 1, 0], condition);
        scene.pods = vec![GatewayPod { waiting: Some(waiting.to_owned()), ..fixture::unready(pod("a")) }];
        let message = scene.applied().conditions.swap_remove(1).message;
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn one_pod_of_several_may_be_missing() {
    for (ready, available) in [(3, "True ReplicasReady"), (2, "True ReplicasReady"), (1, "False ReplicasUnavailable")] {
        let mut scene = Scene::new(&json!({ "replicas": 3 }));
        scene.deployment = deployment([3, 3, ready], ["Progressing", "True", "NewReplicaSetAvailable", ""]);
        assert_eq!(words(&scene.applied())[1], format!("Available={available}"), "{ready} of 3");
    }
}

#[test]
fn every_word_of_a_gateway_pod_has_its_reason() {
    let tls = "sasl_ssl://kafka:9093/bootstrap: SSL handshake failed: certificate verify failed";
    let down = "sasl_ssl://kafka:9093/bootstrap: Connect to ipv4#192.0.2.1:9093 failed: Connection refused";
    for (state, detail, kafka) in [
        ("Reading", None, "True KafkaReachable"),
        ("Connecting", None, "Unknown KafkaNotProbed"),
        ("Unreachable", Some(down), "False KafkaUnreachable"),
        ("Unreachable", Some(tls), "False TlsFailed"),
        ("TopicNotFound", None, "False TopicNotFound"),
        ("AuthenticationFailed", Some("SASL authentication error"), "False AuthenticationFailed"),
        ("AuthorizationFailed", None, "False AuthorizationFailed"),
    ] {
        let mut scene = serving();
        scene.pods = vec![report(pod("a"), state, detail)];
        let status = scene.applied();
        assert_eq!(words(&status)[2], format!("KafkaReady={kafka}"), "{state}");
        assert!(status.conditions[2].message.contains("shop.orders"), "{}", status.conditions[2].message);
        if kafka.starts_with("False") {
            assert_eq!(words(&status)[0], format!("Ready={kafka}"));
            assert_eq!(status.conditions[0].message, status.conditions[2].message);
            assert!(status.conditions[2].message.contains(detail.unwrap_or_default()));
        }
    }
}

#[test]
fn kafka_is_the_reason_why_pods_do_not_become_ready() {
    let mut scene = serving();
    scene.deployment = json!({ "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1 });
    scene.pods = vec![fixture::unready(report(pod("a"), "TopicNotFound", None))];
    let words = words(&scene.applied());
    assert_eq!(words[..2], ["Ready=False TopicNotFound", "Available=False RolloutInProgress"]);
    assert_eq!(words[5..], ["Reconciling=True RolloutInProgress"]);
}

#[test]
fn pods_with_the_present_configuration_are_asked_and_others_only_while_there_are_none() {
    let mut scene = serving();
    let outdated = |state| GatewayPod { config_hash: Some("older".to_owned()), ..report(pod("a"), state, None) };
    scene.pods = vec![outdated("Reading"), report(pod("b"), "AuthenticationFailed", None)];
    assert_eq!(words(&scene.applied())[2], "KafkaReady=False AuthenticationFailed");
    scene.pods = vec![outdated("TopicNotFound")];
    assert_eq!(words(&scene.applied())[2], "KafkaReady=False TopicNotFound");
    scene.pods = vec![report(pod("a"), "Reading", None), report(pod("b"), "Unreachable", None)];
    let status = scene.applied();
    assert_eq!(words(&status)[2], "KafkaReady=True KafkaReachable");
    assert!(status.conditions[2].message.starts_with("1 of 2"), "{}", status.conditions[2].message);
    scene.pods.iter_mut().for_each(|pod| pod.terminating = true);
    assert_eq!(words(&scene.applied())[2], "KafkaReady=Unknown KafkaNotProbed");
}

#[test]
fn a_pod_that_does_not_answer_once_changes_nothing_and_one_that_is_ready_holds_nothing_up() {
    let mut scene = serving();
    scene.pods[0].report = None;
    let first = scene.applied();
    assert_eq!(
        words(&first)[..3],
        ["Ready=True Serving", "Available=True ReplicasReady", "KafkaReady=Unknown KafkaNotProbed"]
    );
    for (state, kafka) in [("Reading", "True KafkaReachable"), ("TopicNotFound", "False TopicNotFound")] {
        let mut scene = serving();
        scene.pods = vec![report(pod("a"), state, None)];
        scene.object.status = Some(scene.applied());
        scene.pods[0].report = None;
        assert_eq!(words(&scene.applied())[2], format!("KafkaReady={kafka}"));
        scene.pods[0].ready = false;
        scene.object.metadata.generation = Some(2);
        assert_eq!(words(&scene.applied())[2], "KafkaReady=Unknown KafkaNotProbed");
    }
}

#[test]
fn other_words_of_the_kafka_client_about_the_same_thing_change_nothing() {
    let mut scene = serving();
    scene.pods = vec![report(pod("a"), "Unreachable", Some("kafka-0:9092: Connection refused (after 3 ms)\nagain"))];
    let first = scene.applied();
    assert!(first.conditions[2].message.ends_with("(after 3 ms) again."), "{}", first.conditions[2].message);
    scene.object.status = Some(first.clone());
    scene.pods = vec![report(pod("a"), "Unreachable", Some("kafka-1:9092: Connection refused (after 11 ms)"))];
    assert!(!differs(Some(&first), &scene.applied()));
    scene.pods = vec![report(pod("a"), "AuthenticationFailed", Some("x"))];
    assert!(differs(Some(&first), &scene.applied()));
}

#[test]
fn an_endpoint_whose_gateways_lack_the_keys_of_the_provider_says_so_where_only_tokens_are_accepted() {
    let oidc = json!({ "issuerURL": "https://id.example.com", "audiences": ["orders"] });
    let waits = |pod: GatewayPod, problem: &str| {
        let pod = report(pod, "Reading", None);
        let told = pod.report.map(|told| PodReport { provider_problem: Some(problem.to_owned()), ..told });
        GatewayPod { report: told, ..pod }
    };
    for (mode, ready) in [("OIDC", "Ready=False ProviderUnavailable"), ("ApiKeyOrOIDC", "Ready=True Serving")] {
        let mut scene = Scene::new(&json!({ "auth": { "mode": mode, "oidc": oidc } }));
        scene.pods = vec![waits(pod("a"), "refused"), waits(pod("b"), "refused")];
        assert_eq!(words(&scene.applied())[0], ready);
    }
    let mut scene = Scene::new(&json!({ "auth": { "mode": "OIDC", "oidc": oidc } }));
    scene.deployment = deployment([1, 1, 0], ["Progressing", "True", "ReplicaSetUpdated", ""]);
    scene.pods = vec![fixture::unready(waits(pod("a"), "https://id.example.com cannot be reached: refused"))];
    let first = scene.applied();
    assert_eq!(words(&first)[0], "Ready=False ProviderUnavailable");
    assert!(first.conditions[0].message.ends_with("cannot be reached: refused."), "{}", first.conditions[0].message);
    scene.object.status = Some(first.clone());
    scene.pods = vec![fixture::unready(waits(pod("a"), "https://id.example.com did not answer within 5s"))];
    assert!(!differs(Some(&first), &scene.applied()));
    // Another manifest may have another problem.
    scene.object.metadata.generation = Some(2);
    let message = scene.applied().conditions.swap_remove(0).message;
    assert!(message.ends_with("did not answer within 5s."), "{message}");
    // One of them can, so that clients can connect.
    scene.pods.push(report(pod("b"), "Reading", None));
    assert_eq!(words(&scene.applied())[0], "Ready=False RolloutInProgress");
}

#[test]
fn every_state_of_the_keys_has_its_reason() {
    let past =
        json!({ "auth": { "mode": "ApiKey", "apiKeys": [{ "name": "web", "expiresAt": "2020-01-01T00:00:00Z" }] } });
    let mixed = json!({ "auth": { "mode": "ApiKey", "apiKeys": [
        { "name": "old", "expiresAt": "2020-01-01T00:00:00Z" }, { "name": "web" }] } });
    let open = json!({ "auth": { "mode": "None" }, "publicAccess": { "anonymous": true } });
    let oidc = json!({ "issuerURL": "https://id.example.com", "audiences": ["orders"] });
    let tokens = json!({ "auth": { "mode": "OIDC", "oidc": oidc } });
    let past_or_tokens =
        json!({ "auth": { "mode": "ApiKeyOrOIDC", "oidc": oidc, "apiKeys": past["auth"]["apiKeys"] } });
    for (spec, ready, credentials) in [
        (past, "False KeyExpired", "False KeyExpired"),
        (mixed, "True Serving", "False KeyExpired"),
        (past_or_tokens, "True Serving", "False KeyExpired"),
        (tokens, "True Serving", "True KeysNotUsed"),
        (open, "True Serving", "True KeysNotUsed"),
    ] {
        let words = words(&Scene::new(&spec).applied());
        assert_eq!(
            (words[0].as_str(), words[3].as_str()),
            (&*format!("Ready={ready}"), &*format!("CredentialsReady={credentials}"))
        );
    }
    for (reason, expected, abnormal) in [
        (Reason::SecretConflict, "False SecretConflict", Some("Stalled=True SecretConflict")),
        (Reason::SecretInvalid, "False SecretInvalid", Some("Stalled=True SecretInvalid")),
        (Reason::Progressing, "False Progressing", Some("Reconciling=True Progressing")),
        (Reason::RotationPending, "True RotationPending", None),
    ] {
        let mut scene = serving();
        scene.key_problem = Some(reason);
        let words = words(&scene.applied());
        assert_eq!(words[3], format!("CredentialsReady={expected}"));
        assert_eq!(words[0].contains("False"), expected.contains("False"));
        assert_eq!(words.get(5).map(String::as_str), abnormal);
    }
}

#[test]
fn what_a_gateway_answers_is_copied_up() {
    let spec = json!({ "publicAccess": { "exposure": "Gateway", "hostname": "streams.example.com", "gateway": { "parentRefs": [{ "name": "public", "namespace": "edge" }] } } });
    let answer = |type_: &str, status: &str, reason: &str, generation: i64| {
        json!({ "parents": [{
            "parentRef": { "name": "public", "namespace": "edge" },
            "controllerName": "example.com/gateway",
            "conditions": [{ "type": type_, "status": status, "reason": reason, "message": "because", "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z" }],
        }] })
    };
    for (route, exposed, abnormal) in [
        (json!(null), "False GatewayApiMissing", Some("Stalled=True GatewayApiMissing")),
        (json!({}), "False RoutePending", Some("Reconciling=True RoutePending")),
        (answer("Accepted", "True", "Accepted", 1), "True RouteAccepted", None),
        (answer("Accepted", "True", "Accepted", 0), "False RoutePending", Some("Reconciling=True RoutePending")),
        (answer("Accepted", "False", "NoMatchingListenerHostname", 1), "False NoMatchingParent", None),
        (answer("Accepted", "False", "NotAllowedByListeners", 1), "False RefNotPermitted", None),
        (answer("ResolvedRefs", "False", "RefNotPermitted", 1), "False RefNotPermitted", None),
        (answer("ResolvedRefs", "False", "BackendNotFound", 1), "False RouteRejected", None),
    ] {
        let mut scene = Scene::new(&spec);
        scene.http_route = route.clone();
        let status = scene.applied();
        let words = words(&status);
        assert_eq!(words[4], format!("Exposed={exposed}"), "{route}");
        assert_eq!(words.get(5).map(String::as_str), abnormal, "{route}");
        assert_eq!(status.url.as_deref(), Some("wss://streams.example.com/orders"));
        if exposed.starts_with("False") {
            assert_eq!(words[0], format!("Ready={exposed}"));
        }
        if exposed.starts_with("False") && !route.is_null() {
            assert!(status.conditions[4].message.contains("edge/public"), "{}", status.conditions[4].message);
        }
    }
}

#[test]
fn an_ingress_and_a_load_balancer_are_exposed_once_they_have_an_address() {
    let ingress = json!({ "publicAccess": { "exposure": "Ingress", "hostname": "streams.example.com" } });
    let balancer = json!({ "publicAccess": { "exposure": "LoadBalancer" } });
    for (spec, address, exposed, url) in [
        (&ingress, json!({}), "False RoutePending", Some("ws://streams.example.com/orders")),
        (&ingress, json!({ "ip": "192.0.2.1" }), "True RouteAccepted", Some("ws://streams.example.com/orders")),
        (&balancer, json!({}), "False RoutePending", None),
        (&balancer, json!({ "ip": "192.0.2.1" }), "True RouteAccepted", Some("ws://192.0.2.1/orders")),
        (&balancer, json!({ "ip": "2001:db8::1" }), "True RouteAccepted", Some("ws://[2001:db8::1]/orders")),
        (
            &balancer,
            json!({ "hostname": "lb.example.com", "ip": "192.0.2.1" }),
            "True RouteAccepted",
            Some("ws://lb.example.com/orders"),
        ),
    ] {
        let mut scene = Scene::new(spec);
        scene.address = address;
        let status = scene.applied();
        assert_eq!((words(&status)[4].as_str(), status.url.as_deref()), (&*format!("Exposed={exposed}"), url));
    }
}

#[test]
fn a_certificate_is_waited_for_and_makes_the_address_secure() {
    let spec = json!({ "publicAccess": { "tls": { "secretRef": { "name": "streams-tls" } } } });
    let mut scene = Scene::new(&spec);
    assert_eq!(scene.applied().url.unwrap(), "wss://orders-gateway.shop.svc.cluster.local:8080/orders");
    scene.certificate_missing = true;
    let status = scene.applied();
    assert_eq!(
        (&*words(&status)[0], &*words(&status)[4]),
        ("Ready=False CertificatePending", "Exposed=False CertificatePending")
    );
    assert!(status.conditions[4].message.contains("streams-tls"));
    let ingress = json!({ "publicAccess": { "exposure": "Ingress", "hostname": "streams.example.com", "tls": { "secretRef": { "name": "streams-tls" } } } });
    assert_eq!(Scene::new(&ingress).applied().url.unwrap(), "wss://streams.example.com/orders");
}

#[test]
fn an_endpoint_that_is_stopped_or_has_no_replicas_says_so() {
    let gone = json!({ "observedGeneration": 1 });
    for (spec, ready, kafka) in [
        (json!({ "stopped": true }), "False Stopped", "Unknown Stopped"),
        (json!({ "replicas": 0 }), "False ReplicasUnavailable", "Unknown KafkaNotProbed"),
    ] {
        let mut scene = Scene::new(&spec);
        scene.deployment = gone.clone();
        scene.pods = Vec::new();
        let words = words(&scene.applied());
        assert_eq!(words[..3], [format!("Ready={ready}"), format!("Available={ready}"), format!("KafkaReady={kafka}")]);
        assert_eq!(words.len(), 5);
    }
}

#[test]
fn a_spec_that_cannot_be_used_is_stalled_whatever_still_runs() {
    let scene = serving();
    let ready = scene.applied();
    for reason in [Reason::InvalidSpec, Reason::TopicNotAllowed, Reason::AppConflict, Reason::SecretNotFound] {
        let mut scene = serving();
        scene.object.status = Some(ready.clone());
        scene.object.metadata.generation = Some(2);
        let status = scene.invalid(reason);
        let words = words(&status);
        let withdrawn = reason.withdraws();
        assert_eq!(words[0], format!("Ready=False {reason}"));
        assert_eq!(
            words[1],
            if withdrawn { "Available=False ReplicasUnavailable" } else { "Available=True ReplicasReady" }
        );
        assert_eq!(words[3], "CredentialsReady=True KeysIssued");
        assert_eq!(words[5], format!("Stalled=True {reason}"));
        assert!(status.conditions[0].message.starts_with("The StreamEndpoint cannot be used: spec.topic: "));
        assert_eq!(status.observed_generation, Some(2));
        assert_eq!(status.url.is_none(), withdrawn);
        assert_eq!((status.keys, status.binding), (ready.keys.clone(), ready.binding.clone()));
    }
    let first = words(&Scene { deployment: json!(null), ..serving() }.invalid(Reason::InvalidSpec));
    assert_eq!(
        first,
        [
            "Ready=False InvalidSpec",
            "Available=False ReplicasUnavailable",
            "KafkaReady=True KafkaReachable",
            "CredentialsReady=Unknown Progressing",
            "Exposed=False RoutePending",
            "Stalled=True InvalidSpec",
        ]
    );
}

#[test]
fn a_step_that_failed_for_the_moment_is_no_news_to_clients_that_are_served() {
    let mut scene = serving();
    assert_eq!(words(&scene.failed(Reason::ApiServerError))[0], "Ready=False ApiServerError");
    scene.object.status = Some(scene.applied());
    let words_of = |scene: &Scene, reason| {
        let words = words(&scene.failed(reason));
        (words[0].clone(), words[5].clone())
    };
    let pair = |ready: &str, abnormal: &str| (ready.to_owned(), abnormal.to_owned());
    let transient = words_of(&scene, Reason::ApiServerError);
    assert_eq!(transient, pair("Ready=True Serving", "Reconciling=True ApiServerError"));
    let permanent = words_of(&scene, Reason::OperatorForbidden);
    assert_eq!(permanent, pair("Ready=False OperatorForbidden", "Stalled=True OperatorForbidden"));
    scene.object.metadata.generation = Some(2);
    let newer = words_of(&scene, Reason::ApiServerError);
    assert_eq!(newer, pair("Ready=False ApiServerError", "Reconciling=True ApiServerError"));
    let status = scene.failed(Reason::GatewayApiMissing);
    assert_eq!(words(&status)[4], "Exposed=False GatewayApiMissing");
    assert_eq!(words(&scene.invalid(Reason::HostnameConflict))[4], "Exposed=False HostnameConflict");
}

#[test]
fn pods_that_are_replaced_while_others_serve_do_not_make_an_endpoint_unready() {
    let mut scene = serving();
    scene.object.status = Some(scene.applied());
    scene.deployment = json!({ "observedGeneration": 1, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 1 });
    let words = words(&scene.applied());
    assert_eq!((words[0].as_str(), words[5].as_str()), ("Ready=True Serving", "Reconciling=True RolloutInProgress"));
}

#[test]
fn a_paused_endpoint_is_described_as_it_is_and_not_by_its_newest_spec() {
    let mut scene = serving();
    assert_eq!(words(&Scene { deployment: json!(null), ..serving() }.paused())[0], "Ready=False PausedByUser");
    scene.object.status = Some(scene.applied());
    scene.object.metadata.generation = Some(2);
    let status = scene.paused();
    assert_eq!(words(&status)[0], "Ready=True Serving");
    assert_eq!(words(&status)[5..], ["ReconciliationPaused=True PausedByUser"]);
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.url, scene.applied().url);
}

#[test]
fn somebody_elses_children_do_not_count() {
    let mut scene = serving();
    scene.object.metadata.uid = Some("another".to_owned());
    assert_eq!(words(&scene.failed(Reason::ChildConflict))[1], "Available=False ReplicasUnavailable");
}

#[test]
fn the_time_of_a_transition_changes_with_the_status_only() {
    let mut scene = serving();
    let first = scene.applied();
    scene.object.status = Some(first.clone());
    scene.now = "2026-11-21T13:00:00.123456Z".parse().unwrap();
    assert!(!differs(Some(&first), &scene.applied()), "nothing has happened");
    scene.pods = vec![report(pod("a"), "TopicNotFound", None)];
    let second = scene.applied();
    let transition =
        |status: &StreamEndpointStatus, index: usize| status.conditions[index].last_transition_time.clone();
    let later = Time("2026-11-21T13:00:00Z".parse().unwrap());
    assert_eq!((transition(&second, 0), transition(&second, 2)), (later.clone(), later));
    assert_eq!(transition(&second, 1), transition(&first, 1));
    scene.object.status = Some(second.clone());
    scene.pods = vec![report(pod("a"), "AuthorizationFailed", None)];
    scene.now = "2026-11-21T14:00:00Z".parse().unwrap();
    assert_eq!(transition(&scene.applied(), 2), transition(&second, 2), "another reason is no transition");
}

#[test]
fn a_status_survives_the_api_server_without_a_difference() {
    let status = Scene::new(&json!({ "auth": { "mode": "ApiKey", "apiKeys": [
        { "name": "b", "expiresAt": "2030-01-01T00:00:00.5Z" }, { "name": "a" }] } }))
    .applied();
    let mut stored: StreamEndpointStatus = serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap();
    stored.conditions.reverse();
    stored.keys.reverse();
    stored.conditions.push(Condition { type_: "ExampleComChecked".to_owned(), ..stored.conditions[0].clone() });
    assert!(!differs(Some(&stored), &status));
    stored.conditions[0].message.push('x');
    assert!(differs(Some(&stored), &status));
    assert!(differs(None, &status));
}

#[test]
fn every_message_is_a_sentence_within_its_bound() {
    let mut scene = serving();
    scene.pods = vec![report(pod("a"), "Unreachable", Some(&"é".repeat(10_000)))];
    let long = "x".repeat(100_000);
    let mut statuses = vec![scene.applied(), serving().applied(), serving().paused(), scene.failed_with(&long)];
    statuses.extend(Reason::ALL.iter().flat_map(|reason| [serving().failed(*reason), serving().invalid(*reason)]));
    for condition in statuses.iter().flat_map(|status| &status.conditions) {
        let message = &condition.message;
        assert!(message.chars().count() <= finding::MAX_MESSAGE_LENGTH, "{message}");
        assert!(message.ends_with(['.', '…']) && !message.starts_with(|c: char| c.is_lowercase()), "{message}");
    }
}
