//! Layouts as they are found in clusters, and what is wrong with others.

use super::*;
use headgate_crds::types::Text as _;
use headgate_wire::config::SaslMechanism;
use k8s_openapi::ByteString;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const OTHER: &str = "-----BEGIN CERTIFICATE-----\nBB==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";

fn content(entries: &[(&str, &str)]) -> SecretContent {
    let data = entries.iter().map(|(name, text)| ((*name).to_owned(), ByteString(text.as_bytes().to_vec())));
    SecretContent::from(Secret { data: Some(data.collect()), ..Secret::default() })
}

fn location(name: &str) -> SecretLocation {
    SecretLocation { namespace: "shop".parse().unwrap(), name: name.parse().unwrap() }
}

/// The files that come of one Secret which is used for everything in `roles`.
fn files(entries: &[(&str, &str)], roles: &[Role]) -> Result<Vec<(&'static str, String)>, Flaw> {
    let secret = location("my-user");
    let has = |role| roles.contains(&role);
    let key = headgate_crds::types::DataKey::unchecked("ca.crt".to_owned());
    let tls = KafkaTls {
        authority: has(Role::Authority).then(|| SecretEntry { secret: secret.clone(), key }),
        client_certificate: has(Role::ClientCertificate).then(|| secret.clone()),
    };
    let sasl = KafkaSasl { mechanism: SaslMechanism::ScramSha512, credentials: secret.clone() };
    let secrets = Secrets::from([(secret, Some(content(entries)))]);
    let files = kafka_files(Some(&tls), has(Role::User).then_some(&sasl), &secrets);
    let text = |(name, content): (&'static str, &[u8])| (name, String::from_utf8(content.to_vec()).unwrap());
    files.map(|files| files.iter().map(text).collect()).map_err(|mut unusable| unusable.remove(0).2)
}

fn user(name: &str, password: &str) -> Vec<(&'static str, String)> {
    vec![("password", password.to_owned()), ("username", name.to_owned())]
}

#[test]
fn a_user_is_read_from_every_layout() {
    for (layout, entries, name) in [
        ("plain", &[("username", "u"), ("password", "p")][..], "u"),
        ("Strimzi KafkaUser", &[("password", "p"), ("sasl.jaas.config", "…")], "my-user"),
        (
            "Strimzi KafkaAccess",
            &[("username", "u"), ("password", "p"), ("bootstrap.servers", "k:1"), ("sasl.mechanism", "SCRAM-SHA-512")],
            "u",
        ),
        ("Knative", &[("user", "u"), ("password", "p"), ("protocol", "SASL_SSL"), ("ca.crt", CERTIFICATE)], "u"),
        ("with ends of lines", &[("username", "u\n"), ("password", "p\r\n")], "u"),
        ("empty name", &[("username", ""), ("password", "p")], "my-user"),
    ] {
        assert_eq!(files(entries, &[Role::User]), Ok(user(name, "p")), "{layout}");
    }
}

#[test]
fn a_client_certificate_is_read_from_every_layout() {
    let expected = Ok(vec![("tls.crt", CERTIFICATE.to_owned()), ("tls.key", KEY.to_owned())]);
    for (layout, certificate, key) in [
        ("kubernetes.io/tls", "tls.crt", "tls.key"),
        ("Strimzi KafkaUser, Knative", "user.crt", "user.key"),
        ("Strimzi KafkaAccess", "ssl.keystore.crt", "ssl.keystore.key"),
    ] {
        // The authority in a KafkaUser's Secret is that of clients, which nobody asked for.
        let entries = [(certificate, CERTIFICATE), (key, KEY), ("ca.crt", OTHER)];
        assert_eq!(files(&entries, &[Role::ClientCertificate]), expected, "{layout}");
    }
}

#[test]
fn an_authority_is_the_entry_that_is_named_or_that_of_an_access_binding() {
    let expected = Ok(vec![("ca.crt", CERTIFICATE.to_owned())]);
    assert_eq!(files(&[("ca.crt", CERTIFICATE), ("ssl.truststore.crt", OTHER)], &[Role::Authority]), expected);
    assert_eq!(files(&[("ssl.truststore.crt", CERTIFICATE)], &[Role::Authority]), expected);
    let missing = Err(Flaw::NoEntry("ca.crt".to_owned()));
    assert_eq!(files(&[("tls.crt", CERTIFICATE)], &[Role::Authority]), missing);
}

#[test]
fn one_secret_can_hold_everything() {
    let entries = [("ca.crt", CERTIFICATE), ("user.crt", OTHER), ("user.key", KEY), ("user", "u"), ("password", "p")];
    let names = |files: Vec<(&'static str, String)>| files.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let all = files(&entries, &[Role::Authority, Role::ClientCertificate, Role::User]).map(names);
    assert_eq!(all, Ok(vec!["ca.crt", "password", "tls.crt", "tls.key", "username"]));
}

#[test]
fn what_a_gateway_could_not_use_is_refused_by_entry() {
    let encrypted = KEY.replace("PRIVATE", "ENCRYPTED PRIVATE");
    let large = format!("{CERTIFICATE}{}", " ".repeat(MAX_ENTRY_BYTES));
    let entry = |name: &str| name.to_owned();
    for (role, entries, flaw) in [
        (Role::User, vec![("username", "u")], Flaw::NoEntry(entry("password"))),
        (Role::User, vec![("password", "")], Flaw::NoEntry(entry("password"))),
        (Role::User, vec![("password", "\n")], Flaw::NoLine(entry("password"))),
        (Role::User, vec![("password", "a\nb")], Flaw::NoLine(entry("password"))),
        (Role::User, vec![("user", "u\0"), ("password", "p")], Flaw::NoLine(entry("user"))),
        (Role::Authority, vec![("ca.crt", "AA==")], Flaw::NoCertificate(entry("ca.crt"))),
        (Role::Authority, vec![("ca.crt", &large)], Flaw::TooLarge(entry("ca.crt"))),
        (Role::ClientCertificate, vec![("tls.crt", CERTIFICATE)], Flaw::NoEntry(entry("tls.key"))),
        (Role::ClientCertificate, vec![("user.key", KEY)], Flaw::NoEntry(entry("user.crt"))),
        (
            Role::ClientCertificate,
            vec![("tls.crt", CERTIFICATE), ("tls.key", CERTIFICATE)],
            Flaw::NoKey(entry("tls.key")),
        ),
        (
            Role::ClientCertificate,
            vec![("tls.crt", CERTIFICATE), ("tls.key", encrypted.as_str())],
            Flaw::NoKey(entry("tls.key")),
        ),
        (
            Role::ClientCertificate,
            vec![("password", "p")],
            Flaw::NoEntry(entry("tls.crt or user.crt or ssl.keystore.crt")),
        ),
    ] {
        assert_eq!(files(&entries, &[role]), Err(flaw));
    }
}

#[test]
fn neither_a_secret_nor_a_flaw_shows_a_value() {
    let secret = content(&[("password", "planted\n31337"), ("username", "planted31337")]);
    let flaw = files(&[("password", "planted\n31337")], &[Role::User]).unwrap_err();
    let made = kafka_files(
        None,
        Some(&KafkaSasl { mechanism: SaslMechanism::Plain, credentials: location("a") }),
        &Secrets::from([(location("a"), Some(content(&[("password", "planted31337")])))]),
    );
    assert!(!format!("{secret:?}{flaw}{flaw:?}{made:?}").contains("31337"));
}

#[test]
fn neither_our_own_secrets_nor_tokens_can_be_sent_to_somebodys_brokers() {
    let labelled = |label: &str| Some([(label.to_owned(), "orders".to_owned())].into());
    let with = |labels, type_: &str| {
        let mut secret = Secret { type_: Some(type_.to_owned()), ..Secret::default() };
        secret.metadata.labels = labels;
        let entries = [("password", "planted"), ("token", "planted"), ("tls.crt", CERTIFICATE), ("tls.key", KEY)];
        secret.data = Some(entries.map(|(name, text)| (name.to_owned(), ByteString(text.as_bytes().to_vec()))).into());
        SecretContent::from(secret)
    };
    let sasl = KafkaSasl { mechanism: SaslMechanism::Plain, credentials: location("a") };
    let tls = KafkaTls { authority: None, client_certificate: Some(location("a")) };
    for (content, is_usable) in [
        (with(None, "Opaque"), true),
        (with(labelled("strimzi.io/cluster"), "Opaque"), true),
        (with(labelled(names::LABEL_ENDPOINT), "Opaque"), false),
        (with(labelled("headgate.dev/brings-key-for"), "Opaque"), false),
        (with(None, SERVICE_ACCOUNT_TOKEN), false),
    ] {
        let secrets = Secrets::from([(location("a"), Some(content.clone()))]);
        let flaws = kafka_files(Some(&tls), Some(&sasl), &secrets).err().unwrap_or_default();
        let reserved = flaws.iter().filter(|(_, _, flaw)| *flaw == Flaw::Reserved).count();
        assert_eq!(reserved, if is_usable { 0 } else { 2 });
        assert_eq!(certificate_digest(&content).is_ok(), is_usable);
    }
}
