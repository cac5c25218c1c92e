//! Why a pod is not ready, in one word and one sentence. Pure.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod, PodCondition};
use kube::ResourceExt as _;
use serde::Serialize;

/// One gateway pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PodReport {
    /// Its name.
    pub(crate) name: String,
    /// Whether it accepts clients.
    pub(crate) ready: bool,
    /// `Ready`, or in one word why not.
    pub(crate) state: String,
    /// Containers restarted so many times.
    pub(crate) restarts: i32,
    /// What Kubernetes says about it.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
}

/// What is the matter with a pod.
pub(super) fn report(pod: &Pod, namespace: &str) -> PodReport {
    let name = pod.name_any();
    let (state, message) = state(pod);
    let remedy = remedy(&state, &name, namespace);
    let restarts = containers(pod).map(|container| container.restart_count).sum();
    PodReport { ready: state == "Ready", name, state, restarts, message, remedy }
}

fn state(pod: &Pod) -> (String, String) {
    if pod.metadata.deletion_timestamp.is_some() {
        return word("Terminating", "");
    }
    if condition(pod, "Ready").is_some_and(|ready| ready.status == "True") {
        return word("Ready", "");
    }
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|scheduled| scheduled.status == "False") {
        return word(scheduled.reason.as_deref().unwrap_or("Unschedulable"), text(scheduled.message.as_ref()));
    }
    if let Some(found) = containers(pod).find_map(trouble) {
        return found;
    }
    let status = pod.status.as_ref();
    if let Some(reason) = status.and_then(|status| status.reason.as_deref()) {
        return word(reason, text(status.and_then(|status| status.message.as_ref())));
    }
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
    if phase == "Running" { word("NotReady", "it runs and does not accept clients yet") } else { word(phase, "") }
}

/// Why a container does not run.
fn trouble(container: &ContainerStatus) -> Option<(String, String)> {
    let last = container.last_state.as_ref().and_then(ended);
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("Waiting");
        let message = text(waiting.message.as_ref());
        // "Back-off restarting" says nothing about the cause; how it ended before does.
        return Some(match last {
            Some(last) if reason == "CrashLoopBackOff" => word(reason, &format!("the last time it {last}")),
            _ => word(reason, message),
        });
    }
    let ended = ended(state)?;
    let reason = state.terminated.as_ref().and_then(|terminated| terminated.reason.as_deref()).unwrap_or("Error");
    Some(word(reason, &format!("it {ended}")))
}

fn ended(state: &ContainerState) -> Option<String> {
    let terminated = state.terminated.as_ref()?;
    let reason = terminated.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let message = terminated.message.as_deref().map(|message| format!(": {}", message.trim())).unwrap_or_default();
    Some(format!("ended with code {}{reason}{message}", terminated.exit_code))
}

fn remedy(state: &str, pod: &str, namespace: &str) -> Option<String> {
    Some(match state {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
            "Ask the platform team to check the gateway image and its pull secrets in the Headgate installation."
                .to_owned()
        }
        "CrashLoopBackOff" | "Error" | "RunContainerError" => {
            format!("Read its last words: kubectl logs {pod} -n {namespace} --previous")
        }
        "OOMKilled" => "Raise spec.pod.resources.limits.memory, or lower limits.maxConnections or \
                        stream.replay.ringBytes."
            .to_owned(),
        "CreateContainerConfigError" | "ContainerCreating" => {
            "Look at the pod's events below: a Secret that it mounts may be missing, or an image is being pulled."
                .to_owned()
        }
        "Unschedulable" => {
            "Ask for more nodes, or correct nodeSelector, tolerations, affinity and resources in spec.pod.".to_owned()
        }
        "NotReady" => format!("Read its log: kubectl logs {pod} -n {namespace}"),
        _ => return None,
    })
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    init.iter().chain(status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default())
}

fn condition<'p>(pod: &'p Pod, kind: &str) -> Option<&'p PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_deref().unwrap_or_default();
    conditions.iter().find(|condition| condition.type_ == kind)
}

fn text(text: Option<&String>) -> &str {
    text.map(String::as_str).unwrap_or_default()
}

fn word(state: &str, message: &str) -> (String, String) {
    (state.to_owned(), message.to_owned())
}
