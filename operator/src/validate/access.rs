//! `spec.publicAccess`: what of it the gateway itself enforces.
//!
//! Must never judge where the stream may be reached; `guardrails` does, where a `KafkaConnection` has an opinion.

use super::{Parsed, Problems, Reported, has_impossible_port};
use headgate_crds::types::{Origin, SecretName};
use headgate_crds::v1alpha1 as api;
use headgate_wire::config::{PublicAccess, QueryCredentials};

/// What is open to the public.
pub(super) fn parse(access: &api::PublicAccess, problems: &mut Problems) -> Parsed<PublicAccess> {
    let origins: Vec<_> =
        access.allowed_origins.iter().enumerate().map(|(index, text)| origin(index, text, problems)).collect();
    Ok(PublicAccess {
        anonymous: access.anonymous,
        allowed_origins: origins.into_iter().collect::<Parsed<_>>()?,
        query_credentials: match access.query_credentials {
            api::QueryCredentials::Denied => QueryCredentials::Denied,
            api::QueryCredentials::Allowed => QueryCredentials::Allowed,
        },
    })
}

fn origin(index: usize, origin: &Origin, problems: &mut Problems) -> Parsed<String> {
    let field = format!("spec.publicAccess.allowedOrigins[{index}]");
    let origin = problems.text(field.as_str(), origin)?;
    if has_impossible_port(&origin) {
        problems.invalid(field, format!("{origin} has no port from 1 to 65535: correct it"));
        return Err(Reported);
    }
    Ok(origin.into())
}

/// The Secret with the certificate that gateway pods present: an Ingress or a Gateway presents its own, and talks to the
/// pods within the cluster.
pub(super) fn certificate(access: &api::PublicAccess, problems: &mut Problems) -> Parsed<Option<SecretName>> {
    let own = match access.exposure {
        api::Exposure::ClusterLocal | api::Exposure::LoadBalancer => access.tls.as_ref(),
        api::Exposure::Gateway | api::Exposure::Ingress => None,
    };
    own.map(|tls| problems.text("spec.publicAccess.tls.secretRef.name", &tls.secret_ref.name)).transpose()
}
