//! What the guide about tokens says, held against the product: its manifests, its realm, its words.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use headgate_crds::yaml;
use headgate_gateway::auth::oidc::TokenError;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

fn guide() -> String {
    file("docs/tokens.md")
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned()).collect()
}

/// The manifest of the guide, and what it says of `spec.auth.oidc` for each provider.
fn manifest_and_rules() -> (Value, Vec<Value>) {
    let mut documents = blocks(&guide(), "yaml").into_iter().flat_map(|block| yaml::documents(&block).unwrap());
    let manifest = documents.next().unwrap();
    let rules = std::iter::once(manifest["spec"]["auth"]["oidc"].clone()).chain(documents).collect();
    (manifest, rules)
}

/// What `headgate lint` finds in a manifest.
fn lint(manifest: &Value) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endpoint.yaml");
    fs::write(&path, yaml::to_string(manifest).unwrap()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_headgate")).args(["lint", "-o", "json"]).arg(&path).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_manifest_of_the_guide_is_accepted_and_nothing_in_it_is_warned_of() {
    let (mut manifest, rules) = manifest_and_rules();
    assert_eq!(rules.len(), 8, "one for each provider, and one with a certificate of its own authority");
    for oidc in rules {
        manifest["spec"]["auth"]["oidc"] = oidc;
        assert_eq!(lint(&manifest), Vec::<Value>::new(), "{manifest:#}");
    }
}

#[test]
fn lint_warns_of_publishing_in_the_words_of_the_guide() {
    let (mut manifest, _) = manifest_and_rules();
    manifest["spec"]["auth"]["oidc"]["publish"] = json!([{ "claim": "roles", "values": ["writer"] }]);
    let [warning] = lint(&manifest).try_into().unwrap();
    let told = format!("{}: {}", warning["path"].as_str().unwrap(), warning["message"].as_str().unwrap());
    let (reason, _) = told.rsplit_once(": ").unwrap();
    let guide = guide().replace("\n  ", " ");
    assert!(guide.contains(&format!("`{reason}`")), "{reason}");
}

/// The guide and the realm that `tests/oidc/keycloak.rs` runs agree.
#[test]
fn the_mappers_and_the_manifest_of_the_guide_are_those_of_the_realm_that_is_tested() {
    let realm: Value = serde_json::from_str(&file("tests/servers/keycloak/orders-realm.json")).unwrap();
    let [mappers] = blocks(&guide(), "json").try_into().unwrap();
    let mappers: Value = serde_json::from_str(&mappers).unwrap();
    for client in realm["clients"].as_array().unwrap() {
        assert_eq!(client["protocolMappers"], mappers, "{}", client["clientId"]);
    }
    let (manifest, _) = manifest_and_rules();
    let oidc = &manifest["spec"]["auth"]["oidc"];
    assert!(oidc["issuerURL"].as_str().unwrap().ends_with(&format!("/realms/{}", realm["realm"].as_str().unwrap())));
    assert_eq!(oidc["audiences"], json!([mappers[0]["config"]["included.custom.audience"]]));
    let claim = mappers[1]["config"]["claim.name"].as_str().unwrap().replace('\\', "");
    assert_eq!(oidc["filters"][0]["claim"], claim);
    assert_eq!(oidc["required"][0]["values"][0], realm["roles"]["realm"][0]["name"]);
}

#[test]
fn every_reason_of_a_refused_token_is_explained_once() {
    let guide = guide();
    let (_, after) = guide.split_once("<!-- reasons of refused tokens:").unwrap();
    let rows = after.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    let cells: String = rows.filter_map(|row| row.split('|').nth(1)).collect();
    let mut documented: Vec<&str> = cells.split('`').skip(1).step_by(2).collect();
    let mut words = [
        TokenError::Malformed,
        TokenError::Algorithm,
        TokenError::Critical,
        TokenError::UnknownKey,
        TokenError::Signature,
        TokenError::Issuer,
        TokenError::Audience,
        TokenError::Expired,
        TokenError::NotYetValid,
        TokenError::Subject,
        TokenError::Claims,
        TokenError::NoKeys,
    ]
    .map(TokenError::word);
    documented.sort_unstable();
    words.sort_unstable();
    assert_eq!(documented, words);
}
