//! A token, a key set and claims, as anybody could send them: nothing is accepted that nobody has signed, nothing panics.

#![no_main]

use headgate_gateway::auth::oidc::{Rules, check_once};
use headgate_wire::config::Oidc;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

// A line with the token, then the key set.
fuzz_target!(|input: &str| {
    let (token, keys) = input.split_once('\n').unwrap_or((input, ""));
    let oidc = Oidc {
        issuer_url: "https://id.example.com".to_owned(),
        audiences: vec!["orders".to_owned()],
        jwks_file: None,
        ca_file: None,
        algorithms: headgate_wire::config::SigningAlgorithm::usual(),
        username_claim: "name".to_owned(),
        roles_claim: Some("a.b".to_owned()),
        organization_claim: None,
        required: Vec::new(),
        publish: Vec::new(),
        filters: Vec::new(),
    };
    assert!(check_once(token, keys.as_bytes(), &Rules::new(oidc), Timestamp::UNIX_EPOCH).is_err());
});
