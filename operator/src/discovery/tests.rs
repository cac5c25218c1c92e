//! Discovery against an API server in process that serves what a test says. Time is virtual.

use super::*;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// Group and version → plurals; nothing at all = the server is out of order.
pub(crate) type Served = Arc<Mutex<Option<BTreeMap<&'static str, Vec<&'static str>>>>>;

/// Serves `/apis` and `/apis/{group}/{version}`.
pub(crate) fn router(served: Served) -> Router {
    Router::new().route("/apis", get(groups)).route("/apis/{group}/{version}", get(resources)).with_state(served)
}

pub(crate) fn served<const N: usize>(apis: [(&'static str, &[&'static str]); N]) -> Served {
    Arc::new(Mutex::new(Some(apis.into_iter().map(|(api, plurals)| (api, plurals.to_vec())).collect())))
}

async fn groups(State(served): State<Served>) -> Response {
    let Some(served) = served.lock().unwrap().clone() else { return refusal(500) };
    let group = |api: &&str| {
        let (group, version) = api.split_once('/').unwrap();
        json!({ "name": group, "versions": [{ "groupVersion": api, "version": version }] })
    };
    let groups: Vec<Value> = served.keys().map(group).collect();
    Json(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })).into_response()
}

async fn resources(State(served): State<Served>, Path((group, version)): Path<(String, String)>) -> Response {
    let Some(served) = served.lock().unwrap().clone() else { return refusal(500) };
    let api = format!("{group}/{version}");
    let Some(plurals) = served.get(api.as_str()) else { return refusal(404) };
    let resource = |plural: &&str| json!({ "name": plural, "singularName": "", "namespaced": true, "kind": "Any", "verbs": ["get", "list"] });
    let resources: Vec<Value> = plurals.iter().map(resource).collect();
    let list = json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api, "resources": resources });
    Json(list).into_response()
}

fn refusal(code: u16) -> Response {
    let status = json!({ "kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": "Test" });
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}

fn discovery(served: &Served) -> (Discovery, Readiness) {
    let readiness = Readiness::new();
    let client = Client::new(router(Arc::clone(served)), "headgate");
    (Discovery::new(client, &readiness), readiness)
}

/// Waits for this, at most ten minutes of virtual time.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let before = Instant::now();
    while !holds() {
        assert!(before.elapsed() < Duration::from_mins(10), "{what}");
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_with_our_apis_is_ready_at_once() {
    let served = served([(API_VERSION, &OURS), (GATEWAY_API_VERSION, &["gateways", HTTP_ROUTES])]);
    let (discovery, readiness) = discovery(&served);
    assert_eq!(readiness.missing(), ["Kubernetes API server", LATCHES[0], LATCHES[1]]);
    let before = Instant::now();
    discovery.wait().await;
    assert!(readiness.is_ready() && discovery.optional_apis().http_route());
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn readiness_names_the_definition_that_is_missing_until_it_is_installed() {
    let served = served([(API_VERSION, &["streamendpoints", "streamendpoints/status"])]);
    let (discovery, readiness) = discovery(&served);
    let waiting = tokio::spawn(async move { discovery.wait().await });
    eventually("one is missing", || readiness.missing() == [LATCHES[1]]).await;
    sleep(Duration::from_mins(5)).await;
    assert!(!waiting.is_finished(), "it waits, however long it takes");
    served.lock().unwrap().as_mut().unwrap().insert(API_VERSION, OURS.to_vec());
    waiting.await.unwrap();
    assert!(readiness.is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_out_of_order_is_waited_for() {
    let served = Served::default();
    let (discovery, readiness) = discovery(&served);
    let waiting = tokio::spawn(async move { discovery.wait().await });
    sleep(Duration::from_mins(5)).await;
    assert_eq!(readiness.missing(), ["Kubernetes API server", LATCHES[0], LATCHES[1]]);
    *served.lock().unwrap() = Some([(API_VERSION, OURS.to_vec())].into());
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_said_with_the_version_and_the_remedy() {
    let served = served([("headgate.dev/v1beta1", &OURS)]);
    let (discovery, _readiness) = discovery(&served);
    let found = discovery.look().await.unwrap();
    assert_eq!(
        Missing(&found).to_string(),
        "waiting for CustomResourceDefinition streamendpoints.headgate.dev and CustomResourceDefinition \
         kafkaconnections.headgate.dev: headgate.dev/v1alpha1 does not have it (installed: v1beta1); install the \
         definitions of this version, with the chart (crds.enabled=true) or with `kubectl apply --server-side -f \
         crds/yaml`"
    );
}

#[tokio::test(start_paused = true)]
async fn an_optional_api_is_noticed_when_it_comes_and_when_it_goes() {
    let served = served([(API_VERSION, &OURS)]);
    let (discovery, readiness) = discovery(&served);
    discovery.wait().await;
    let (optional, shutdown) = (discovery.optional_apis(), CancellationToken::new());
    assert!(!optional.http_route());
    let rechecks = tokio::spawn(discovery.recheck(shutdown.clone()));
    let change = |plurals: Vec<&'static str>| {
        served.lock().unwrap().as_mut().unwrap().insert(GATEWAY_API_VERSION, plurals);
    };
    change(vec![HTTP_ROUTES]);
    eventually("it came", || optional.http_route()).await;
    change(vec!["gateways"]);
    eventually("it went", || !optional.http_route()).await;
    assert!(readiness.is_ready(), "it is optional");
    shutdown.cancel();
    rechecks.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn definitions_that_go_take_readiness_back_and_a_silent_api_server_does_not() {
    let served = served([(API_VERSION, &OURS)]);
    let (discovery, readiness) = discovery(&served);
    discovery.wait().await;
    let _rechecks = tokio::spawn(discovery.recheck(CancellationToken::new()));
    let before = served.lock().unwrap().take();
    sleep(Duration::from_mins(5)).await;
    assert!(readiness.is_ready());
    *served.lock().unwrap() = Some(BTreeMap::new());
    eventually("both are missing", || readiness.missing() == LATCHES).await;
    *served.lock().unwrap() = before;
    eventually("both are back", || readiness.is_ready()).await;
}
