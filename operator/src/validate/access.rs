//! `spec.publicAccess`: what of it the gateway itself enforces, and from where the stream can be reached.
//!
//! Must never judge where the stream may be reached; `guardrails` does, where a `KafkaConnection` has an opinion.

use super::{Parsed, Problems, Reported, texts};
use crate::model::Exposure;
use headgate_crds::types::{Cidr, ObjectName, SecretName};
use headgate_crds::v1alpha1::{self as api, ParentRef};
use headgate_wire::config::{PublicAccess, QueryCredentials, network};

/// What is open to the public.
pub(super) fn parse(access: &api::PublicAccess, problems: &mut Problems) -> Parsed<PublicAccess> {
    let origins = texts("spec.publicAccess.allowedOrigins", &access.allowed_origins, problems);
    let proxies = proxies(&access.trusted_proxies, problems);
    Ok(PublicAccess {
        anonymous: access.anonymous,
        allowed_origins: origins?,
        query_credentials: match access.query_credentials {
            api::QueryCredentials::Denied => QueryCredentials::Denied,
            api::QueryCredentials::Allowed => QueryCredentials::Allowed,
        },
        // What is wrong with it is reported where it is routed to.
        hostname: access.hostname.as_ref().map(ToString::to_string),
        trusted_proxies: proxies?,
    })
}

/// Networks of proxies. The schema cannot say that an address is more than a network.
fn proxies(networks: &[Cidr], problems: &mut Problems) -> Parsed<Vec<String>> {
    const FIELD: &str = "spec.publicAccess.trustedProxies";
    let checked = networks.iter().enumerate().map(|(index, written)| {
        let field = format!("{FIELD}[{index}]");
        let text = String::from(problems.text(&field, written)?);
        network(&text).map_err(|error| {
            problems.invalid(field, error.to_string());
            Reported
        })?;
        Ok(text)
    });
    let checked: Vec<_> = checked.collect();
    checked.into_iter().collect()
}

/// From where the stream can be reached. What an exposure needs and lacks is reported by `schema` in better words.
pub(super) fn exposure(access: &api::PublicAccess, problems: &mut Problems) -> Parsed<Exposure> {
    let hostname =
        access.hostname.as_ref().map(|name| problems.text("spec.publicAccess.hostname", name)).transpose()?;
    Ok(match access.exposure {
        api::Exposure::ClusterLocal => Exposure::ClusterLocal,
        api::Exposure::Gateway => {
            Exposure::Gateway { hostname: hostname.ok_or(Reported)?, parents: parents(access, problems)? }
        }
        api::Exposure::Ingress => Exposure::Ingress {
            hostname: hostname.ok_or(Reported)?,
            class: class(access, problems)?,
            tls_secret: access.tls.as_ref().map(|tls| tls_secret(tls, problems)).transpose()?,
        },
        api::Exposure::LoadBalancer => Exposure::LoadBalancer { hostname },
    })
}

/// The Secret with the certificate that gateway pods present: an Ingress or a Gateway presents its own, and talks to the
/// pods within the cluster.
pub(super) fn certificate(access: &api::PublicAccess, problems: &mut Problems) -> Parsed<Option<SecretName>> {
    let own = match access.exposure {
        api::Exposure::ClusterLocal | api::Exposure::LoadBalancer => access.tls.as_ref(),
        api::Exposure::Gateway | api::Exposure::Ingress => None,
    };
    own.map(|tls| tls_secret(tls, problems)).transpose()
}

fn tls_secret(tls: &api::PublicTls, problems: &mut Problems) -> Parsed<SecretName> {
    problems.text("spec.publicAccess.tls.secretRef.name", &tls.secret_ref.name)
}

fn class(access: &api::PublicAccess, problems: &mut Problems) -> Parsed<Option<ObjectName>> {
    let class = access.ingress.as_ref().and_then(|ingress| ingress.class_name.as_ref());
    class.map(|name| problems.text("spec.publicAccess.ingress.className", name)).transpose()
}

/// Each parent once: an HTTPRoute that names one twice is refused by the Gateway API.
fn parents(access: &api::PublicAccess, problems: &mut Problems) -> Parsed<Vec<ParentRef>> {
    let gateway = access.gateway.as_ref().ok_or(Reported)?;
    let mut parents: Vec<ParentRef> = Vec::new();
    let mut all_are_valid = true;
    for (index, parent) in gateway.parent_refs.iter().enumerate() {
        let field = |name: &str| format!("spec.publicAccess.gateway.parentRefs[{index}].{name}");
        let name = problems.text(field("name"), &parent.name).is_ok();
        let namespace = parent.namespace.as_ref().is_none_or(|n| problems.text(field("namespace"), n).is_ok());
        let section = parent.section_name.as_ref().is_none_or(|n| problems.text(field("sectionName"), n).is_ok());
        all_are_valid &= name && namespace && section;
        if !parents.contains(parent) {
            parents.push(parent.clone());
        }
    }
    if all_are_valid && !parents.is_empty() { Ok(parents) } else { Err(Reported) }
}
