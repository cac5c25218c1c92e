//! Tokens as a provider makes them, and as an attacker does.

use super::*;
use crate::auth::oidc::{Refused, Rules, User, check_once};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headgate_wire::config::{ClaimFilter, ClaimMatch, SigningAlgorithm};
use headgate_wire::filter::{Comparisons, Filter};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::json;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://id.example.com/realms/shop";

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A provider with one key of each of two kinds.
struct Provider {
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Provider {
    fn new() -> Self {
        let random = SystemRandom::new();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            p256: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, p256.as_ref(), &random).unwrap(),
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap(),
        }
    }

    fn set(&self) -> Value {
        let point = self.p256.public_key().as_ref();
        let p256 = json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": base64(&point[1..33]), "y": base64(&point[33..]) });
        let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA", "x": base64(self.ed25519.public_key()) });
        json!({ "keys": [
            { "kty": "RSA", "kid": "encryption", "use": "enc", "n": base64([0xc1; 256]), "e": "AQAB" },
            { "kty": "AKP", "kid": "newer-than-us", "alg": "ML-DSA-44", "pub": "AA" },
            p256, ed25519,
        ] })
    }

    fn keys(&self) -> KeySet {
        KeySet::parse(self.set().to_string().as_bytes()).unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let signature = if header["alg"] == "EdDSA" {
            self.ed25519.sign(message.as_bytes()).as_ref().to_vec()
        } else {
            self.p256.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
        };
        format!("{message}.{}", base64(signature))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": "ES256", "kid": "ec", "typ": "at+jwt" }), claims)
    }
}

fn rules() -> Oidc {
    serde_json::from_value(json!({ "issuerURL": ISSUER, "audiences": ["orders", "other"] })).unwrap()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "orders", "sub": "alice", "exp": NOW + 60, "iat": NOW - 1 })
}

fn with(change: Value) -> Value {
    let (Value::Object(mut claims), Value::Object(change)) = (claims(), change) else { unreachable!() };
    for (name, value) in change {
        if value.is_null() {
            claims.remove(&name)
        } else {
            claims.insert(name, value)
        };
    }
    claims.into()
}

fn check(token: &str, provider: &Provider, rules: &Oidc) -> Result<Map<String, Value>, TokenError> {
    let header = Header::read(token, rules)?;
    verify(token, &header, &provider.keys(), rules, now())
}

#[test]
fn a_token_of_the_provider_that_is_meant_for_us_is_accepted() {
    let provider = Provider::new();
    for header in [json!({ "alg": "ES256", "kid": "ec" }), json!({ "alg": "EdDSA", "kid": "ed" })] {
        let token = provider.sign(&header, &claims());
        assert_eq!(check(&token, &provider, &rules()).unwrap()["sub"], "alice", "{header}");
    }
    let to_several = with(json!({ "aud": ["elsewhere", "orders"], "exp": NOW as f64 + 0.5, "nbf": NOW + 29 }));
    assert!(check(&provider.token(&to_several), &provider, &rules()).is_ok());
}

#[test]
fn a_claim_that_is_wrong_missing_or_of_another_type_refuses_a_token() {
    let provider = Provider::new();
    for (change, error) in [
        (json!({ "iss": "https://id.example.com/realms/shop/" }), TokenError::Issuer),
        (json!({ "iss": [ISSUER] }), TokenError::Issuer),
        (json!({ "iss": null }), TokenError::Issuer),
        (json!({ "aud": "order" }), TokenError::Audience),
        (json!({ "aud": [] }), TokenError::Audience),
        (json!({ "aud": { "orders": true } }), TokenError::Audience),
        (json!({ "aud": null }), TokenError::Audience),
        (json!({ "exp": NOW }), TokenError::Expired),
        (json!({ "exp": NOW - 1 }), TokenError::Expired),
        (json!({ "exp": (NOW + 60).to_string() }), TokenError::Expired),
        (json!({ "exp": u64::MAX }), TokenError::Expired),
        (json!({ "exp": -1.0e300 }), TokenError::Expired),
        (json!({ "exp": null }), TokenError::Expired),
        (json!({ "nbf": NOW + 31 }), TokenError::NotYetValid),
        (json!({ "nbf": "now" }), TokenError::NotYetValid),
        (json!({ "iat": NOW + 3600 }), TokenError::NotYetValid),
        (json!({ "sub": null }), TokenError::Subject),
        (json!({ "sub": "" }), TokenError::Subject),
        (json!({ "sub": 7 }), TokenError::Subject),
        (json!({ "sub": "a\nb" }), TokenError::Subject),
        (json!({ "sub": "x".repeat(256) }), TokenError::Subject),
    ] {
        assert_eq!(check(&provider.token(&with(change.clone())), &provider, &rules()), Err(error), "{change}");
    }
}

