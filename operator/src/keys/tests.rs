//! A key's life, case by case. Random lives are in `history`, tickets in `tickets`.

mod history;
mod tickets;

use super::*;
use crate::model::{Authentication, Endpoint, Key, Rotation};
use crate::references::References;
use crate::validate::validate;
use headgate_crds::types::{BootstrapServers, Text};
use headgate_wire::key::{KeyShape, Permission, shape};
use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

pub(super) const UID: &str = "6f7a2c1e-0000-4000-8000-000000000001";
const URL: &str = "ws://orders-gateway.shop.svc.cluster.local:8080/orders";

/// A day in the life of the tests.
pub(super) fn start() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// An endpoint with these keys, as it comes out of validation.
pub(super) fn endpoint(keys: Vec<Key>) -> Endpoint {
    let object = serde_json::from_value(serde_json::json!({
        "apiVersion": "headgate.dev/v1alpha1",
        "kind": "StreamEndpoint",
        "metadata": { "name": "orders", "namespace": "shop" },
        "spec": { "app": "orders", "topic": "shop.orders", "auth": { "mode": "ApiKey" } },
    }))
    .unwrap();
    let references = References::unrestricted(&object, BootstrapServers::new("kafka:9092").unwrap());
    let mut endpoint = validate(&object, &references).unwrap();
    endpoint.uid = UID.to_owned();
    endpoint.auth = Authentication::ApiKeys(keys);
    endpoint
}

pub(super) fn key(name: &str) -> Key {
    Key {
        name: KeyName::new(name).unwrap(),
        permissions: BTreeSet::from([Permission::Read]),
        expires_at: None,
        digest: None,
        filters: Vec::new(),
    }
}

/// Entropy that never repeats and is the same in every run.
pub(super) fn entropy(counter: &mut u64) -> Entropy {
    *counter += 1;
    let secret: [u8; 32] = Sha256::digest(counter.to_be_bytes()).into();
    Entropy { id: u64::from_be_bytes(secret[..8].try_into().unwrap()), secret }
}

pub(super) fn text(secret: &Secret) -> String {
    String::from_utf8(secret.data.as_ref().unwrap()[ENTRY_API_KEY].0.clone()).unwrap()
}

pub(super) fn brought(name: &str, key: &str, text: &str) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([
                (LABEL_BRINGS_KEY_FOR.to_owned(), "orders".to_owned()),
                (names::LABEL_KEY.to_owned(), key.to_owned()),
            ])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(ENTRY_API_KEY.to_owned(), ByteString(text.as_bytes().to_vec()))])),
        ..Secret::default()
    }
}

fn foreign(name: &str) -> Secret {
    Secret { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..Secret::default() }
}

/// The plan for these Secrets, with entropy that no other call has had.
fn planned(endpoint: &Endpoint, secrets: &[Secret], brought: &[Secret], now: Timestamp) -> KeyPlan {
    planned_for(endpoint, &KeyInputs { secrets, brought, tickets: None, rotate: None, url: Some(URL) }, now)
}

fn planned_for(endpoint: &Endpoint, inputs: &KeyInputs<'_>, now: Timestamp) -> KeyPlan {
    let mut counter = now.as_second() as u64;
    plan(endpoint, inputs, now, &mut || entropy(&mut counter))
}

/// The Secret of the only change.
fn only(plan: &KeyPlan) -> &Secret {
    assert_eq!(plan.changes.len(), 1, "{plan:?}");
    plan.changes[0].secret()
}

/// Names of the keys that this text opens.
fn opens(plan: &KeyPlan, text: &str, now: Timestamp) -> Vec<String> {
    let digest = KeyDigest::of(text);
    let valid = |key: &&Verifier| key.digest == digest && key.expires_at.is_none_or(|end| end > now);
    plan.verifiers.keys.iter().filter(valid).map(|key| key.name.clone()).collect()
}

fn state(plan: &KeyPlan, key: &str) -> KeyState {
    plan.states.iter().find(|state| state.name == key).unwrap().state
}

