//! An endpoint and everything around it, changed by each test in what it is about.

use crate::build::build;
use crate::keys::{Entropy, KeyInputs, KeyPlan, KeyProblem, plan};
use crate::model::Endpoint;
use crate::probe::{GatewayPod, PodReport};
use crate::references::References;
use crate::resources::{Applied, Existing, Prepared, Resources};
use crate::settings::Settings;
use crate::status::{Observation, Outcome, compute};
use crate::validate::{Invalid, Problem, validate};
use headgate_crds::StreamEndpoint;
use headgate_crds::names::ANNOTATION_CONFIG_HASH;
use headgate_crds::reasons::Reason;
use headgate_crds::types::BootstrapServers;
use headgate_crds::v1alpha1::StreamEndpointStatus;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::marker::PhantomData;

/// Configuration hash of [`pod`]s, and of the Deployment's template.
const CONFIG_HASH: &str = "present";

/// What is observed.
pub(super) struct Scene {
    pub(super) object: StreamEndpoint,
    pub(super) pods: Vec<GatewayPod>,
    /// Status of the Deployment; null = there is none.
    pub(super) deployment: Value,
    /// Status of the HTTPRoute; null = the cluster has no HTTPRoutes.
    pub(super) http_route: Value,
    /// Address of the Ingress or the load balancer; without fields = none.
    pub(super) address: Value,
    pub(super) certificate_missing: bool,
    /// A problem of the first key.
    pub(super) key_problem: Option<Reason>,
    pub(super) now: Timestamp,
}

/// A pod that is ready, with the present configuration, that does not answer.
pub(super) fn pod(name: &str) -> GatewayPod {
    GatewayPod {
        name: name.to_owned(),
        uid: name.to_owned(),
        ready: true,
        terminating: false,
        template_hash: None,
        config_hash: Some(CONFIG_HASH.to_owned()),
        reload_hash: None,
        deletion_cost: None,
        waiting: None,
        admin: None,
        report: None,
    }
}

pub(super) fn unready(pod: GatewayPod) -> GatewayPod {
    GatewayPod { ready: false, ..pod }
}

pub(super) fn report(pod: GatewayPod, state: &str, reason: Option<&str>) -> GatewayPod {
    let report = PodReport {
        kafka_state: state.to_owned(),
        kafka_reason: reason.map(str::to_owned),
        provider_problem: None,
        connections: 0,
    };
    GatewayPod { report: Some(report), ..pod }
}

/// The conditions as `Type=Status Reason`.
pub(super) fn words(status: &StreamEndpointStatus) -> Vec<String> {
    status.conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect()
}