#[test]
fn nothing_in_a_token_chooses_how_it_is_checked() {
    let provider = Provider::new();
    let point = provider.p256.public_key().as_ref().to_vec();
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &point);
    let symmetric =
        format!("{}.{}", base64(json!({ "alg": "HS256", "kid": "ec" }).to_string()), base64(claims().to_string()));
    let symmetric = format!("{symmetric}.{}", base64(ring::hmac::sign(&secret, symmetric.as_bytes())));
    assert_eq!(check(&symmetric, &provider, &rules()), Err(TokenError::Algorithm), "the public key as a secret");
    let unsigned = format!("{}.{}.", base64(json!({ "alg": "none" }).to_string()), base64(claims().to_string()));
    assert_eq!(check(&unsigned, &provider, &rules()), Err(TokenError::Malformed), "no signature at all");
    let only_rsa = Oidc { algorithms: vec![SigningAlgorithm::RS256], ..rules() };
    assert_eq!(check(&provider.token(&claims()), &provider, &only_rsa), Err(TokenError::Algorithm));
    for header in [
        json!({ "alg": "EdDSA", "kid": "ec" }),
        json!({ "alg": "RS256", "kid": "ec" }),
        json!({ "alg": "RS256", "kid": "encryption" }),
        json!({ "alg": "ES256", "kid": "other" }),
        json!({ "alg": "ES256" }),
    ] {
        assert_eq!(
            check(&provider.sign(&header, &claims()), &provider, &rules()),
            Err(TokenError::UnknownKey),
            "{header}"
        );
    }
    let own_key =
        json!({ "alg": "ES256", "kid": "ec", "jwk": provider.set()["keys"][2], "jku": "https://evil.example/keys" });
    assert_eq!(check(&Provider::new().sign(&own_key, &claims()), &provider, &rules()), Err(TokenError::Signature));
    let critical = json!({ "alg": "ES256", "kid": "ec", "crit": ["b64"], "b64": false });
    assert_eq!(check(&provider.sign(&critical, &claims()), &provider, &rules()), Err(TokenError::Critical));
}

#[test]
fn a_token_without_a_key_id_is_checked_only_if_there_is_no_choice() {
    let provider = Provider::new();
    let token = provider.sign(&json!({ "alg": "ES256" }), &claims());
    let single = KeySet::parse(json!({ "keys": [provider.set()["keys"][2]] }).to_string().as_bytes()).unwrap();
    let header = Header::read(&token, &rules()).unwrap();
    assert!(verify(&token, &header, &single, &rules(), now()).is_ok());
    assert_eq!(check(&token, &provider, &rules()), Err(TokenError::UnknownKey));
}

#[test]
fn every_changed_character_of_a_token_refuses_it() {
    let provider = Provider::new();
    let token = provider.token(&claims());
    let changed = (0..token.len()).filter(|at| {
        let mut bytes = token.clone().into_bytes();
        bytes[*at] = if bytes[*at] == b'A' { b'B' } else { b'A' };
        bytes != token.as_bytes() && check(&String::from_utf8(bytes).unwrap(), &provider, &rules()).is_ok()
    });
    // The last character of the signature has bits that encode nothing; a decoder that is strict refuses them too.
    assert_eq!(changed.collect::<Vec<_>>(), Vec::<usize>::new());
}

fn user(claims: &Value, change: impl Fn(&mut Oidc)) -> Result<User, TokenError> {
    let mut oidc = rules();
    change(&mut oidc);
    refused_or_user(claims, oidc).map_err(|refused| refused.error)
}

fn refused_or_user(claims: &Value, oidc: Oidc) -> Result<User, Refused> {
    User::from_claims(claims.as_object().unwrap(), &Rules::new(oidc))
}

fn matching(claim: &str, value: &str) -> Vec<ClaimMatch> {
    vec![ClaimMatch { claim: claim.into(), values: vec![value.into()] }]
}

#[test]
fn claims_become_the_user() {
    let claims = with(json!({
        "preferred_username": "Alice", "realm_access": { "roles": ["reader", "writer"] }, "org": "shop", "tenant": "t1",
    }));
    let user = user(&claims, |rules| {
        rules.roles_claim = Some("realm_access.roles".into());
        rules.organization_claim = Some("org".into());
        rules.required = matching("tenant", "t1");
        rules.publish = matching("realm_access.roles", "writer");
    });
    let user = user.unwrap();
    assert_eq!((user.subject.as_str(), user.username.as_deref()), ("alice", Some("Alice")));
    assert_eq!(
        (user.roles, user.organizations),
        (vec!["reader".to_owned(), "writer".to_owned()], vec!["shop".to_owned()])
    );
    assert!(user.may_publish);
    assert_eq!(user.expires_at.as_second(), NOW + 60);
}