#[test]
fn a_key_is_issued_once_in_the_form_of_a_provisioned_service() {
    let endpoint = endpoint(vec![key("web")]);
    let first = planned(&endpoint, &[], &[], start());
    assert!(matches!(first.changes[0], SecretChange::Create(_)));
    let secret = only(&first).clone();
    assert_eq!(secret.metadata.name.as_deref(), Some("orders-key-web"));
    assert_eq!(secret.type_.as_deref(), Some("headgate.dev/api-key"));
    assert_eq!(secret.metadata.owner_references.as_ref().unwrap()[0].uid, UID);
    let key = text(&secret);
    let KeyShape::Issued { id } = shape(&key) else { panic!("not a key of ours") };
    let host = "orders-gateway.shop.svc.cluster.local";
    for (entry, value) in [
        ("type", "headgate"),
        ("provider", "headgate"),
        ("uri", URL),
        ("host", host),
        ("port", "8080"),
        ("username", id),
        ("password", &key),
    ] {
        assert_eq!(secret.data.as_ref().unwrap()[entry].0, value.as_bytes(), "{entry}");
    }
    assert_eq!(first.binding.as_deref(), Some("orders-key-web"));
    assert_eq!(first.states[0].id.as_deref(), Some(id));
    assert_eq!(first.events[0].reason, Reason::KeyIssued);
    assert_eq!(opens(&first, &key, start()), ["web"]);
    let second = planned(&endpoint, &[secret], &[], later(start(), 60));
    assert_eq!((second.changes.len(), second.events.len()), (0, 0));
    assert_eq!((second.verifiers, second.states), (first.verifiers, first.states));
}

#[test]
fn what_is_ours_in_the_secret_is_kept_in_order_around_the_key_and_what_is_not_stays() {
    let endpoint = endpoint(vec![key("web")]);
    let made = only(&planned(&endpoint, &[], &[], start())).clone();
    let mut changed = made.clone();
    changed.metadata.resource_version = Some("7".to_owned());
    changed.metadata.labels = None;
    changed.metadata.annotations.as_mut().unwrap().insert("team".to_owned(), "web".to_owned());
    let data = changed.data.as_mut().unwrap();
    data.insert("password".to_owned(), ByteString(b"wrong".to_vec()));
    data.insert("note".to_owned(), ByteString(b"theirs".to_vec()));
    let plan = planned(&endpoint, &[changed], &[], start());
    assert!(matches!(plan.changes[0], SecretChange::Replace(_)));
    let repaired = only(&plan);
    assert_eq!(repaired.metadata.resource_version.as_deref(), Some("7"));
    assert_eq!(repaired.metadata.labels, made.metadata.labels);
    assert_eq!(repaired.metadata.annotations.as_ref().unwrap()["team"], "web");
    assert_eq!(repaired.data.as_ref().unwrap()["note"].0, b"theirs");
    assert_eq!(repaired.data.as_ref().unwrap()["password"].0, text(&made).as_bytes());
    assert_eq!(text(repaired), text(&made));
}

#[test]
fn a_new_address_reaches_the_secret_and_leaves_the_key_alone() {
    let endpoint = endpoint(vec![key("web")]);
    let made = only(&planned(&endpoint, &[], &[], start())).clone();
    let url = Some("wss://streams.example.com/orders");
    let inputs = KeyInputs { secrets: std::slice::from_ref(&made), brought: &[], tickets: None, rotate: None, url };
    let plan = planned_for(&endpoint, &inputs, start());
    assert_eq!(only(&plan).data.as_ref().unwrap()["host"].0, b"streams.example.com");
    assert_eq!(only(&plan).data.as_ref().unwrap()["port"].0, b"443");
    assert_eq!(text(only(&plan)), text(&made));
    assert_eq!(plan.events, []);
}