impl Scene {
    /// An endpoint that serves, with these fields of the spec.
    pub(super) fn new(spec: &Value) -> Self {
        let mut object = json!({
            "apiVersion": "headgate.dev/v1alpha1",
            "kind": "StreamEndpoint",
            "metadata": { "name": "orders", "namespace": "shop", "uid": "1", "generation": 1 },
            "spec": { "app": "orders", "topic": "shop.orders", "auth": { "mode": "ApiKey" } },
        });
        for (field, value) in spec.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        Self {
            object: serde_json::from_value(object).unwrap(),
            pods: vec![report(pod("a"), "Reading", None)],
            deployment: json!({ "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1 }),
            http_route: json!({}),
            address: json!({}),
            certificate_missing: false,
            key_problem: None,
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
        }
    }

    pub(super) fn applied(&self) -> StreamEndpointStatus {
        let endpoint = self.endpoint();
        let plan = self.plan(&endpoint);
        let resources = self.resources(&endpoint, &plan);
        self.status(Outcome::Applied { endpoint: &endpoint, resources: &resources, plan: &plan })
    }

    pub(super) fn invalid(&self, reason: Reason) -> StreamEndpointStatus {
        let problem = Problem { field: "spec.topic".to_owned(), message: "is wrong".to_owned(), reason };
        self.status(Outcome::Invalid(&Invalid { problems: vec![problem] }))
    }

    pub(super) fn failed(&self, reason: Reason) -> StreamEndpointStatus {
        self.status(Outcome::Failed { reason, message: "failed to write Service orders-gateway" })
    }

    pub(super) fn failed_with(&self, message: &str) -> StreamEndpointStatus {
        self.status(Outcome::Failed { reason: Reason::ApiServerError, message })
    }

    pub(super) fn paused(&self) -> StreamEndpointStatus {
        self.status(Outcome::Paused)
    }

    fn status(&self, outcome: Outcome<'_>) -> StreamEndpointStatus {
        compute(&Observation {
            object: &self.object,
            outcome,
            existing: &self.existing(),
            pods: &self.pods,
            certificate_missing: self.certificate_missing,
            cluster_domain: "cluster.local",
            now: self.now,
        })
    }

    fn endpoint(&self) -> Endpoint {
        let references = References::unrestricted(&self.object, BootstrapServers::new("kafka:9092").unwrap());
        // Whose children they are stays, whatever a test makes of the object.
        Endpoint { uid: "1".to_owned(), ..validate(&self.object, &references).unwrap() }
    }

    fn plan(&self, endpoint: &Endpoint) -> KeyPlan {
        let mut seed = 0;
        let mut entropy = || {
            seed += 1;
            Entropy { id: u64::from(seed), secret: [seed; 32] }
        };
        let inputs = KeyInputs { secrets: &[], brought: &[], tickets: None, rotate: None, url: None };
        let issued: Vec<_> = plan(endpoint, &inputs, self.now, &mut entropy)
            .changes
            .iter()
            .map(|change| change.secret().clone())
            .collect();
        let mut plan = plan(
            endpoint,
            &KeyInputs { secrets: &issued, ..inputs },
            "2026-11-21T12:00:00Z".parse().unwrap(),
            &mut entropy,
        );
        for key in &mut plan.states {
            key.last_rotated_at = None;
        }
        plan.problems.extend(self.key_problem.map(|reason| KeyProblem {
            key: plan.states[0].name.clone(),
            reason,
            message: "Secret orders-key-default is not as it should be.".to_owned(),
        }));
        plan
    }

    fn resources(&self, endpoint: &Endpoint, plan: &KeyPlan) -> Resources<Applied> {
        let mut made = build(endpoint, plan, &Settings::default());
        made.deployment.metadata.generation = Some(1);
        made.deployment.status = serde_json::from_value(self.deployment.clone()).unwrap();
        let template = made.deployment.spec.template.metadata.get_or_insert_default();
        let annotations = template.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION_CONFIG_HASH.to_owned(), CONFIG_HASH.to_owned());
        made.http_route = made.http_route.filter(|_| !self.http_route.is_null());
        if let Some(route) = &mut made.http_route {
            route.metadata.generation = Some(1);
            route.status = Some(serde_json::from_value(self.http_route.clone()).unwrap());
        }
        let addresses = if self.address == json!({}) { json!([]) } else { json!([self.address]) };
        let balancer = json!({ "loadBalancer": { "ingress": addresses } });
        if let Some(ingress) = &mut made.ingress {
            ingress.status = Some(serde_json::from_value(balancer.clone()).unwrap());
        }
        if let Some(service) = &mut made.public_service {
            service.status = Some(serde_json::from_value(balancer).unwrap());
        }
        answered(made)
    }

    fn existing(&self) -> Existing {
        if self.deployment.is_null() {
            return Existing::default();
        }
        let endpoint = self.endpoint();
        let made = self.resources(&endpoint, &self.plan(&endpoint));
        Existing {
            deployment: Some(made.deployment),
            service: Some(made.service),
            http_route: made.http_route,
            ingress: made.ingress,
            public_service: made.public_service,
            ..Existing::default()
        }
    }
}

/// As if the API server had taken everything.
fn answered(made: Resources<Prepared>) -> Resources<Applied> {
    Resources {
        service_account: made.service_account,
        config_map: made.config_map,
        verifier: made.verifier,
        kafka: made.kafka,
        service: made.service,
        deployment: made.deployment,
        disruption_budget: made.disruption_budget,
        network_policy: made.network_policy,
        http_route: made.http_route,
        ingress: made.ingress,
        public_service: made.public_service,
        reload_hash: made.reload_hash,
        state: PhantomData,
    }
}
