//! The Secrets that an endpoint depends on: which they are, and whether they can be used.
//!
//! Owns what a tenant is told about them: of the namespace's own Secrets everything but their values, of those of a
//! `KafkaConnection` nothing but that somebody has to ask. Must never name a Secret of another namespace.

use super::kafka::{self, Cluster};
use super::{Parsed, Problems, Reported, Request, access, name, namespace};
use crate::credentials::{self, Flaw, Role, Secrets};
use crate::model::{Certificate, Certificates, Kafka, SecretEntry, SecretLocation};
use crate::references::References;
use headgate_crds::StreamEndpoint;
use headgate_crds::reasons::Reason;
use headgate_crds::types::SecretName;
use std::collections::BTreeSet;

/// Field of the Secret with the certificate for clients.
const CERTIFICATE_FIELD: &str = "spec.publicAccess.tls.secretRef";
/// Field of the Secret with the certificates of a token provider's authority.
const PROVIDER_AUTHORITY_FIELD: &str = "spec.auth.oidc.caSecretRef";

/// Every Secret that has to be read before [`validate`](crate::validate()) can judge the endpoint: those of its own
/// namespace that it names, and those that a `KafkaConnection` grants it. None of a connection that does not allow the
/// endpoint.
pub fn wanted_secrets(endpoint: &StreamEndpoint, references: &References) -> BTreeSet<SecretLocation> {
    let spec = &endpoint.spec;
    let mut problems = Problems::default();
    let texts = (
        name(endpoint, &mut problems),
        namespace(endpoint, &mut problems),
        problems.text("", &spec.app),
        problems.text("", &spec.topic),
    );
    let (Ok(_), Ok(namespace), Ok(app), Ok(topic)) = texts else { return BTreeSet::new() };
    let request = Request { namespace: &namespace, app: &app, topic: &topic, spec, references };
    let kafka = kafka::parse(&request, &mut problems);
    let mut wanted: BTreeSet<SecretLocation> = tls_secret(&request, &mut problems).into_iter().collect();
    wanted.extend(provider_authority_entry(&request, &mut problems).into_iter().flatten().map(|entry| entry.secret));
    if let Ok(Cluster { kafka, .. }) = kafka
        && !is_withdrawn(&problems)
    {
        wanted.extend(credentials::locations(kafka.tls.as_ref(), kafka.sasl.as_ref()));
    }
    wanted
}

/// Whether the platform team does not allow the endpoint: then the credentials are none of its business.
fn is_withdrawn(problems: &Problems) -> bool {
    problems.0.iter().any(|problem| problem.reason.withdraws())
}

/// The cluster with what gateways log in with.
pub(super) fn log_in(request: &Request<'_>, cluster: Cluster, problems: &mut Problems) -> Parsed<Kafka> {
    let Cluster { kafka, connection } = cluster;
    if is_withdrawn(problems) {
        // Nobody has read them, so that nothing can be said about them.
        return Err(Reported);
    }
    let Some(secrets) = &request.references.secrets else { return Ok(kafka) };
    let flaws = match credentials::kafka_files(kafka.tls.as_ref(), kafka.sasl.as_ref(), secrets) {
        Ok(files) => return Ok(Kafka { files, ..kafka }),
        Err(flaws) => flaws,
    };
    if let Some(name) = connection {
        let message = format!(
            "the credentials that the KafkaConnection {name} provides for the namespace {} cannot be used: ask the \
             platform team to correct them",
            request.namespace
        );
        problems.add(Reason::SecretInvalid, "spec.kafka", message);
        return Err(Reported);
    }
    for (role, secret, flaw) in flaws {
        let field = match role {
            Role::Authority => "spec.kafka.tls.caSecretRef",
            Role::ClientCertificate => "spec.kafka.tls.clientCertSecretRef",
            Role::User => "spec.kafka.sasl.credentialsSecretRef",
        };
        report(field, &secret, &flaw, problems);
    }
    Err(Reported)
}

/// The certificate that gateway pods present to clients.
pub(super) fn certificate(request: &Request<'_>, problems: &mut Problems) -> Parsed<Option<Certificate>> {
    let own = access::certificate(&request.spec.public_access, problems)?;
    let Some(location) = tls_secret(request, problems) else { return Ok(None) };
    let checked = match &request.references.secrets {
        None => Ok(None),
        Some(secrets) => match certificate_in(secrets, &location) {
            // An Ingress comes first where its certificate is made because of it.
            Err(Flaw::Missing | Flaw::NoEntry(_)) if own.is_none() => Ok(None),
            checked => checked.map(Some),
        },
    };
    let digest = checked.map_err(|flaw| {
        report(CERTIFICATE_FIELD, &location, &flaw, problems);
        Reported
    })?;
    Ok(own.map(|secret: SecretName| Certificate { secret, digest }))
}

fn certificate_in(secrets: &Secrets, location: &SecretLocation) -> Result<String, Flaw> {
    let content = secrets.get(location).and_then(Option::as_ref).ok_or(Flaw::Missing)?;
    credentials::certificate_digest(content)
}

/// The certificates with which gateways check whether a token provider is itself; `None` if the endpoint names none, or
/// nobody looked.
pub(super) fn provider_authority(request: &Request<'_>, problems: &mut Problems) -> Parsed<Option<Certificates>> {
    let Some(entry) = provider_authority_entry(request, problems)? else { return Ok(None) };
    let Some(secrets) = &request.references.secrets else { return Ok(None) };
    let content = secrets.get(&entry.secret).and_then(Option::as_ref).ok_or(Flaw::Missing);
    content.and_then(|content| credentials::provider_authority(content, &entry)).map(Some).map_err(|flaw| {
        report(PROVIDER_AUTHORITY_FIELD, &entry.secret, &flaw, problems);
        Reported
    })
}

fn provider_authority_entry(request: &Request<'_>, problems: &mut Problems) -> Parsed<Option<SecretEntry>> {
    let Some(authority) = request.spec.auth.oidc.as_ref().and_then(|oidc| oidc.ca_secret_ref.as_ref()) else {
        return Ok(None);
    };
    let name = problems.text("spec.auth.oidc.caSecretRef.name", &authority.name);
    let key = problems.text("spec.auth.oidc.caSecretRef.key", &authority.key);
    Ok(Some(SecretEntry { secret: SecretLocation { namespace: request.namespace.clone(), name: name? }, key: key? }))
}

/// The Secret of `publicAccess.tls`, whoever presents the certificate.
fn tls_secret(request: &Request<'_>, problems: &mut Problems) -> Option<SecretLocation> {
    let tls = request.spec.public_access.tls.as_ref()?;
    let name = problems.text("spec.publicAccess.tls.secretRef.name", &tls.secret_ref.name).ok()?;
    Some(SecretLocation { namespace: request.namespace.clone(), name })
}

fn report(field: &str, secret: &SecretLocation, flaw: &Flaw, problems: &mut Problems) {
    let reason = match flaw {
        Flaw::Missing => Reason::SecretNotFound,
        _ => Reason::SecretInvalid,
    };
    problems.add(reason, field, format!("the Secret {} {flaw}", secret.name));
}

#[cfg(test)]
mod tests;
