//! `spec.publicAccess`: what of it the gateway itself enforces.
//!
//! Must never judge where the stream may be reached; `guardrails` does, where a `KafkaConnection` has an opinion.

use super::{Parsed, Problems};
use headgate_crds::types::SecretName;
use headgate_crds::v1alpha1 as api;
use headgate_wire::config::{PublicAccess, QueryCredentials};

/// What is open to the public.
pub(super) fn parse(access: &api::PublicAccess, problems: &mut Problems) -> Parsed<PublicAccess> {
    let field = |index| format!("spec.publicAccess.allowedOrigins[{index}]");
    let origins = access.allowed_origins.iter().enumerate();
    let origins: Vec<_> = origins.map(|(index, text)| problems.text(field(index), text).map(String::from)).collect();
    Ok(PublicAccess {
        anonymous: access.anonymous,
        allowed_origins: origins.into_iter().collect::<Parsed<_>>()?,
        query_credentials: match access.query_credentials {
            api::QueryCredentials::Denied => QueryCredentials::Denied,
            api::QueryCredentials::Allowed => QueryCredentials::Allowed,
        },
    })
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
