//! Every text type accepts and refuses what its field does in Kafka, Kubernetes and browsers.

use super::*;
use std::fmt::Debug;

fn check<T: Text + Debug>(accepted: &[&str], refused: &[&str]) {
    assert!(T::regex().is_some(), "the pattern of {} is not a regular expression", T::KIND);
    for text in accepted {
        assert!(T::new(text).is_ok(), "{text} is refused: {}", T::new(text).unwrap_err());
    }
    for text in refused {
        let error = T::new(text).expect_err(text).to_string();
        let remedy =
            T::ENDINGS.iter().find(|(ending, _)| text.ends_with(ending)).map_or(T::REMEDY, |(_, remedy)| *remedy);
        assert!(error.contains(T::KIND) && error.contains(remedy), "{error}");
    }
    assert!(T::new(&"a".repeat(T::MAX_LENGTH + 1)).is_err());
}

#[test]
fn kafka_texts() {
    check::<AppName>(&["orders", "o", "a-1", "7up"], &["", "Orders", "a_b", "-a", "a-", "a.b", "a/b", "ws", "status"]);
    check::<TopicName>(&["shop.orders", "A_b-1", "..."], &["", ".", "..", "a b", "a/b", "ä"]);
    check::<BootstrapServers>(
        &["kafka:9092", "10.0.0.1:9092,b-1.example.com:9093", "[fd00::1]:9092"],
        &[
            "",
            "kafka",
            "kafka:",
            ":9092",
            "a:1, b:2",
            "a:1,",
            "http://a:1",
            "kafka:port",
            "a:0",
            "a:1,b:65536",
            "a:099",
        ],
    );
    check::<EventType>(&["com.example.order.v1"], &["", "a b"]);
    check::<AttributeName>(&["subject", "ce1"], &["", "deviceId", "a-b"]);
}

#[test]
fn auth_texts() {
    check::<KeyName>(&["web", "a-1"], &["", "Web", "a.b", "a-", "this-name-is-too-long"]);
    let digest = format!("sha256:{}", "0".repeat(64));
    check::<KeyHash>(&[&digest], &["", "sha256:", &digest.to_uppercase(), &digest[..70]]);
    check::<IssuerUrl>(
        &[
            "https://id.example.com",
            "https://id.example.com/",
            "https://id.example.com:8443/realms/a",
            "https://[fd00::1]/~a/%20",
        ],
        &[
            "",
            "https://",
            "http://id.example.com",
            "https://id.example.com?a=b",
            "https://id.example.com#a",
            "https://user@id.example.com",
            "https://id.example.com:0",
            "https://a b",
            "https://a/ä",
        ],
    );
    check::<Audience>(&["orders", "https://api.example.com"], &["", "a b"]);
    check::<ClaimPath>(&["sub", "realm_access.roles", "https://example.com/roles"], &["", "a b"]);
}

#[test]
fn access_texts() {
    check::<Hostname>(&["a", "streams.example.com"], &["", "*.example.com", "A.example.com", "a..b", "a:1", "-a.b"]);
    check::<Origin>(
        &["https://shop.example.com", "http://localhost:3000", "capacitor://localhost", "https://[::1]:8443"],
        &[
            "",
            "*",
            "null",
            "https://a/",
            "https://a/b",
            "https://*.a.com",
            "https://A.com",
            "shop.example.com",
            "https://",
            "https://a:0",
            "https://a:65536",
        ],
    );
    check::<Cidr>(
        &["10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "2001:db8:0:1:2:3:4:5/128", "FE80::1/64"],
        &[
            "",
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0",
            "10.0.0/8",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "256.0.0.0/8",
            "010.0.0.0/8",
            "::/129",
            "1::2::3/64",
            "::ffff:10.0.0.1/128",
            "example.com/8",
            " 10.0.0.0/8",
        ],
    );
}

#[test]
fn kubernetes_texts() {
    check::<EndpointName>(&["orders", "a-1"], &["", "1a", "a.b", "A", "a-"]);
    check::<SecretName>(&["kafka-ca", "a.b"], &["", "A", "a_b", "a/b", "../a"]);
    check::<DataKey>(&["ca.crt", "A_b"], &["", "a/b", "a b"]);
    check::<ObjectName>(&["public", "a.b"], &["", "A", "a/b"]);
    check::<NamespaceName>(&["shop"], &["", "a.b", "Shop"]);
}

#[test]
fn patterns() {
    check::<TopicPattern>(&["*", "{namespace}.*", "a.{app}-?"], &["", "{other}", "a b", "{namespace"]);
    check::<HostnamePattern>(&["*.example.com", "{namespace}.example.com"], &["", "A.com", "{x}.com", "a/b"]);
    check::<SecretNameTemplate>(&["user-{namespace}", "x"], &["", "User", "{other}", "a*"]);
}

#[test]
fn a_refused_digest_is_not_repeated() {
    let error = KeyHash::new("hgk_a_secret").unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn a_long_text_is_shortened() {
    let error = TopicName::new(&"ä".repeat(300)).unwrap_err();
    assert!(error.to_string().chars().count() < 300, "{error}");
}

#[test]
fn topic_patterns_match_whole_names() {
    let matches = |pattern: &str, topic: &str| TopicPattern::new(pattern).unwrap().matches("shop", "orders", topic);
    assert!(matches("{namespace}.*", "shop.orders"));
    assert!(matches("{namespace}.{app}", "shop.orders"));
    assert!(matches("*", "anything.at_all"));
    assert!(matches("*.dlq.*", "a.dlq.b.dlq.c"));
    assert!(matches("shop.order?", "shop.orders"));
    assert!(!matches("{namespace}.*", "shopping.orders"));
    assert!(!matches("{namespace}.*", "x.shop.orders"));
    assert!(!matches("shop.order?", "shop.order"));
    assert!(!matches("shop", "shop.orders"));
}

#[test]
fn what_is_filled_in_is_never_a_wildcard() {
    let pattern = TopicPattern::new("{app}.x").unwrap();
    assert!(!pattern.matches("shop", "*", "orders.x"));
    let pattern = TopicPattern::new("{namespace}.x").unwrap();
    assert!(!pattern.matches("{app}", "orders", "orders.x"));
}

#[test]
fn a_wildcard_of_a_host_name_is_within_one_label() {
    let matches = |pattern: &str, name: &str| HostnamePattern::new(pattern).unwrap().matches("shop", "orders", name);
    assert!(matches("*.streams.example.com", "a.streams.example.com"));
    assert!(matches("{namespace}-*.example.com", "shop-eu.example.com"));
    assert!(matches("*.*.example.com", "a.b.example.com"));
    assert!(!matches("*.streams.example.com", "a.b.streams.example.com"));
    assert!(!matches("*.streams.example.com", "streams.example.com"));
    assert!(!matches("*.example.com", "a.example.com.evil.org"));
}

#[test]
fn a_secret_name_is_checked_after_it_is_filled_in() {
    let template = SecretNameTemplate::new("user-{namespace}-{app}").unwrap();
    assert_eq!(template.fill("shop", "orders").unwrap(), "user-shop-orders");
    assert!(SecretNameTemplate::new("{app}-").unwrap().fill("shop", "orders").is_err());
}
