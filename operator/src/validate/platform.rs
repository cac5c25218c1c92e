//! A `KafkaConnection` by itself: what the platform team is told, with every detail.
//!
//! Must never be shown to anybody else: an endpoint's problems say nothing of where credentials are.

use super::{Problem, Problems, connection, kafka};
use crate::credentials::{self, Flaw, Role, Secrets};
use crate::model::{KafkaSasl, KafkaTls, SecretLocation};
use headgate_crds::KafkaConnection;
use headgate_crds::reasons::Reason;
use headgate_crds::types::Text as _;
use std::collections::BTreeSet;

/// Secrets that the connection itself names; those that it names by a template are each endpoint's.
pub fn connection_secrets(connection: &KafkaConnection) -> BTreeSet<SecretLocation> {
    let (tls, sasl) = parts(connection, &mut Problems::default());
    credentials::locations(tls.as_ref(), sasl.as_ref()).collect()
}

/// What keeps every endpoint from using the connection, by field, and nothing if endpoints can use it.
///
/// `secrets` are those that [`connection_secrets`] names; absent = nobody looked, and their presence is not judged.
pub fn connection_problems(connection: &KafkaConnection, secrets: Option<&Secrets>) -> Vec<Problem> {
    let mut problems = Problems::default();
    if let Err(error) = connection.spec.bootstrap_servers.check() {
        problems.invalid("spec.bootstrapServers", error.to_string());
    }
    let (tls, sasl) = parts(connection, &mut problems);
    without_mechanism(connection, &mut problems);
    let flaws = secrets.map(|secrets| credentials::kafka_files(tls.as_ref(), sasl.as_ref(), secrets));
    for (role, secret, flaw) in flaws.and_then(Result::err).into_iter().flatten() {
        let field = match role {
            Role::Authority => "spec.tls.caSecretRef",
            Role::ClientCertificate => "spec.tls.clientCertSecretRef",
            Role::User => "spec.sasl.credentialsSecretRef",
        };
        let reason = if flaw == Flaw::Missing { Reason::SecretNotFound } else { Reason::SecretInvalid };
        problems.add(reason, field, format!("the Secret {}/{} {flaw}", secret.namespace, secret.name));
    }
    problems.into_invalid().problems
}

/// How the connection encrypts and logs in, as far as that can be used.
fn parts(connection: &KafkaConnection, problems: &mut Problems) -> (Option<KafkaTls>, Option<KafkaSasl>) {
    let spec = &connection.spec;
    let tls = spec.tls.as_ref().and_then(|tls| match connection::tls(tls) {
        Ok(tls) => Some(tls),
        Err(why) => {
            problems.invalid("spec.tls", why.to_string());
            None
        }
    });
    // Where every entry has a user of its own, that of the connection is never used.
    let is_used = spec.allowed.is_empty() || spec.allowed.iter().any(|a| a.credentials_secret_ref.is_none());
    let sasl = spec.sasl.as_ref().and_then(|sasl| {
        let Some(mechanism) = kafka::mechanism(sasl.mechanism) else {
            problems.invalid("spec.sasl.mechanism", connection::Unusable::Mechanism.to_string());
            return None;
        };
        match connection::location(&sasl.credentials_secret_ref) {
            Ok(credentials) => is_used.then_some(KafkaSasl { mechanism, credentials }),
            Err(why) => {
                problems.invalid("spec.sasl.credentialsSecretRef", why.to_string());
                None
            }
        }
    });
    (tls, sasl)
}

fn without_mechanism(connection: &KafkaConnection, problems: &mut Problems) {
    let entries = connection.spec.allowed.iter().enumerate();
    for (index, _) in entries.filter(|(_, a)| connection.spec.sasl.is_none() && a.credentials_secret_ref.is_some()) {
        let field = format!("spec.allowed[{index}].credentialsSecretRef");
        problems.invalid(field, connection::Unusable::CredentialsWithoutMechanism.to_string());
    }
}

#[cfg(test)]
mod tests;
