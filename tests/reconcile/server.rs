//! The server of these tests behaves like a real one wherever the operator relies on it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use headgate_crds::StreamEndpoint;
use headgate_tests::apiserver::ApiServer;
use headgate_tests::apiserver::crash::Moment;
use headgate_tests::apiserver::faults::{Failure, Fault};
use headgate_tests::apiserver::request::Verb;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, ResourceExt as _, WatchEvent,
    WatchParams,
};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, watcher};
use serde_json::{Value, json};

const NAMESPACE: &str = "default";
/// How long anything in this process may take.
const DEADLINE: Duration = Duration::from_mins(1);

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data})
}

fn config_maps(server: &ApiServer) -> Api<ConfigMap> {
    Api::namespaced(server.client(), NAMESPACE)
}

fn ours() -> PatchParams {
    PatchParams::apply("ours").force()
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("not an answer of the server: {other}"),
    }
}

fn endpoint(name: &str) -> Value {
    json!({
        "apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"app": name, "topic": "shop.orders", "auth": {"mode": "ApiKey"}, "publicAccess": {}},
    })
}

fn deployment(replicas: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [{
                        "name": "c", "image": "i:1", "ports": [{"containerPort": 80}], "env": [],
                        "resources": {"limits": {"memory": "1024Mi", "cpu": "1000m"}},
                    }],
                    "volumes": [{"name": "v", "secret": {"secretName": "s"}}],
                    "nodeSelector": {}, "hostNetwork": false,
                },
            },
        },
    })
}

#[tokio::test]
async fn applying_the_same_twice_changes_nothing() {
    let server = ApiServer::new();
    let api = config_maps(&server);
    let patch = Patch::Apply(config_map(json!({"a": "1"})));
    let first = api.patch("x", &ours(), &patch).await.unwrap();
    let second = api.patch("x", &ours(), &patch).await.unwrap();
    assert_eq!(first.resource_version(), second.resource_version());
    assert!(first.uid().is_some() && first.creation_timestamp().is_some());
}

#[tokio::test]
async fn a_field_that_is_no_longer_applied_goes_and_those_of_others_stay() {
    let server = ApiServer::new();
    let api = config_maps(&server);
    api.patch("x", &ours(), &Patch::Apply(config_map(json!({"a": "1", "b": "1"})))).await.unwrap();
    let theirs = PatchParams::apply("theirs").force();
    api.patch("x", &theirs, &Patch::Apply(config_map(json!({"c": "1"})))).await.unwrap();
    let now = api.patch("x", &ours(), &Patch::Apply(config_map(json!({"a": "1"})))).await.unwrap();
    let expected: BTreeMap<String, String> = [("a", "1"), ("c", "1")].map(|(k, v)| (k.into(), v.into())).into();
    assert_eq!(now.data, Some(expected));
}

#[tokio::test]
async fn without_force_a_field_of_somebody_else_is_a_conflict() {
    let server = ApiServer::new();
    let api = config_maps(&server);
    api.patch("x", &ours(), &Patch::Apply(config_map(json!({"a": "1"})))).await.unwrap();
    let polite = PatchParams::apply("theirs");
    let error = api.patch("x", &polite, &Patch::Apply(config_map(json!({"a": "2"})))).await.unwrap_err();
    assert_eq!(code(&error), 409);
}

#[tokio::test]
async fn lists_with_keys_are_merged_and_other_lists_replaced() {
    let server = ApiServer::new();
    let api = Api::<Deployment>::namespaced(server.client(), NAMESPACE);
    api.patch("x", &ours(), &Patch::Apply(deployment(json!(1)))).await.unwrap();
    server
        .edit("Deployment", NAMESPACE, "x", |object| {
            let spec = &mut object["spec"]["template"]["spec"];
            spec["containers"].as_array_mut().unwrap().push(json!({"name": "sidecar", "image": "i:2"}));
            spec["tolerations"] = json!([{"key": "t"}]);
        })
        .unwrap();
    let mut wanted = deployment(json!(1));
    wanted["spec"]["template"]["spec"]["tolerations"] = json!([{"key": "ours"}]);
    let now = api.patch("x", &ours(), &Patch::Apply(wanted)).await.unwrap();
    let spec = now.spec.template.spec.unwrap();
    assert_eq!(spec.containers.len(), 2, "a container of somebody else stays");
    assert_eq!(spec.tolerations.unwrap().len(), 1);
}

