//! Whatever the API server answers, the operator tries again where that helps, and only there.

use headgate_crds::reasons::Reason;
use headgate_tests::apiserver::faults::{Failure, Fault};
use headgate_tests::apiserver::request::Verb;

use crate::stage::{Stage, comparable, everything};

/// More requests than one reconcile makes.
const MAX_REQUESTS: usize = 200;

async fn fails_at_every_request(failure: Failure) {
    let begin = Stage::with_endpoint(everything);
    let undisturbed = begin.fork();
    undisturbed.reconcile().await.unwrap();
    let expected = comparable(&undisturbed.server);
    let mut failed = 0;
    for request in 1..MAX_REQUESTS {
        let stage = begin.fork();
        stage.server.fault(Fault::on_everything(failure.clone()).only_the(request));
        let outcome = stage.reconcile().await;
        if stage.server.no_faults() {
            assert!(failed > 10, "only {failed} failures were noticed");
            return;
        }
        if let Err(error) = outcome {
            failed += 1;
            assert!(error.retry(), "{failure:?} at {request}: {error}");
        }
        stage.reconcile().await.unwrap();
        assert_eq!(comparable(&stage.server), expected, "{failure:?} at {request}");
    }
    panic!("a reconcile makes more than {MAX_REQUESTS} requests");
}

#[tokio::test]
async fn a_conflict_at_any_request_is_tried_again() {
    fails_at_every_request(Failure::Conflict).await;
}

#[tokio::test]
async fn an_expired_answer_at_any_request_is_tried_again() {
    fails_at_every_request(Failure::Gone).await;
}

#[tokio::test]
async fn too_many_requests_at_any_time_are_tried_again() {
    fails_at_every_request(Failure::TooManyRequests(1)).await;
}

#[tokio::test]
async fn an_internal_error_at_any_request_is_tried_again() {
    fails_at_every_request(Failure::InternalError).await;
}

#[tokio::test]
async fn a_server_that_starts_at_any_request_is_tried_again() {
    fails_at_every_request(Failure::Unavailable).await;
}

#[tokio::test]
async fn a_refusal_says_who_has_to_do_something() {
    let user = "User \"system:serviceaccount:headgate-system:headgate-operator\" cannot patch resource \"deployments\" \
                in API group \"apps\" in the namespace \"shop\"";
    let cases = [
        ("exceeded quota: compute, requested: limits.memory=1Gi", Reason::QuotaExceeded),
        (user, Reason::OperatorForbidden),
        ("admission webhook \"policy.example.com\" denied the request: no", Reason::AdmissionDenied),
    ];
    for (words, reason) in cases {
        let stage = Stage::with_endpoint(everything);
        stage.server.fault(Fault::on(Verb::Patch, "deployments", Failure::Forbidden(words.to_owned())));
        let error = stage.reconcile().await.unwrap_err();
        assert_eq!((error.reason(), error.retry()), (reason, !reason.needs_change()), "{words}");
        let (status, shown, message) = stage.condition("Ready").unwrap();
        assert_eq!((status.as_str(), shown.as_str()), ("False", reason.as_str()), "{message}");
        stage.server.no_faults();
        stage.settle().await;
        assert_eq!(stage.condition("Available").unwrap().0, "True", "{words}");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_written_fails_nothing() {
    let stage = Stage::with_endpoint(everything);
    stage.server.fault(Fault::on(Verb::Create, "events", Failure::Forbidden("no".to_owned())));
    stage.settle().await;
    assert_eq!(stage.condition("Available").unwrap().0, "True");
}
