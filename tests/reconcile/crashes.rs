//! A process that dies at any request leaves nothing that the next one cannot finish, and no key is ever made twice.

use headgate_tests::apiserver::crash::Moment;
use serde_json::{Value, json};

use crate::stage::{NAMESPACE, Stage, comparable, everything};

/// More requests than one reconcile makes.
const MAX_REQUESTS: usize = 200;

/// Lets the process die at every request of a reconcile. One reconcile of the next process is enough to finish it.
async fn dies_at_every_request(begin: &Stage) {
    let undisturbed = begin.fork();
    undisturbed.reconcile().await.unwrap();
    let expected = comparable(&undisturbed.server);
    for moment in [Moment::BeforeItArrives, Moment::BeforeTheAnswer] {
        let mut finished = false;
        for request in 1..MAX_REQUESTS {
            let stage = begin.fork();
            stage.server.crash_at(request, moment);
            tokio::select! {
                done = stage.reconcile() => drop(done.unwrap()),
                () = stage.server.crashed() => {}
            }
            finished = !stage.server.revive();
            let (issued, ticket_key) = (stage.keys(), stage.ticket_key());
            stage.reconcile().await.unwrap();
            assert_same(&comparable(&stage.server), &expected, &format!("{moment:?} {request}"));
            for (name, key) in stage.keys() {
                let before = issued.get(&name);
                assert!(before.is_none_or(|before| *before == key), "{moment:?} {request}: {name} was made again");
            }
            let is_kept = ticket_key.is_none() || stage.ticket_key() == ticket_key;
            assert!(is_kept, "{moment:?} {request}: the key of tickets was made again");
            if finished {
                break;
            }
        }
        assert!(finished, "a reconcile makes more than {MAX_REQUESTS} requests");
    }
}

fn assert_same(found: &[Value], expected: &[Value], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert!(found == expected, "{what}:\n{}\ninstead of\n{}", pretty(found), pretty(expected));
    }
    assert_eq!(found.len(), expected.len(), "{what}");
}

fn pretty(object: &Value) -> String {
    serde_json::to_string_pretty(object).unwrap()
}

#[tokio::test]
async fn a_process_that_dies_while_it_makes_an_endpoint_is_continued() {
    dies_at_every_request(&Stage::with_endpoint(everything)).await;
}

#[tokio::test]
async fn a_process_that_dies_while_it_changes_everything_is_continued() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    stage.change(|spec| {
        spec["replicas"] = 1.into();
        spec["auth"]["apiKeys"] = json!([{"name": "web", "permissions": ["Read"]}, {"name": "mobile"}]);
        spec["publicAccess"] = json!({"exposure": "LoadBalancer", "hostname": "orders.example.com"});
    });
    dies_at_every_request(&stage).await;
}

#[tokio::test]
async fn a_process_that_dies_while_it_withdraws_an_endpoint_is_continued() {
    let stage = Stage::with_endpoint(everything);
    stage.settle().await;
    let forbid = |connection: &mut Value| connection["spec"]["allowed"][0]["topics"] = json!(["other.*"]);
    stage.server.edit("KafkaConnection", "", "platform", forbid).unwrap();
    assert!(stage.server.get("Deployment", NAMESPACE, "orders-gateway").is_some());
    dies_at_every_request(&stage).await;
}