#[tokio::test]
async fn an_object_is_stored_with_defaults_and_without_what_is_empty() {
    let server = ApiServer::new();
    let api = Api::<Deployment>::namespaced(server.client(), NAMESPACE);
    let stored = api.patch("x", &ours(), &Patch::Apply(deployment(json!(1)))).await.unwrap();
    let stored = serde_json::to_value(stored).unwrap();
    let pod = &stored["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["ports"][0]["protocol"], "TCP");
    assert_eq!(pod["containers"][0]["resources"]["limits"], json!({"memory": "1Gi", "cpu": "1"}));
    assert_eq!(pod["containers"][0]["resources"]["requests"], json!({"memory": "1Gi", "cpu": "1"}));
    assert_eq!(pod["volumes"][0]["secret"]["defaultMode"], 420);
    for absent in ["/nodeSelector", "/hostNetwork", "/containers/0/env"] {
        assert_eq!(pod.pointer(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn a_change_of_the_spec_raises_the_generation_and_a_status_does_not() {
    let server = ApiServer::new();
    server.put(endpoint("orders")).unwrap();
    let api = Api::<StreamEndpoint>::namespaced(server.client(), NAMESPACE);
    let status = json!({"apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint", "status": {"replicas": 1}});
    let after = api.patch_status("orders", &ours(), &Patch::Apply(status)).await.unwrap();
    assert_eq!((after.metadata.generation, after.status.unwrap().replicas), (Some(1), Some(1)));
    let change = json!({"spec": {"replicas": 2}, "status": {"replicas": 7}});
    let after = api.patch("orders", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    assert_eq!((after.metadata.generation, after.status.unwrap().replicas), (Some(2), Some(1)));
}

#[tokio::test]
async fn what_the_rules_of_a_kind_forbid_is_refused() {
    let server = ApiServer::new();
    let api = Api::<StreamEndpoint>::namespaced(server.client(), NAMESPACE);
    server.put(endpoint("orders")).unwrap();
    let patch = |spec: Value| Patch::Merge(json!({"spec": spec}));
    let refused = api.patch("orders", &PatchParams::default(), &patch(json!({"app": "other"}))).await.unwrap_err();
    assert_eq!(code(&refused), 422);
    let deployments = Api::<Deployment>::namespaced(server.client(), NAMESPACE);
    deployments.patch("x", &ours(), &Patch::Apply(deployment(json!(1)))).await.unwrap();
    let mut other = deployment(json!(1));
    other["spec"]["selector"]["matchLabels"]["a"] = "c".into();
    other["spec"]["template"]["metadata"]["labels"]["a"] = "c".into();
    let refused = deployments.patch("x", &ours(), &Patch::Apply(other)).await.unwrap_err();
    assert_eq!(code(&refused), 422);
}

#[tokio::test]
async fn whoever_read_an_older_version_cannot_replace_or_delete_a_newer_one() {
    let server = ApiServer::new();
    let api = config_maps(&server);
    let old =
        api.create(&PostParams::default(), &serde_json::from_value(config_map(json!({}))).unwrap()).await.unwrap();
    let twice = api.create(&PostParams::default(), &serde_json::from_value(config_map(json!({}))).unwrap()).await;
    assert_eq!(code(&twice.unwrap_err()), 409);
    api.patch("x", &PatchParams::default(), &Patch::Merge(json!({"data": {"a": "1"}}))).await.unwrap();
    let replaced = api.replace("x", &PostParams::default(), &old).await;
    assert_eq!(code(&replaced.unwrap_err()), 409);
    let preconditions = Preconditions { resource_version: old.resource_version(), uid: old.uid() };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    assert_eq!(code(&api.delete("x", &parameters).await.unwrap_err()), 409);
    api.delete("x", &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt("x").await.unwrap().is_none());
}

#[tokio::test]
async fn services_get_an_address_that_they_keep() {
    let server = ApiServer::new();
    let api = Api::<Service>::namespaced(server.client(), NAMESPACE);
    let service = |port: u16| {
        Patch::Apply(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
            "spec": {"ports": [{"name": "stream", "port": port}]}}))
    };
    let first = api.patch("x", &ours(), &service(80)).await.unwrap().spec.unwrap();
    let second = api.patch("x", &ours(), &service(81)).await.unwrap().spec.unwrap();
    assert!(first.cluster_ip.is_some());
    assert_eq!(first.cluster_ip, second.cluster_ip);
    assert_eq!(second.ports.unwrap().len(), 1, "a port that is no longer applied goes");
}

#[tokio::test]
async fn lists_are_selected_and_come_in_pages() {
    let server = ApiServer::new();
    for name in ["a", "b", "c"] {
        let labels = json!({"all": "yes", "name": name});
        let metadata = json!({"name": name, "namespace": NAMESPACE, "labels": labels});
        server.put(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})).unwrap();
    }
    let api = Api::<Secret>::namespaced(server.client(), NAMESPACE);
    let names = |list: &[Secret]| list.iter().map(kube::ResourceExt::name_any).collect::<Vec<_>>();
    let page = api.list(&ListParams::default().labels("all=yes").limit(2)).await.unwrap();
    assert_eq!(names(&page.items), ["a", "b"]);
    let token = page.metadata.continue_.unwrap();
    let rest = ListParams::default().labels("all=yes").limit(2).continue_token(&token);
    assert_eq!(names(&api.list(&rest).await.unwrap().items), ["c"]);
    server.expire_watches();
    assert_eq!(code(&api.list(&rest).await.unwrap_err()), 410);
    let one = api.list(&ListParams::default().labels("name in (a, c),!missing").fields("metadata.name!=a")).await;
    assert_eq!(names(&one.unwrap().items), ["c"]);
    let metadata = Api::<PartialObjectMeta<Secret>>::namespaced(server.client(), NAMESPACE);
    assert_eq!(metadata.list(&ListParams::default()).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn a_watch_tells_what_happened_since_the_version_it_begins_at() {
    let server = ApiServer::new();
    let api = config_maps(&server);
    api.patch("x", &ours(), &Patch::Apply(config_map(json!({"a": "1"})))).await.unwrap();
    let since = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    api.patch("x", &ours(), &Patch::Apply(config_map(json!({"a": "2"})))).await.unwrap();
    let events = api.watch(&WatchParams::default(), &since).await.unwrap();
    api.delete("x", &DeleteParams::default()).await.unwrap();
    server.send_bookmarks();
    let kinds = events.take(3).map_ok(|event| match event {
        WatchEvent::Modified(_) => "modified",
        WatchEvent::Deleted(_) => "deleted",
        WatchEvent::Bookmark(_) => "bookmark",
        other => panic!("unexpected: {other:?}"),
    });
    let kinds: Vec<&str> = tokio::time::timeout(DEADLINE, kinds.try_collect()).await.unwrap().unwrap();
    assert_eq!(kinds, ["modified", "deleted", "bookmark"]);
}

#[tokio::test]
async fn a_watch_that_is_too_old_begins_anew() {
    let server = ApiServer::new();
    server
        .put(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": NAMESPACE}}))
        .unwrap();
    let api = Api::<Secret>::namespaced(server.client(), NAMESPACE);
    let events = watcher(api, watcher::Config::default());
    let seen = async {
        let mut events = pin!(events);
        let mut lists = 0;
        while lists < 2 {
            match events.next().await.unwrap() {
                Ok(watcher::Event::InitDone) => {
                    lists += 1;
                    server.expire_watches();
                }
                Ok(_) | Err(watcher::Error::WatchError(_) | watcher::Error::WatchStartFailed(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, seen).await.unwrap();
}

#[tokio::test]
async fn what_is_owned_by_something_that_is_gone_is_collected() {
    let server = ApiServer::new();
    let owner = server.put(endpoint("orders")).unwrap();
    let reference = json!({"apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint", "name": "orders",
        "uid": owner["metadata"]["uid"], "controller": true});
    let metadata = json!({"name": "child", "namespace": NAMESPACE, "ownerReferences": [reference]});
    server.put(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})).unwrap();
    server.collect_garbage();
    assert!(server.get("Secret", NAMESPACE, "child").is_some());
    server.remove("StreamEndpoint", NAMESPACE, "orders");
    server.collect_garbage();
    assert!(server.get("Secret", NAMESPACE, "child").is_none());
}

#[tokio::test]
async fn requests_go_wrong_as_the_rule_says() {
    let server = ApiServer::new();
    let api = config_maps(&server);
    server.fault(Fault::on(Verb::Get, "configmaps", Failure::TooManyRequests(7)).only_the(2));
    for expected in [404, 429, 404] {
        assert_eq!(code(&api.get("x").await.unwrap_err()), expected);
    }
}

#[tokio::test]
async fn a_crash_loses_the_answer_or_the_request() {
    for (moment, arrived) in [(Moment::BeforeItArrives, false), (Moment::BeforeTheAnswer, true)] {
        let server = ApiServer::new();
        let api = config_maps(&server);
        server.crash_at(2, moment);
        api.get_opt("x").await.unwrap();
        let (parameters, patch) = (ours(), Patch::Apply(config_map(json!({"a": "1"}))));
        tokio::select! {
            answer = api.patch("x", &parameters, &patch) => panic!("{answer:?}"),
            () = server.crashed() => {}
        }
        assert!(server.revive());
        assert_eq!(server.get("ConfigMap", NAMESPACE, "x").is_some(), arrived);
    }
}

#[tokio::test]
async fn what_no_client_of_ours_may_do_is_a_mistake() {
    let server = ApiServer::new();
    server.only_managers(&["ours"]);
    let api = config_maps(&server);
    let theirs = PatchParams::apply("theirs").force();
    api.patch("x", &theirs, &Patch::Apply(config_map(json!({"a": "1"})))).await.unwrap_err();
    api.patch("x", &ours(), &Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "dat": {}})))
        .await
        .unwrap_err();
    api.patch("x", &PatchParams::default(), &Patch::Strategic(json!({}))).await.unwrap_err();
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap_err();
    let nodes = Api::<k8s_openapi::api::core::v1::Node>::all(server.client());
    nodes.list(&ListParams::default()).await.unwrap_err();
    let mistakes = server.take_mistakes();
    let expected = ["field manager theirs", "unknown field \".dat\"", "content type", "DELETE", "unknown path"];
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    for (mistake, expected) in mistakes.iter().zip(expected) {
        assert!(mistake.contains(expected), "{mistake}");
    }
}

#[tokio::test]
async fn a_group_that_is_not_installed_is_not_found() {
    let server = ApiServer::new();
    let groups = |list: k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroupList| {
        list.groups.into_iter().map(|group| group.name).collect::<Vec<_>>()
    };
    let client = server.client();
    assert!(groups(client.list_api_groups().await.unwrap()).contains(&"gateway.networking.k8s.io".to_owned()));
    client.list_api_group_resources("gateway.networking.k8s.io/v1").await.unwrap();
    server.without_group("gateway.networking.k8s.io");
    assert!(!groups(client.list_api_groups().await.unwrap()).contains(&"gateway.networking.k8s.io".to_owned()));
    client.list_api_group_resources("gateway.networking.k8s.io/v1").await.unwrap_err();
}
