//! A key is in its own Secret and nowhere else; a password for Kafka in the one that gateways mount.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use headgate_crds::names::ANNOTATION_ROTATE;
use headgate_tests::apiserver::faults::{Failure, Fault};
use headgate_tests::apiserver::request::Verb;
use headgate_wire::key::KeyDigest;
use serde_json::{Value, json};
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use crate::stage::{NAMESPACE, Stage, everything, secret};

/// Password of the connection's user.
const PASSWORD: &str = "planted-password-31337";

thread_local! {
    /// What the test of this thread has logged, if it listens.
    static LOGS: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Appends to the logs of the thread.
#[derive(Debug, Clone, Copy)]
struct Collector;

impl io::Write for Collector {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGS.with_borrow_mut(|logs| logs.get_or_insert_default().extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From now on everything that this thread logs is collected. One subscriber for all threads: with several, a place in the
/// code that another thread has come past first may stay silent.
fn listen() {
    static SUBSCRIBED: Once = Once::new();
    LOGS.set(Some(Vec::new()));
    SUBSCRIBED.call_once(|| {
        let listening = dynamic_filter_fn(|_, _| LOGS.with_borrow(Option::is_some));
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Collector).with_filter(listening);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
    });
}

/// An endpoint that logs in with the connection's credentials.
fn stage() -> Stage {
    let stage = Stage::with_endpoint(everything);
    stage.server.namespace("kafka", json!({}));
    stage.server.put(secret("kafka", "headgate", json!({"username": "headgate", "password": PASSWORD}))).unwrap();
    let log_in = |connection: &mut Value| {
        connection["spec"]["sasl"] = json!({"mechanism": "ScramSha512",
            "credentialsSecretRef": {"namespace": "kafka", "name": "headgate"}});
        // Without TLS a password would be sent in clear.
        connection["spec"]["tls"] = json!({});
    };
    stage.server.edit("KafkaConnection", "", "platform", log_in).unwrap();
    stage
}

/// Everything that happens to keys, and errors on the way.
async fn live(stage: &Stage) -> Vec<String> {
    let mut keys = Vec::new();
    stage.settle().await;
    keys.extend(stage.keys().into_values());
    stage.annotate(ANNOTATION_ROTATE, "1");
    for verb in [Verb::Update, Verb::Patch] {
        stage.server.fault(Fault::on(verb, "secrets", Failure::InternalError).only_the(1));
        drop(stage.reconcile().await);
    }
    stage.server.no_faults();
    stage.settle().await;
    keys.extend(stage.keys().into_values());
    stage.server.remove("Secret", NAMESPACE, "orders-key-web");
    stage.server.fault(Fault::on(Verb::Create, "secrets", Failure::Forbidden("exceeded quota".to_owned())).only_the(1));
    drop(stage.reconcile().await);
    stage.settle().await;
    keys.extend(stage.keys().into_values());
    keys
}

fn mentions(value: &Value, secret: &str) -> bool {
    let text = value.to_string();
    text.contains(secret) || text.contains(&BASE64_STANDARD.encode(secret))
}

#[tokio::test]
async fn no_key_and_no_password_is_anywhere_but_in_its_own_secret() {
    listen();
    let stage = stage();
    let keys = live(&stage).await;
    let logs = String::from_utf8(LOGS.take().unwrap()).unwrap();
    assert!(keys.len() >= 5, "{}", keys.len());
    assert!(logs.contains("applying"), "nothing was logged, so that nothing could have been found");
    let parts = keys.iter().map(|key| (key.as_str(), "headgate.dev/api-key")).chain([(PASSWORD, "Opaque")]);
    for (plain, home) in parts {
        assert!(!logs.contains(plain) && !logs.contains(&BASE64_STANDARD.encode(plain)), "in the log");
        for object in stage.server.objects() {
            let is_home = object["kind"] == "Secret" && object["type"] == home;
            assert!(is_home || !mentions(&object, plain), "in {} {}", object["kind"], object["metadata"]["name"]);
        }
    }
    let verifier = stage.get("Secret", "orders-verifier").unwrap();
    assert!(keys.iter().all(|key| !mentions(&verifier, key)));
    let ticket_key = stage.ticket_key().unwrap();
    let bytes: [u8; 32] = BASE64_STANDARD.decode(&ticket_key).unwrap().try_into().unwrap();
    // Not a digest, but the same digits.
    let digits = KeyDigest(bytes).to_string().trim_start_matches("sha256:").to_owned();
    for shown in [&ticket_key, &digits] {
        assert!(!logs.contains(shown), "in the log");
        let home = |object: &Value| object["metadata"]["name"] == "orders-tickets";
        let elsewhere: Vec<_> = stage.server.objects().into_iter().filter(|object| !home(object)).collect();
        assert!(!elsewhere.iter().any(|object| object.to_string().contains(shown)), "the key of tickets is elsewhere");
    }
    assert!(mentions(&stage.get("Secret", "orders-kafka").unwrap(), PASSWORD));
    assert!(!stage.server.list("Event", NAMESPACE).is_empty(), "no event that could have had a key in it");
}
