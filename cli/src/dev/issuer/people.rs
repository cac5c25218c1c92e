//! Who can log in, and what their tokens say: people made up for the streams of this run.
//!
//! Alice and Bob have what every stream requires, each with rows of their own, as far as a claim can have it; Carol has
//! nothing of it, so that a refusal can be seen. Pure, but for the time in a token.

use super::grants::Granted;
use super::signing::{SigningError, SigningKey};
use crate::dev::demo;
use headgate_wire::config::Oidc;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// How long a token lasts, in seconds: short enough to see one being renewed.
pub(super) const TOKEN_SECONDS: i64 = 120;
/// Most people besides the three.
const MAX_OTHERS: usize = 8;
/// Claims that every token has for reasons of its own.
const OWN_CLAIMS: [&str; 7] = ["iss", "sub", "aud", "exp", "iat", "nbf", "client_id"];
/// Where tokens of a cluster's ServiceAccounts have their claims.
const CLUSTER_CLAIMS: &str = "kubernetes.io";

/// A stream that takes tokens: its app, and its rules.
pub(crate) type TokenStream = (String, Oidc);

/// Somebody made up.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// The claim `sub`.
    pub(crate) subject: String,
    /// The claims that are theirs.
    claims: Map<String, Value>,
}

impl Person {
    fn new(subject: &str, claims: Value) -> Self {
        let Value::Object(claims) = claims else { return Self { subject: subject.to_owned(), claims: Map::new() } };
        let mut person = Self { subject: subject.to_owned(), claims };
        person.give("preferred_username", subject);
        person
    }

    /// What a token says of the person, wherever it comes from.
    pub(crate) fn claims(&self) -> Map<String, Value> {
        let mut claims = self.claims.clone();
        claims.insert("sub".to_owned(), self.subject.as_str().into());
        claims
    }

    /// The claims in a line, for people.
    pub(super) fn told(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    /// Gives what the rules of a stream ask for; `number` tells whose rows.
    fn suit(&mut self, (app, rules): &TokenStream, number: usize) {
        for wanted in &rules.required {
            let value = if number == 0 { wanted.values.first() } else { wanted.values.last() };
            self.give(&wanted.claim, value.map(String::as_str).unwrap_or_default());
        }
        for filter in &rules.filters {
            let sample = demo::sample(app, &filter.attribute, number);
            let subject = self.subject.clone();
            self.give(&filter.claim, sample.unwrap_or(&subject));
        }
    }

    /// Adds a value to a claim, which becomes a list if it has another one.
    fn give(&mut self, path: &str, value: &str) {
        if OWN_CLAIMS.contains(&path) {
            return;
        }
        let claim = slot(&mut self.claims, path);
        match claim {
            Value::Array(members) if members.iter().all(|member| member != value) => members.push(value.into()),
            Value::Array(_) => {}
            Value::String(known) if known == value => {}
            Value::String(known) => *claim = json!([known, value]),
            other => *other = value.into(),
        }
    }
}

/// The people for these streams: Alice, Bob, Carol, and whoever a stream names by `sub`.
pub(crate) fn people(streams: &[TokenStream]) -> Vec<Person> {
    let mut people = vec![
        Person::new("alice", json!({ "region": "eu", "realm_access": { "roles": ["viewer"] } })),
        Person::new("bob", json!({ "region": "us", "realm_access": { "roles": ["viewer", "operator"] } })),
        Person::new("carol", json!({ "realm_access": { "roles": [] } })),
    ];
    let by_subject = streams.iter().flat_map(|(_, rules)| &rules.required).filter(|wanted| wanted.claim == "sub");
    let others: BTreeSet<&String> = by_subject.flat_map(|wanted| &wanted.values).take(MAX_OTHERS).collect();
    people.extend(others.into_iter().map(|subject| Person::new(subject, json!({}))));
    for stream in streams {
        for (number, person) in people.iter_mut().enumerate().filter(|(number, _)| *number != 2) {
            person.suit(stream, number);
        }
        for person in &mut people {
            let name = slot(&mut person.claims, &stream.1.username_claim);
            if name.is_null() {
                *name = person.subject.as_str().into();
            }
        }
    }
    people
}

/// Where the claim of a path is, or will be: dots lead into objects, but not in a name that begins like a URL.
fn slot<'c>(claims: &'c mut Map<String, Value>, path: &str) -> &'c mut Value {
    if claims.contains_key(path) || path.contains("://") {
        return claims.entry(path.to_owned()).or_insert(Value::Null);
    }
    let of_a_cluster = path.strip_prefix(CLUSTER_CLAIMS).and_then(|rest| rest.strip_prefix('.'));
    let split = of_a_cluster.map(|rest| (CLUSTER_CLAIMS, rest)).or_else(|| path.split_once('.'));
    let inner = split.filter(|(name, _)| claims.get(*name).is_none_or(Value::is_object));
    let Some((name, rest)) = inner else { return claims.entry(path.to_owned()).or_insert(Value::Null) };
    match claims.entry(name.to_owned()).or_insert_with(|| json!({})) {
        Value::Object(members) => slot(members, rest),
        other => other,
    }
}

