//! The Deployment of the gateway pods.
//!
//! Owns how pods start, stop and are replaced. They pass the pod security standard `restricted`. Must never name a user:
//! the image does, by its number, and some clusters assign one.

use super::service::STREAM_PORT_NAME;
use super::{metadata, resource_needs, volumes};
use crate::model::Endpoint;
use crate::settings::Settings;
use headgate_crds::names::{self, ANNOTATION_CONFIG_HASH};
use headgate_wire::endpoints::{CONFIG_FILE, CONFIG_MOUNT};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, HTTPGetAction, Lifecycle, LifecycleHandler, LocalObjectReference,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, SeccompProfile, SecurityContext, SleepAction,
    TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeSet;

/// Name of the only container.
const CONTAINER: &str = "gateway";
/// Name of the port for probes, metrics and the operator.
const ADMIN_PORT_NAME: &str = "admin";
/// What a pod may take to exit once its clients are gone, before it is killed.
const EXIT_SECONDS: u32 = 10;
/// How long a new pod has to be ready before an old one may go.
const MIN_READY_SECONDS: i32 = 2;
/// Older ReplicaSets that are kept to go back to.
const REVISION_HISTORY: i32 = 3;
/// Time without progress after which a rollout counts as failed.
const PROGRESS_DEADLINE_SECONDS: i32 = 120;
/// How long the kubelet waits for the answer to a probe.
const PROBE_TIMEOUT_SECONDS: i32 = 2;
/// Seconds between probes, and failures in a row that count: a pod has a minute to start.
const STARTUP: (i32, i32) = (1, 60);
/// The same: a pod that does not answer for half a minute is restarted.
const LIVENESS: (i32, i32) = (10, 3);
/// The same: a pod that cannot serve gets no new clients after 4 seconds.
const READINESS: (i32, i32) = (2, 2);
/// Spread pods over these, as far as possible.
const TOPOLOGIES: [&str; 2] = ["kubernetes.io/hostname", "topology.kubernetes.io/zone"];

/// The Deployment. A pod with another `config_hash` is another pod.
pub(super) fn deployment(endpoint: &Endpoint, settings: &Settings, config_hash: String) -> Deployment {
    let one_more =
        RollingUpdateDeployment { max_surge: Some(IntOrString::Int(1)), max_unavailable: Some(IntOrString::Int(0)) };
    Deployment {
        metadata: metadata::gateway(endpoint),
        spec: DeploymentSpec {
            replicas: Some(endpoint.replicas as i32),
            selector: metadata::selector(endpoint),
            min_ready_seconds: Some(MIN_READY_SECONDS),
            progress_deadline_seconds: Some(PROGRESS_DEADLINE_SECONDS),
            revision_history_limit: Some(REVISION_HISTORY),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(one_more),
            }),
            template: PodTemplateSpec {
                metadata: Some(pod_metadata(endpoint, config_hash)),
                spec: Some(pod(endpoint, settings)),
            },
            ..DeploymentSpec::default()
        },
        status: None,
    }
}

/// What the endpoint adds never replaces what is ours.
fn pod_metadata(endpoint: &Endpoint, config_hash: String) -> ObjectMeta {
    let mut labels = endpoint.pod.labels.clone();
    labels.extend(names::labels(&endpoint.name, &endpoint.app));
    let mut annotations = endpoint.pod.annotations.clone();
    annotations.insert(ANNOTATION_CONFIG_HASH.to_owned(), config_hash);
    ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }
}

fn pod(endpoint: &Endpoint, settings: &Settings) -> PodSpec {
    let (volumes, mounts) = volumes::volumes(endpoint, settings);
    let pod = &endpoint.pod;
    let pre_stop = settings.pods.pre_stop_seconds;
    let grace = i64::from(pre_stop) + i64::from(endpoint.drain_seconds) + i64::from(EXIT_SECONDS);
    PodSpec {
        service_account_name: Some(names::gateway(&endpoint.name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(grace),
        containers: vec![Container { volume_mounts: Some(mounts), ..container(endpoint, settings) }],
        volumes: Some(volumes),
        image_pull_secrets: pull_secrets(settings),
        node_selector: (!pod.node_selector.is_empty()).then(|| pod.node_selector.clone()),
        tolerations: (!pod.tolerations.is_empty()).then(|| pod.tolerations.clone()),
        affinity: pod.affinity.clone(),
        topology_spread_constraints: pod.affinity.is_none().then(|| spread(endpoint)),
        priority_class_name: pod.priority_class_name.as_ref().map(ToString::to_string),
        ..PodSpec::default()
    }
}

fn container(endpoint: &Endpoint, settings: &Settings) -> Container {
    let pods = &settings.pods;
    let sleep = |seconds| Lifecycle {
        pre_stop: Some(LifecycleHandler { sleep: Some(SleepAction { seconds }), ..LifecycleHandler::default() }),
        ..Lifecycle::default()
    };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(pods.image.clone()),
        image_pull_policy: Some(pods.image_pull_policy.clone()),
        args: Some(vec!["--config".to_owned(), format!("{CONFIG_MOUNT}/{CONFIG_FILE}")]),
        ports: Some(vec![port(STREAM_PORT_NAME, settings.stream.port()), port(ADMIN_PORT_NAME, settings.admin.port())]),
        resources: Some(resource_needs::resource_needs(endpoint)),
        startup_probe: Some(probe("/livez", STARTUP)),
        liveness_probe: Some(probe("/livez", LIVENESS)),
        readiness_probe: Some(probe("/readyz", READINESS)),
        lifecycle: (pods.pre_stop_seconds > 0).then(|| sleep(pods.pre_stop_seconds.into())),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, (period, failures): (i32, i32)) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN_PORT_NAME.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(PROBE_TIMEOUT_SECONDS),
        ..Probe::default()
    }
}

fn pull_secrets(settings: &Settings) -> Option<Vec<LocalObjectReference>> {
    let names: BTreeSet<&String> = settings.pods.image_pull_secrets.iter().filter(|name| !name.is_empty()).collect();
    let references = names.into_iter().map(|name| LocalObjectReference { name: name.clone() });
    let references: Vec<_> = references.collect();
    (!references.is_empty()).then_some(references)
}

/// Each rollout's pods are spread by themselves, or the old ones would push the new ones together.
fn spread(endpoint: &Endpoint) -> Vec<TopologySpreadConstraint> {
    let constraint = |topology: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: topology.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(metadata::selector(endpoint)),
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    };
    TOPOLOGIES.map(constraint).into()
}
