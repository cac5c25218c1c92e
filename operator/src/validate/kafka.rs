//! `spec.kafka`: a cluster of the endpoint's own, or one of the platform team's.
//!
//! Every Secret of an endpoint's own cluster is in its own namespace. Must never mix the two: what a connection brings
//! cannot be changed by an endpoint.

use super::{Parsed, Problems, Reported, Request, connection};
use crate::credentials::KafkaFiles;
use crate::model::{Kafka, KafkaSasl, KafkaTls, SecretEntry, SecretLocation};
use headgate_crds::types::{BootstrapServers, SecretName};
use headgate_crds::v1alpha1 as api;
use headgate_wire::config::{Isolation, SaslMechanism};

/// A cluster, and which `KafkaConnection` it is known from.
#[derive(Debug)]
pub(super) struct Cluster {
    /// The cluster, still without the content of Secrets.
    pub(super) kafka: Kafka,
    /// Name of the connection; absent = the endpoint's own cluster.
    pub(super) connection: Option<String>,
}

/// The cluster, if it may be used, and where the credentials for it are.
pub(super) fn parse(request: &Request<'_>, problems: &mut Problems) -> Parsed<Cluster> {
    match &request.spec.kafka.bootstrap_servers {
        Some(servers) => own_cluster(request, servers, problems).map(|kafka| Cluster { kafka, connection: None }),
        None => connection::resolve(request, problems),
    }
}

fn own_cluster(request: &Request<'_>, servers: &BootstrapServers, problems: &mut Problems) -> Parsed<Kafka> {
    let kafka = &request.spec.kafka;
    let servers = problems.text("spec.kafka.bootstrapServers", servers);
    let tls = kafka.tls.as_ref().map(|tls| own_tls(request, tls, problems));
    let sasl = kafka.sasl.as_ref().map(|sasl| own_sasl(request, sasl, problems));
    Ok(Kafka {
        bootstrap_servers: servers?,
        topic: request.topic.clone(),
        tls: tls.transpose()?,
        sasl: sasl.transpose()?,
        isolation: isolation(kafka.isolation),
        files: KafkaFiles::default(),
    })
}

fn own_tls(request: &Request<'_>, tls: &api::KafkaTls, problems: &mut Problems) -> Parsed<KafkaTls> {
    let authority = tls.ca_secret_ref.as_ref().map(|ca| {
        let secret = own_secret(request, "spec.kafka.tls.caSecretRef.name", &ca.name, problems);
        let key = problems.text("spec.kafka.tls.caSecretRef.key", &ca.key);
        Ok(SecretEntry { secret: secret?, key: key? })
    });
    let client_certificate = tls
        .client_cert_secret_ref
        .as_ref()
        .map(|certificate| own_secret(request, "spec.kafka.tls.clientCertSecretRef.name", &certificate.name, problems));
    Ok(KafkaTls { authority: authority.transpose()?, client_certificate: client_certificate.transpose()? })
}

fn own_sasl(request: &Request<'_>, sasl: &api::KafkaSasl, problems: &mut Problems) -> Parsed<KafkaSasl> {
    let mechanism = mechanism(sasl.mechanism).ok_or_else(|| {
        let message = "OAuthBearer is not offered by gateways of this version: use Plain, ScramSha256, ScramSha512 or a \
                       client certificate";
        problems.invalid("spec.kafka.sasl.mechanism", message);
        Reported
    });
    let name = &sasl.credentials_secret_ref.name;
    let credentials = own_secret(request, "spec.kafka.sasl.credentialsSecretRef.name", name, problems);
    Ok(KafkaSasl { mechanism: mechanism?, credentials: credentials? })
}

fn own_secret(
    request: &Request<'_>,
    field: &str,
    name: &SecretName,
    problems: &mut Problems,
) -> Parsed<SecretLocation> {
    let name = problems.text(field, name)?;
    Ok(SecretLocation { namespace: request.namespace.clone(), name })
}

/// The mechanism, if gateways of this version have it.
pub(super) fn mechanism(mechanism: api::SaslMechanism) -> Option<SaslMechanism> {
    match mechanism {
        api::SaslMechanism::Plain => Some(SaslMechanism::Plain),
        api::SaslMechanism::ScramSha256 => Some(SaslMechanism::ScramSha256),
        api::SaslMechanism::ScramSha512 => Some(SaslMechanism::ScramSha512),
        api::SaslMechanism::OAuthBearer => None,
    }
}

/// Isolation as the gateway has it.
pub(super) fn isolation(isolation: api::Isolation) -> Isolation {
    match isolation {
        api::Isolation::ReadCommitted => Isolation::ReadCommitted,
        api::Isolation::ReadUncommitted => Isolation::ReadUncommitted,
    }
}
