//! The gateway's configuration.
//!
//! Owns which file a credential is read from. Must never put a secret in: a configuration is a ConfigMap.

use crate::model::{Authentication, Endpoint, Kafka, Tokens};
use crate::settings::{
    CA_FILE, CERTIFICATE_FILE, CLIENT_CERTIFICATE_FILE, CLIENT_KEY_FILE, KEY_FILE, KEY_SET_FILE, PASSWORD_FILE,
    PROVIDER_CA_FILE, Settings, USERNAME_FILE,
};
use headgate_wire::GatewayConfig;
use headgate_wire::config::{Auth, AuthMode, KafkaSasl, KafkaTls, ListenerTls, Listeners, Oidc, Properties};

/// What one gateway of the endpoint reads. Whoever runs it elsewhere than in a pod changes the result's fields.
pub fn gateway_config(endpoint: &Endpoint, settings: &Settings) -> GatewayConfig {
    GatewayConfig {
        app: endpoint.app.to_string(),
        endpoint: Some(format!("{}/{}", endpoint.namespace, endpoint.name)),
        listeners: listeners(endpoint, settings),
        kafka: kafka(&endpoint.kafka, settings),
        stream: endpoint.stream.clone(),
        auth: auth(&endpoint.auth, settings),
        public_access: endpoint.public_access.clone(),
        limits: endpoint.limits,
        drain_seconds: endpoint.drain_seconds,
    }
}

fn listeners(endpoint: &Endpoint, settings: &Settings) -> Listeners {
    let tls = endpoint.certificate.is_some().then(|| ListenerTls {
        certificate_file: settings.tls_directory.join(CERTIFICATE_FILE),
        key_file: settings.tls_directory.join(KEY_FILE),
    });
    Listeners { stream: settings.stream, admin: settings.admin, tls }
}

fn kafka(kafka: &Kafka, settings: &Settings) -> headgate_wire::config::Kafka {
    let file = |name: &str| settings.kafka_directory.join(name);
    headgate_wire::config::Kafka {
        bootstrap_servers: kafka.bootstrap_servers.to_string(),
        topic: kafka.topic.to_string(),
        tls: kafka.tls.as_ref().map(|tls| KafkaTls {
            ca_file: tls.authority.is_some().then(|| file(CA_FILE)),
            certificate_file: tls.client_certificate.is_some().then(|| file(CLIENT_CERTIFICATE_FILE)),
            key_file: tls.client_certificate.is_some().then(|| file(CLIENT_KEY_FILE)),
        }),
        sasl: kafka.sasl.as_ref().map(|sasl| KafkaSasl {
            mechanism: sasl.mechanism,
            username_file: file(USERNAME_FILE),
            password_file: file(PASSWORD_FILE),
        }),
        isolation: kafka.isolation,
        properties: Properties::default(),
    }
}

fn auth(auth: &Authentication, settings: &Settings) -> Auth {
    let mode = match auth {
        Authentication::ApiKeys(_) => AuthMode::ApiKey,
        Authentication::Tokens(_) => AuthMode::Oidc,
        Authentication::ApiKeysOrTokens(..) => AuthMode::ApiKeyOrOidc,
        Authentication::Anonymous => AuthMode::None,
    };
    // A gateway refuses keys that it would ignore.
    let accepts_keys = matches!(auth, Authentication::ApiKeys(_) | Authentication::ApiKeysOrTokens(..));
    let keys_file = accepts_keys.then(|| settings.keys_file.clone());
    Auth {
        mode,
        keys_file,
        oidc: auth.tokens().map(|tokens| oidc(tokens, settings)),
        ticket_key_file: settings.ticket_key_file.clone().filter(|_| auth.has_tickets()),
    }
}

fn oidc(tokens: &Tokens, settings: &Settings) -> Oidc {
    let file = |name: &str| settings.tokens_directory.join(name);
    Oidc {
        jwks_file: tokens.keys.is_a_clusters().then(|| file(KEY_SET_FILE)),
        ca_file: tokens.authority.is_some().then(|| file(PROVIDER_CA_FILE)),
        ..tokens.rules.clone()
    }
}