#[test]
fn a_key_is_replaced_at_its_age_and_the_old_one_is_accepted_during_the_overlap() {
    let mut endpoint = endpoint(vec![key("web")]);
    endpoint.rotation = Some(Rotation { after_seconds: 3600, overlap_seconds: 600 });
    let first = planned(&endpoint, &[], &[], start());
    let old = only(&first).clone();
    assert_eq!(first.next_change, Some(later(start(), 3600)));
    let almost = planned(&endpoint, std::slice::from_ref(&old), &[], later(start(), 3599));
    assert_eq!(almost.changes, []);
    let due = later(start(), 3600);
    let plan = planned(&endpoint, std::slice::from_ref(&old), &[], due);
    let new = only(&plan).clone();
    assert_ne!(text(&new), text(&old));
    assert_eq!(plan.events[0].reason, Reason::KeyRotated);
    assert_eq!(state(&plan, "web"), KeyState::Rotating);
    assert_eq!(plan.next_change, Some(later(due, 600)));
    for text in [text(&old), text(&new)] {
        assert_eq!(opens(&plan, &text, later(due, 599)), ["web"]);
    }
    assert_eq!(opens(&plan, &text(&old), later(due, 600)), [""; 0]);
    let after = planned(&endpoint, std::slice::from_ref(&new), &[], later(due, 600));
    assert_eq!(state(&after, "web"), KeyState::Active);
    assert_eq!(only(&after).metadata.annotations.as_ref().unwrap().get(ANNOTATION_PREVIOUS), None);
    assert_eq!(after.verifiers.keys.len(), 1);
}

#[test]
fn asking_for_a_rotation_is_followed_once_per_value_for_all_keys_or_for_one() {
    let endpoint = endpoint(vec![key("etl"), key("web")]);
    let made: Vec<Secret> =
        planned(&endpoint, &[], &[], start()).changes.iter().map(|change| change.secret().clone()).collect();
    let asked = |secrets: &[Secret], rotate| {
        planned_for(
            &endpoint,
            &KeyInputs { secrets, brought: &[], tickets: None, rotate, url: Some(URL) },
            later(start(), 5),
        )
    };
    let all = asked(&made, Some("now"));
    assert_eq!(all.changes.len(), 2);
    let rotated: Vec<Secret> = all.changes.iter().map(|change| change.secret().clone()).collect();
    for rotate in [Some("now"), None, Some("")] {
        assert_eq!(asked(&rotated, rotate).changes, [], "{rotate:?}");
    }
    let mut one = rotated.clone();
    let annotations = one[1].metadata.annotations.as_mut().unwrap();
    annotations.insert(names::ANNOTATION_ROTATE.to_owned(), "x".repeat(100_000));
    let plan = asked(&one, Some("now"));
    assert_eq!(only(&plan).metadata.name.as_deref(), Some("orders-key-web"));
    assert_eq!(plan.states[1].state, KeyState::Rotating);
    one[1] = only(&plan).clone();
    assert_eq!(asked(&one, Some("now")).changes, []);
    let recorded = &one[1].metadata.annotations.as_ref().unwrap()[ANNOTATION_ROTATED_FOR_KEY];
    assert!(recorded.len() < 100, "a long value is kept as its digest");
}

#[test]
fn rotations_in_a_row_wait_rather_than_end_a_key_before_its_overlap() {
    let endpoint = endpoint(vec![key("web")]);
    let mut secrets = vec![only(&planned(&endpoint, &[], &[], start())).clone()];
    let mut texts = vec![text(&secrets[0])];
    let mut plans = Vec::new();
    for round in 1..=layout::MAX_PREVIOUS as u32 + 1 {
        let nonce = round.to_string();
        let inputs = KeyInputs { secrets: &secrets, brought: &[], tickets: None, rotate: Some(&nonce), url: Some(URL) };
        let plan = planned_for(&endpoint, &inputs, later(start(), round));
        if let Some(change) = plan.changes.first() {
            secrets = vec![change.secret().clone()];
            texts.push(text(&secrets[0]));
        }
        plans.push(plan);
    }
    let last = plans.last().unwrap();
    assert_eq!(last.problems[0].reason, Reason::RotationPending);
    assert_eq!(texts.len(), layout::MAX_PREVIOUS + 1);
    for text in &texts {
        assert_eq!(opens(last, text, later(start(), 10)), ["web"]);
    }
}

#[test]
fn deleting_the_secret_asks_for_a_new_key_and_ends_the_old_one_at_once() {
    let endpoint = endpoint(vec![key("web")]);
    let old = text(only(&planned(&endpoint, &[], &[], start())));
    let plan = planned(&endpoint, &[], &[], later(start(), 1));
    assert_ne!(text(only(&plan)), old);
    assert_eq!(opens(&plan, &old, later(start(), 1)), [""; 0]);
}

