//! The key of tickets: made once, kept whatever happens to the keys, put right where somebody spoiled it.

use super::*;

fn planned_with(endpoint: &Endpoint, tickets: Option<&Secret>, now: Timestamp) -> TicketPlan {
    planned_for(endpoint, &KeyInputs { secrets: &[], brought: &[], tickets, rotate: Some("now"), url: None }, now)
        .tickets
}

fn made(endpoint: &Endpoint) -> Secret {
    match planned_with(endpoint, None, start()).change {
        Some(SecretChange::Create(secret)) => secret,
        other => panic!("{other:?}"),
    }
}

fn bytes(secret: &Secret) -> &[u8] {
    &secret.data.as_ref().unwrap()["key"].0
}

fn anonymous() -> Endpoint {
    Endpoint { auth: Authentication::Anonymous, ..endpoint(vec![]) }
}

#[test]
fn the_key_of_tickets_is_made_once_and_no_rotation_replaces_it() {
    let mut endpoint = endpoint(vec![key("web")]);
    endpoint.rotation = Some(Rotation { after_seconds: 3600, overlap_seconds: 600 });
    let secret = made(&endpoint);
    assert_eq!(secret.metadata.name.as_deref(), Some("orders-tickets"));
    assert_eq!(secret.metadata.owner_references.as_ref().unwrap()[0].uid, UID);
    assert_eq!(bytes(&secret).len(), 32);
    let later = planned_with(&endpoint, Some(&secret), later(start(), 100_000));
    assert_eq!((later.is_wanted, later.change), (true, None));
    assert_eq!(later.digest, planned_with(&endpoint, None, start()).digest, "the digest is that of the key");
}

#[test]
fn two_endpoints_have_two_keys_of_tickets() {
    let mut counter = 0;
    let mut entropy = || entropy(&mut counter);
    let inputs = KeyInputs { secrets: &[], brought: &[], tickets: None, rotate: None, url: None };
    let endpoint = endpoint(vec![key("web")]);
    let mut plan = || plan(&endpoint, &inputs, start(), &mut entropy).tickets.digest.unwrap();
    assert_ne!(plan(), plan());
}

#[test]
fn what_somebody_did_to_the_secret_is_put_right_around_its_key() {
    let endpoint = endpoint(vec![key("web")]);
    let secret = made(&endpoint);
    let mut changed = secret.clone();
    changed.metadata.labels = Some(BTreeMap::from([("team".to_owned(), "shop".to_owned())]));
    let plan = planned_with(&endpoint, Some(&changed), later(start(), 1));
    let Some(SecretChange::Replace(repaired)) = plan.change else { panic!("{plan:?}") };
    assert_eq!(bytes(&repaired), bytes(&secret));
    let labels = repaired.metadata.labels.as_ref().unwrap();
    assert_eq!((labels["team"].as_str(), labels[names::LABEL_ENDPOINT].as_str()), ("shop", "orders"));
    for spoiled in [None, Some(vec![]), Some(vec![1; 31]), Some(vec![1; 33])] {
        let mut secret = secret.clone();
        secret.data = spoiled.map(|bytes| BTreeMap::from([("key".to_owned(), ByteString(bytes))]));
        let plan = planned_with(&endpoint, Some(&secret), later(start(), 1));
        let Some(SecretChange::Replace(repaired)) = plan.change else { panic!("{plan:?}") };
        assert_eq!(bytes(&repaired).len(), 32);
        assert_ne!(bytes(&repaired), bytes(&made(&endpoint)), "what was there before may be known");
    }
}

#[test]
fn a_secret_that_is_going_or_somebody_elses_is_left_alone() {
    let endpoint = endpoint(vec![key("web")]);
    let mut going = made(&endpoint);
    going.metadata.deletion_timestamp = Some(Time(start()));
    assert_eq!(planned_with(&endpoint, Some(&going), start()).change, None);
    let plan = planned_with(&endpoint, Some(&foreign("orders-tickets")), start());
    assert_eq!(plan, TicketPlan { is_wanted: true, change: None, digest: None });
    for secret in [going, foreign("orders-tickets")] {
        assert_eq!(planned_with(&anonymous(), Some(&secret), start()), TicketPlan::default());
    }
}

#[test]
fn where_nobody_has_credentials_there_are_no_tickets() {
    let secret = made(&endpoint(vec![key("web")]));
    assert_eq!(planned_with(&anonymous(), None, start()), TicketPlan::default());
    let plan = planned_with(&anonymous(), Some(&secret), start());
    assert_eq!(plan, TicketPlan { change: Some(SecretChange::Delete(secret)), ..TicketPlan::default() });
}

#[test]
fn the_key_of_tickets_is_not_in_debug_output() {
    let endpoint = endpoint(vec![key("web")]);
    let plan = planned(&endpoint, &[], &[], start());
    let key = bytes(plan.tickets.change.as_ref().unwrap().secret()).to_vec();
    let text = format!("{plan:?}");
    assert!(text.contains("orders-tickets"), "{text}");
    assert!(!text.contains(&format!("{key:?}")) && !text.contains(&crate::credentials::hexadecimal(&key)), "{text}");
}
