//! What the checks look at.
//!
//! Owns which objects count: the API server's answers where something was applied, else what was found and is ours. A child
//! of somebody else, or one that has just been withdrawn, is as good as absent.

use super::finding::{Finding, Truth};
use super::{Observation, Outcome};
use crate::gateway_api::HttpRoute;
use crate::probe::GatewayPod;
use crate::status::{Rollout, condition};
use headgate_crds::names::ANNOTATION_CONFIG_HASH;
use headgate_crds::reasons::ConditionType;
use headgate_crds::v1alpha1::StreamEndpointStatus;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::Resource;

/// The observation, sorted.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) observation: &'a Observation<'a>,
    /// The status so far.
    pub(super) old: Option<&'a StreamEndpointStatus>,
    /// Generation of the spec that the children are judged by.
    pub(super) generation: Option<i64>,
    /// Whether the platform team does not allow the endpoint any more, so that its gateways are being deleted.
    pub(super) is_withdrawn: bool,
    pub(super) deployment: Option<&'a Deployment>,
    pub(super) service: Option<&'a Service>,
    pub(super) http_route: Option<&'a HttpRoute>,
    pub(super) ingress: Option<&'a Ingress>,
    pub(super) public_service: Option<&'a Service>,
    pub(super) rollout: Rollout,
}

impl<'a> View<'a> {
    pub(super) fn new(observation: &'a Observation<'a>) -> Self {
        let object = observation.object;
        let old = object.status.as_ref();
        let is_withdrawn = match observation.outcome {
            Outcome::Invalid(invalid) => invalid.problems.iter().any(|problem| problem.reason.withdraws()),
            _ => false,
        };
        let generation = match observation.outcome {
            // Nothing has been done about a newer spec.
            Outcome::Paused => old.and_then(|status| status.observed_generation).or(object.metadata.generation),
            _ => object.metadata.generation,
        };
        let uid = object.metadata.uid.as_deref();
        let found = observation.existing;
        let mut view = Self {
            observation,
            old,
            generation,
            is_withdrawn,
            deployment: ours(found.deployment.as_ref(), uid),
            service: ours(found.service.as_ref(), uid),
            http_route: ours(found.http_route.as_ref(), uid),
            ingress: ours(found.ingress.as_ref(), uid),
            public_service: ours(found.public_service.as_ref(), uid),
            rollout: Rollout::Absent,
        };
        if let Outcome::Applied { resources, .. } = observation.outcome {
            view.deployment = Some(&resources.deployment);
            view.service = Some(&resources.service);
            view.http_route = resources.http_route.as_ref();
            view.ingress = resources.ingress.as_ref();
            view.public_service = resources.public_service.as_ref();
        } else if is_withdrawn {
            view = Self { deployment: None, http_route: None, ingress: None, public_service: None, ..view };
        }
        view.rollout = Rollout::of(view.deployment);
        view
    }

    /// Whether the endpoint is stopped on purpose.
    pub(super) fn is_stopped(&self) -> bool {
        self.observation.object.spec.stopped
    }

    /// Whether clients could connect already as this generation of the spec asks for.
    pub(super) fn was_ready(&self) -> bool {
        condition(self.old, ConditionType::Ready)
            .is_some_and(|ready| ready.status == Truth::True.as_str() && ready.observed_generation == self.generation)
    }

    /// The gateway pods whose word counts, by name: those with the present configuration, or all while there are none.
    pub(super) fn pods(&self) -> Vec<&'a GatewayPod> {
        let template = self.deployment.and_then(|deployment| deployment.spec.template.metadata.as_ref());
        let wanted = template.and_then(|metadata| metadata.annotations.as_ref()?.get(ANNOTATION_CONFIG_HASH));
        let mut pods: Vec<&GatewayPod> = self.observation.pods.iter().filter(|pod| !pod.terminating).collect();
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        if pods.iter().any(|pod| pod.config_hash.as_ref() == wanted) {
            pods.retain(|pod| pod.config_hash.as_ref() == wanted);
        }
        pods
    }

    /// The condition as it was told of this generation; what was told of another may have had another cause.
    pub(super) fn told(&self, type_: ConditionType) -> Option<&'a Condition> {
        condition(self.old, type_).filter(|old| old.observed_generation == self.generation)
    }

    /// The finding as a condition. It keeps the time of its transition while its status is the same.
    pub(super) fn condition(&self, type_: ConditionType, finding: &Finding) -> Condition {
        let old = condition(self.old, type_).filter(|old| old.status == finding.truth.as_str());
        let now = Timestamp::from_second(self.observation.now.as_second()).unwrap_or(self.observation.now);
        Condition {
            type_: type_.as_str().to_owned(),
            status: finding.truth.as_str().to_owned(),
            reason: finding.reason.as_str().to_owned(),
            message: finding.message.clone(),
            observed_generation: self.generation,
            last_transition_time: old.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    }
}

/// A child, if the endpoint with this uid controls it.
fn ours<'a, K: Resource>(child: Option<&'a K>, uid: Option<&str>) -> Option<&'a K> {
    let uid = uid.filter(|uid| !uid.is_empty())?;
    let owners = child?.meta().owner_references.as_deref().unwrap_or_default();
    child.filter(|_| owners.iter().any(|owner| owner.controller == Some(true) && owner.uid == uid))
}
