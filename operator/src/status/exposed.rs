//! `Exposed`: the stream can be reached from where the endpoint asks for.
//!
//! Owns the reading of what Gateways, Ingress controllers and load balancers answer. Must never hide their answers.

use super::Outcome;
use super::finding::{Finding, capitalized, sentence};
use super::view::View;
use crate::gateway_api::{HttpRoute, ParentReference, RouteParentStatus};
use headgate_crds::reasons::Reason;
use headgate_crds::v1alpha1::Exposure;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// From the child that exposes the stream.
pub(super) fn check(view: &View<'_>) -> Finding {
    let object = view.observation.object;
    if let Some(finding) = refused(view) {
        return finding;
    }
    if view.observation.certificate_missing
        && let Some(tls) = &object.spec.public_access.tls
    {
        let name = tls.secret_ref.name.as_str();
        return Finding::no(Reason::CertificatePending, format!("Secret {name} has no certificate yet"));
    }
    let exposure = object.spec.public_access.exposure;
    let finding = match exposure {
        Exposure::ClusterLocal => view.service.map(|_| {
            Finding::yes(
                Reason::ClusterLocal,
                "The stream can be reached from within the cluster, as the endpoint asks.",
            )
        }),
        Exposure::Gateway => view.http_route.map(gateway),
        Exposure::Ingress => view.ingress.map(ingress),
        Exposure::LoadBalancer => view.public_service.map(load_balancer),
    };
    finding.unwrap_or_else(|| {
        // A route is left out for no other reason.
        if exposure == Exposure::Gateway && matches!(view.observation.outcome, Outcome::Applied { .. }) {
            return Finding::no(Reason::GatewayApiMissing, "The cluster serves no HTTPRoute of the Gateway API");
        }
        let message =
            format!("Nothing exposes the stream yet as spec.publicAccess.exposure {} asks", exposure.as_str());
        Finding::no(Reason::RoutePending, message)
    })
}

/// A refusal that is about the exposure itself.
fn refused(view: &View<'_>) -> Option<Finding> {
    let is_about_it = |reason: Reason| matches!(reason, Reason::GatewayApiMissing | Reason::HostnameConflict);
    match view.observation.outcome {
        Outcome::Failed { reason, message } if is_about_it(reason) => Some(Finding::no(reason, capitalized(message))),
        Outcome::Invalid(invalid) => {
            let problem = invalid.problems.iter().find(|problem| is_about_it(problem.reason))?;
            Some(Finding::no_as_told(problem.reason, format!("The stream cannot be exposed: {problem}")))
        }
        _ => None,
    }
}

/// The first Gateway that has not accepted the route, or else that all have.
fn gateway(route: &HttpRoute) -> Finding {
    let name = route.metadata.name.as_deref().unwrap_or_default();
    let answers = route.status.as_ref().map(|status| status.parents.as_slice()).unwrap_or_default();
    let generation = route.metadata.generation;
    let findings = route.spec.parent_refs.iter().map(|parent| {
        let of_parent = answers.iter().filter(|answer| is_same(&answer.parent_ref, parent, route));
        // Several controllers may answer for one Gateway; one that takes the route is enough.
        let verdicts: Vec<_> = of_parent.map(|answer| verdict(answer, generation)).collect();
        if verdicts.contains(&Verdict::Accepted) { None } else { Some((parent, verdicts.into_iter().next())) }
    });
    match findings.flatten().next() {
        None => Finding::yes(Reason::RouteAccepted, format!("Every Gateway has accepted HTTPRoute {name}.")),
        Some((parent, None | Some(Verdict::Pending | Verdict::Accepted))) => Finding::no(
            Reason::RoutePending,
            format!("Gateway {} has not answered to HTTPRoute {name} yet", shown(parent)),
        ),
        Some((parent, Some(Verdict::Refused(reason, answer)))) => {
            Finding::no(reason, format!("Gateway {} refuses HTTPRoute {name}: {answer}", shown(parent)))
        }
    }
}

/// What one Gateway says.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Pending,
    Accepted,
    Refused(Reason, String),
}

/// `Accepted` and `ResolvedRefs`, if they are about the present generation of the route.
fn verdict(answer: &RouteParentStatus, generation: Option<i64>) -> Verdict {
    let find = |type_: &str| {
        let is_present = |seen: &Condition| seen.observed_generation.is_none_or(|seen| Some(seen) >= generation);
        answer.conditions.iter().find(|condition| condition.type_ == type_ && is_present(condition))
    };
    for type_ in ["Accepted", "ResolvedRefs"] {
        if let Some(refusal) = find(type_).filter(|condition| condition.status == "False") {
            return Verdict::Refused(reason(refusal), sentence(&format!("{} {}", refusal.reason, refusal.message)));
        }
    }
    if find("Accepted").is_some_and(|condition| condition.status == "True") {
        Verdict::Accepted
    } else {
        Verdict::Pending
    }
}

/// Our word for the Gateway API's.
fn reason(refusal: &Condition) -> Reason {
    match refusal.reason.as_str() {
        "NoMatchingParent" | "NoMatchingListenerHostname" => Reason::NoMatchingParent,
        "NotAllowedByListeners" | "RefNotPermitted" => Reason::RefNotPermitted,
        "Pending" => Reason::RoutePending,
        _ => Reason::RouteRejected,
    }
}

/// Whether an answer is about this parent. What is left out has its default.
fn is_same(answer: &ParentReference, parent: &ParentReference, route: &HttpRoute) -> bool {
    let own = route.metadata.namespace.as_deref().unwrap_or_default();
    let namespace = |reference: &ParentReference| reference.namespace.clone().unwrap_or_else(|| own.to_owned());
    answer.name == parent.name && answer.section_name == parent.section_name && namespace(answer) == namespace(parent)
}

fn shown(parent: &ParentReference) -> String {
    parent.namespace.as_ref().map_or_else(|| parent.name.clone(), |namespace| format!("{namespace}/{}", parent.name))
}

fn ingress(ingress: &Ingress) -> Finding {
    let name = ingress.metadata.name.as_deref().unwrap_or_default();
    let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let has_address = balancer.and_then(|balancer| balancer.ingress.as_ref()).is_some_and(|list| !list.is_empty());
    with_address(&format!("Ingress {name}"), has_address)
}

fn load_balancer(service: &Service) -> Finding {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    with_address(&format!("Service {name}"), super::address::of_balancer(service).is_some())
}

fn with_address(object: &str, has_address: bool) -> Finding {
    if has_address {
        Finding::yes(Reason::RouteAccepted, format!("{object} has an address."))
    } else {
        Finding::no(Reason::RoutePending, format!("{object} has no address yet"))
    }
}
