//! The samples in these folders are the contract: what we write and what we understand never changes within a version.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use headgate_wire::key::VerifierFile;
use headgate_wire::{ClientMessage, GatewayConfig, ServerMessage};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Every line is understood and written back byte for byte.
fn check_lines<T: Serialize + DeserializeOwned>(lines: &str) {
    for line in lines.lines() {
        let message: T = serde_json::from_str(line).unwrap_or_else(|error| unreachable!("{line}: {error}"));
        assert_eq!(serde_json::to_string(&message).unwrap(), line);
    }
}

#[test]
fn server_messages_are_written_as_their_samples() {
    check_lines::<ServerMessage>(include_str!("messages/server.jsonl"));
}

#[test]
fn client_messages_are_understood_as_their_samples() {
    check_lines::<ClientMessage>(include_str!("messages/client.jsonl"));
}

#[test]
fn the_complete_configuration_is_written_as_it_is_read() {
    let text = include_str!("config/complete.yaml");
    let config: GatewayConfig = serde_yaml::from_str(text).unwrap();
    assert_eq!(serde_yaml::to_string(&config).unwrap(), text);
}

#[test]
fn the_smallest_configuration_is_closed_and_bounded() {
    let config: GatewayConfig = serde_yaml::from_str(include_str!("config/smallest.yaml")).unwrap();
    assert!(!config.public_access.anonymous);
    assert_eq!(config.limits.max_connections, 2000);
    assert_eq!(config.stream.replay.ring_bytes, 16 * 1024 * 1024);
}

#[test]
fn a_field_that_does_not_exist_is_refused_wherever_it_stands() {
    let text = include_str!("config/complete.yaml");
    for field in
        ["app", "bootstrapServers", "eventType", "mode", "anonymous", "maxConnections", "ringBytes", "certificateFile"]
    {
        let misspelt = text.replacen(&format!("{field}:"), &format!("{field}X:"), 1);
        assert!(serde_yaml::from_str::<GatewayConfig>(&misspelt).is_err(), "{field}X was ignored");
    }
}

#[test]
fn the_digest_file_is_understood_and_names_no_key() {
    let text = include_str!("keys/keys.json");
    let file: VerifierFile = serde_json::from_str(text).unwrap();
    let again: serde_json::Value = serde_json::to_value(&file).unwrap();
    assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).unwrap());
    assert!(!text.contains("hgk_"));
}