#[test]
fn a_token_without_a_required_claim_is_refused_and_without_a_publish_claim_only_reads() {
    let claims = with(json!({ "tenant": "t1" }));
    assert_eq!(user(&claims, |rules| rules.required = matching("tenant", "t2")), Err(TokenError::Claims));
    assert_eq!(user(&claims, |rules| rules.required = matching("missing", "")), Err(TokenError::Claims));
    assert!(!user(&claims, |_| ()).unwrap().may_publish, "without a rule, nobody publishes");
    assert!(!user(&claims, |rules| rules.publish = matching("tenant", "t2")).unwrap().may_publish);
}

#[test]
fn a_row_filter_shows_the_callers_own_rows_and_a_token_without_the_claim_is_refused() {
    let filtered = |claims: &Value| {
        let filters = vec![ClaimFilter { attribute: "subject".into(), claim: "device".into() }];
        user(claims, |rules| rules.filters.clone_from(&filters)).map(|user| user.filters)
    };
    let exact = |value: &str| Filter::Exact(Comparisons::from([("subject".to_owned(), value.to_owned())]));
    assert_eq!(filtered(&with(json!({ "device": "d1" }))).unwrap(), [exact("d1")]);
    assert_eq!(filtered(&with(json!({ "device": 7 }))).unwrap(), [exact("7")]);
    assert_eq!(
        filtered(&with(json!({ "device": ["d1", "d2"] }))).unwrap(),
        [Filter::Any(vec![exact("d1"), exact("d2")])]
    );
    let too_many: Vec<_> = (0..=64).collect();
    for claims in [
        json!({}),
        json!({ "device": "" }),
        json!({ "device": [] }),
        json!({ "device": {} }),
        json!({ "device": too_many }),
    ] {
        assert_eq!(filtered(&with(claims.clone())), Err(TokenError::Claims), "{claims}");
    }
}

#[test]
fn a_refusal_names_the_subject_and_every_claim_that_is_not_accepted_and_no_value() {
    let claims = with(json!({ "tenant": "planted-31337", "ids": {}, "many": (0..=64).collect::<Vec<_>>() }));
    let filter = |claim: &str| ClaimFilter { attribute: "subject".into(), claim: claim.into() };
    let mut rules = rules();
    rules.required = [matching("realm_access.roles", "planted-x"), matching("tenant", "planted-y")].concat();
    rules.required.extend(matching("sub", "alice"));
    rules.filters = ["device", "ids", "many"].map(filter).into();
    let refused = refused_or_user(&claims, rules.clone()).unwrap_err();
    assert_eq!((refused.error, refused.subject()), (TokenError::Claims, Some("alice")));
    let told = "it does not have the claims that auth.oidc.required and auth.oidc.filters ask for: \
                `realm_access.roles` (auth.oidc.required) is absent, `tenant` (auth.oidc.required) has another value, \
                `device` (auth.oidc.filters) is absent, `ids` (auth.oidc.filters) has no text to compare with, \
                `many` (auth.oidc.filters) has too many values";
    assert_eq!(refused.to_string(), told);
    assert!(!format!("{refused:?}").contains("planted"));

    rules.required = (0..1000).flat_map(|number| matching(&format!("{number}{}", "x".repeat(1000)), "")).collect();
    let refused = refused_or_user(&claims, rules).unwrap_err().to_string();
    assert!(refused.ends_with(", and 995 more") && refused.len() < 3000, "{refused}");
}

#[test]
fn rules_have_one_name_as_long_as_they_are_the_same() {
    assert_eq!(Rules::new(rules()).id, Rules::new(rules()).id);
    let other = Oidc { required: matching("tenant", "t1"), ..rules() };
    assert_ne!(Rules::new(rules()).id, Rules::new(other).id);
}

proptest! {
    #[test]
    fn no_text_makes_the_checks_panic_and_none_is_accepted(parts in proptest::collection::vec("[ -~]{0,40}", 0..5)) {
        let keys = Provider::new().set().to_string();
        let encoded = parts.iter().map(base64).collect::<Vec<_>>().join(".");
        for text in [parts.join("."), encoded] {
            prop_assert!(check_once(&text, keys.as_bytes(), &Rules::new(rules()), now()).is_err());
        }
    }

    #[test]
    fn no_key_set_makes_the_parser_panic(text in "[ -~]{0,80}", member in "[a-z]{1,3}", value in "[A-Za-z0-9_-]{0,8}") {
        let _ = KeySet::parse(text.as_bytes());
        let odd = json!({ "keys": [{ "kty": "RSA", "n": value, "e": value, "kid": text }, { "kty": "EC", "crv": "P-256", member: value }] });
        if let Ok(keys) = KeySet::parse(odd.to_string().as_bytes()) {
            let token = Provider::new().sign(&json!({ "alg": "RS256", "kid": text }), &claims());
            let header = Header::read(&token, &rules()).unwrap();
            prop_assert!(verify(&token, &header, &keys, &rules(), now()).is_err());
        }
    }
}