#[test]
fn a_secret_that_is_being_deleted_is_not_accepted_and_not_written() {
    let endpoint = endpoint(vec![key("web")]);
    let mut secret = only(&planned(&endpoint, &[], &[], start())).clone();
    secret.metadata.deletion_timestamp = Some(Time(start()));
    let plan = planned(&endpoint, &[secret], &[], start());
    assert_eq!((plan.changes.len(), plan.verifiers.keys.len()), (0, 0));
    assert_eq!(state(&plan, "web"), KeyState::Pending);
}

#[test]
fn a_key_that_is_removed_from_the_spec_is_revoked_and_its_secret_deleted() {
    let made = only(&planned(&endpoint(vec![key("web")]), &[], &[], start())).clone();
    let plan = planned(&endpoint(vec![key("etl")]), std::slice::from_ref(&made), &[], start());
    assert!(plan.changes.contains(&SecretChange::Delete(made.clone())), "{plan:?}");
    assert!(plan.events.iter().any(|event| event.reason == Reason::KeyRevoked && event.key == "web"));
    assert_eq!(opens(&plan, &text(&made), start()), [""; 0]);
}

#[test]
fn a_secret_that_is_not_ours_is_never_touched() {
    let ours = only(&planned(&endpoint(vec![key("web")]), &[], &[], start())).clone();
    let mut other_uid = ours.clone();
    other_uid.metadata.owner_references = Some(vec![OwnerReference {
        uid: "older".to_owned(),
        ..ours.metadata.owner_references.clone().unwrap().remove(0)
    }]);
    let mut other_type = ours.clone();
    other_type.type_ = Some("Opaque".to_owned());
    for (secret, reason, sentence) in [
        (foreign("orders-key-web"), Reason::SecretConflict, "is left alone"),
        (other_type, Reason::SecretConflict, "is left alone"),
        (other_uid, Reason::Progressing, "belongs to an earlier StreamEndpoint orders"),
    ] {
        let plan = planned(&endpoint(vec![key("web")]), std::slice::from_ref(&secret), &[], start());
        assert_eq!((plan.changes.len(), plan.verifiers.keys.len()), (0, 0));
        assert_eq!(plan.conflicts.len(), usize::from(reason == Reason::SecretConflict));
        assert_eq!(plan.problems[0].reason, reason);
        assert!(plan.problems[0].message.contains(sentence), "{}", plan.problems[0].message);
        let unlisted = planned(&endpoint(vec![key("etl")]), &[secret], &[], start());
        assert!(matches!(unlisted.changes[..], [SecretChange::Create(_)]), "{unlisted:?}");
    }
}

#[test]
fn what_stands_in_place_of_a_key_is_neither_accepted_nor_overwritten_and_an_empty_entry_is_filled() {
    let endpoint = endpoint(vec![key("web")]);
    let made = only(&planned(&endpoint, &[], &[], start())).clone();
    let with = |content: Option<&[u8]>| {
        let mut secret = made.clone();
        let data = secret.data.as_mut().unwrap();
        data.remove(ENTRY_API_KEY);
        data.extend(content.map(|bytes| (ENTRY_API_KEY.to_owned(), ByteString(bytes.to_vec()))));
        planned(&endpoint, &[secret], &[], later(start(), 1))
    };
    let mistyped = text(&made).replace("hgk_", "hgk_x");
    for content in [b"hunter2-hunter2-hunter2".as_slice(), b"\xff\xfe", mistyped.as_bytes()] {
        let plan = with(Some(content));
        assert_eq!((plan.changes.len(), plan.verifiers.keys.len()), (0, 0));
        assert_eq!(plan.problems[0].reason, Reason::SecretInvalid);
        assert_eq!(state(&plan, "web"), KeyState::Pending);
    }
    for content in [None, Some(b"".as_slice())] {
        let plan = with(content);
        assert_ne!(text(only(&plan)), text(&made));
        assert_eq!(plan.events[0].reason, Reason::KeyIssued);
    }
}