/// The answer of the token endpoint (RFC 6749 section 5.1).
pub(super) fn tokens(
    issuer: &str,
    key: &SigningKey,
    (person, granted): (&Person, &Granted),
    audience: &Value,
) -> Result<Value, SigningError> {
    let now = Timestamp::now().as_second();
    let mut claims = person.claims();
    claims.extend([
        ("iss".to_owned(), issuer.into()),
        ("aud".to_owned(), audience.clone()),
        ("iat".to_owned(), now.into()),
        ("exp".to_owned(), (now + TOKEN_SECONDS).into()),
        ("client_id".to_owned(), granted.client_id.as_str().into()),
    ]);
    let mut claims = Value::Object(claims);
    let access_token = key.token("at+jwt", &claims)?;
    claims["aud"] = granted.client_id.as_str().into();
    if let Some(nonce) = &granted.nonce {
        claims["nonce"] = nonce.as_str().into();
    }
    Ok(json!({
        "access_token": access_token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS,
        "refresh_token": granted.refresh_token, "id_token": key.token("JWT", &claims)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(app: &str, rules: &Value) -> TokenStream {
        let mut oidc = json!({ "issuerURL": "http://127.0.0.1:1", "audiences": [app] });
        oidc.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
        (app.to_owned(), serde_json::from_value(oidc).unwrap())
    }

    fn claims(people: &[Person]) -> Vec<Value> {
        people.iter().map(|person| person.claims().into()).collect()
    }

    #[test]
    fn two_have_what_is_required_and_rows_of_their_own_and_one_has_neither() {
        let required = json!([{ "claim": "tenant", "values": ["shop", "iot"] }]);
        let filters = json!([{ "attribute": "subject", "claim": "device" }]);
        let devices = stream("devices", &json!({ "required": required, "filters": filters }));
        let [alice, bob, carol] = claims(&people(&[devices])).try_into().unwrap();
        assert_eq!((&alice["tenant"], &alice["device"]), (&json!("shop"), &json!("ground-floor")));
        assert_eq!((&bob["tenant"], &bob["device"]), (&json!("iot"), &json!("first-floor")));
        assert_eq!((&carol["sub"], &carol["tenant"], &carol["device"]), (&json!("carol"), &Value::Null, &Value::Null));
    }

    #[test]
    fn claims_are_where_providers_have_them_and_those_of_two_streams_become_a_list() {
        let required = |claim: &str, value: &str| json!({ "required": [{ "claim": claim, "values": [value] }] });
        let streams = [
            stream("a", &required("kubernetes.io.namespace", "shop")),
            stream("b", &required("kubernetes.io.namespace", "iot")),
            stream("c", &required("https://shop.example.com/tenant", "x")),
            stream("d", &required("realm_access.roles", "operator")),
            stream("e", &json!({ "usernameClaim": "email" })),
        ];
        let alice = claims(&people(&streams)).swap_remove(0);
        assert_eq!(alice["kubernetes.io"], json!({ "namespace": ["shop", "iot"] }));
        assert_eq!(alice["https://shop.example.com/tenant"], "x");
        assert_eq!(alice["realm_access"], json!({ "roles": ["viewer", "operator"] }));
        assert_eq!((&alice["email"], &alice["preferred_username"]), (&json!("alice"), &json!("alice")));
    }

    #[test]
    fn whoever_is_named_by_their_subject_can_be_chosen_too() {
        let reader = "system:serviceaccount:shop:reader";
        let required = json!([{ "claim": "sub", "values": [reader] }, { "claim": "tenant", "values": ["shop"] }]);
        let people = people(&[stream("stock", &json!({ "usernameClaim": "sub", "required": required }))]);
        assert_eq!(people.len(), 4);
        assert_eq!((people[3].subject.as_str(), &people[3].claims()["tenant"]), (reader, &json!("shop")));
        assert_eq!(people[0].claims()["sub"], "alice");
    }
}