#[test]
fn an_immutable_secret_keeps_its_key_and_says_why_it_cannot_be_replaced() {
    let endpoint = endpoint(vec![key("web")]);
    let mut secret = only(&planned(&endpoint, &[], &[], start())).clone();
    secret.immutable = Some(true);
    let inputs = KeyInputs { secrets: &[secret.clone()], brought: &[], tickets: None, rotate: Some("now"), url: None };
    let plan = planned_for(&endpoint, &inputs, start());
    assert_eq!(plan.changes, []);
    assert!(plan.problems[0].message.contains("immutable"));
    assert_eq!(opens(&plan, &text(&secret), start()), ["web"]);
}

#[test]
fn an_expired_key_is_neither_issued_nor_replaced_and_lives_again_with_a_later_end() {
    let end = later(start(), 100);
    let mut expiring = endpoint(vec![Key { expires_at: Some(end), ..key("web") }]);
    expiring.rotation = Some(Rotation { after_seconds: 3600, overlap_seconds: 0 });
    let first = planned(&expiring, &[], &[], start());
    assert_eq!(first.next_change, Some(end));
    let secret = only(&first).clone();
    let after = planned(&expiring, std::slice::from_ref(&secret), &[], later(start(), 9000));
    assert_eq!((after.changes.len(), state(&after, "web")), (0, KeyState::Expired));
    assert_eq!(after.verifiers.keys[0].expires_at, Some(end), "gateways say that it has expired");
    assert_eq!(planned(&expiring, &[], &[], end).changes, []);
    let extended = endpoint(vec![key("web")]);
    assert_eq!(opens(&planned(&extended, std::slice::from_ref(&secret), &[], end), &text(&secret), end), ["web"]);
}

#[test]
fn a_key_that_is_known_by_its_digest_has_no_secret() {
    let digest = KeyDigest::of("made by its owner");
    let endpoint = endpoint(vec![Key { digest: Some(digest), ..key("etl") }]);
    let plan = planned(&endpoint, &[], &[], start());
    assert_eq!(plan.changes, []);
    assert_eq!(opens(&plan, "made by its owner", start()), ["etl"]);
    assert_eq!((plan.states[0].id.as_ref(), plan.states[0].secret_ref.as_ref(), plan.binding), (None, None, None));
}

#[test]
fn a_brought_key_takes_the_place_of_an_issued_one_and_has_the_rights_of_the_spec() {
    let endpoint = endpoint(vec![Key { permissions: BTreeSet::from([Permission::Publish]), ..key("web") }]);
    let issued = only(&planned(&endpoint, &[], &[], start())).clone();
    let vault = brought("from-vault", "web", "correct horse battery\n");
    let plan = planned(
        &endpoint,
        std::slice::from_ref(&issued),
        &[vault, brought("b", "other", "unlisted unlisted")],
        start(),
    );
    assert_eq!(plan.changes, [SecretChange::Delete(issued.clone())]);
    assert_eq!(opens(&plan, "correct horse battery", start()), ["web"]);
    assert_eq!(opens(&plan, &text(&issued), start()), [""; 0]);
    assert_eq!(opens(&plan, "unlisted unlisted", start()), [""; 0]);
    assert_eq!(plan.verifiers.keys[0].permissions, [Permission::Publish]);
    assert_eq!(plan.states[0].secret_ref.as_ref().unwrap().name, "from-vault");
    // Nobody can make our own Secret bring the key that is in it.
    let mut labelled = issued.clone();
    labelled.metadata.labels.as_mut().unwrap().insert(LABEL_BRINGS_KEY_FOR.to_owned(), "orders".to_owned());
    let plan = planned(&endpoint, std::slice::from_ref(&labelled), std::slice::from_ref(&labelled), start());
    assert_eq!(plan.changes, []);
}

#[test]
fn a_brought_key_that_could_be_guessed_or_confused_is_refused_and_replaces_none() {
    let endpoint = endpoint(vec![key("web")]);
    let issued = only(&planned(&endpoint, &[], &[], start())).clone();
    let mistyped = text(&issued).replace("hgk_", "hgk_x");
    let long = "x".repeat(513);
    for content in ["", "short", "aaaaaaaa.bbbbbbbb.cccccccc", "a\u{7}aaaaaaaaaaaaaaaaa", &mistyped, &long] {
        let secret = brought("from-vault", "web", content);
        let plan = planned(&endpoint, &[], std::slice::from_ref(&secret), start());
        assert_eq!((plan.changes.len(), plan.verifiers.keys.len()), (0, 0), "{content}");
        assert_eq!(plan.problems[0].reason, Reason::SecretInvalid);
        assert!(content.is_empty() || !plan.problems[0].message.contains(content), "{}", plan.problems[0].message);
        let beside = planned(&endpoint, std::slice::from_ref(&issued), &[secret], start());
        assert_eq!(opens(&beside, &text(&issued), start()), ["web"]);
        assert_eq!((beside.changes.len(), beside.problems.len()), (0, 1));
    }
}

#[test]
fn one_key_under_two_names_is_accepted_under_the_issued_one_only() {
    let both = endpoint(vec![key("etl"), key("web"), Key { digest: None, ..key("zoo") }]);
    let web = only(&planned(&endpoint(vec![key("web")]), &[], &[], start())).clone();
    let same = brought("copy", "etl", &text(&web));
    let mut with_digest = both.clone();
    with_digest.auth = Authentication::ApiKeys(vec![
        key("etl"),
        key("web"),
        Key { digest: Some(KeyDigest::of(&text(&web))), ..key("zoo") },
    ]);
    let plan = planned(&with_digest, std::slice::from_ref(&web), &[same], start());
    assert_eq!(opens(&plan, &text(&web), start()), ["web"]);
    assert_eq!((state(&plan, "etl"), state(&plan, "zoo")), (KeyState::Pending, KeyState::Pending));
    assert_eq!(plan.problems.len(), 2);
    assert!(plan.problems.iter().all(|problem| problem.message.contains("key web")));
}

#[test]
fn a_name_that_is_the_id_of_another_key_stops_no_gateway() {
    let web = only(&planned(&endpoint(vec![key("web")]), &[], &[], start())).clone();
    let mut endpoint = endpoint(vec![key("web")]);
    // Ids have capital letters and names have not; a name that fits is made by hand here.
    let id =
        Text::unchecked(planned(&endpoint, std::slice::from_ref(&web), &[], start()).states[0].id.clone().unwrap());
    endpoint.auth =
        Authentication::ApiKeys(vec![Key { name: id, digest: Some(KeyDigest::of("x")), ..key("x") }, key("web")]);
    let plan = planned(&endpoint, &[web], &[], start());
    let ids: BTreeSet<&str> = plan.verifiers.keys.iter().map(|key| key.id.as_str()).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
}

#[test]
fn entropy_that_repeats_itself_makes_no_key() {
    let endpoint = endpoint(vec![key("etl"), key("web")]);
    let inputs = KeyInputs { secrets: &[], brought: &[], tickets: None, rotate: None, url: None };
    let plan = plan(&endpoint, &inputs, start(), &mut || Entropy { id: 1, secret: [1; 32] });
    assert_eq!((plan.changes.len(), plan.verifiers.keys.len()), (1, 1));
    assert_eq!(state(&plan, "web"), KeyState::Pending);
}

#[test]
fn a_list_of_former_keys_that_somebody_wrote_wrongly_opens_nothing() {
    let endpoint = endpoint(vec![key("web")]);
    let mut secret = only(&planned(&endpoint, &[], &[], start())).clone();
    for text in ["", "{}", "[1]", r#"[{"id":"a b","digest":"sha256:00","endsAt":"2030-01-01T00:00:00Z"}]"#] {
        secret.metadata.annotations.as_mut().unwrap().insert(ANNOTATION_PREVIOUS.to_owned(), text.to_owned());
        let plan = planned(&endpoint, std::slice::from_ref(&secret), &[], start());
        assert_eq!(plan.verifiers.keys.len(), 1);
        assert_eq!(only(&plan).metadata.annotations.as_ref().unwrap().get(ANNOTATION_PREVIOUS), None);
    }
}
