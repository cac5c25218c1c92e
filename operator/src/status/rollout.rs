//! What a Deployment says about its pods.
//!
//! Owns the reading of `Deployment.status`, by the same rules as `kubectl rollout status`. Must never judge whether that is
//! enough for clients.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};

/// How far the pods of a Deployment are what its template says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollout {
    /// There is no Deployment.
    Absent,
    /// Its controller has not looked at the newest template yet.
    Unobserved,
    /// A quota or limit range refuses its pods.
    OverQuota(String),
    /// An admission policy refuses its pods.
    Denied(String),
    /// New pods did not become ready within the deadline.
    Failed(String),
    /// Pods are being made, replaced or removed.
    InProgress {
        /// Pods of the newest template.
        updated: i32,
        /// Pods that it should have.
        desired: i32,
    },
    /// Every pod is of the newest template; some may not be ready at the moment.
    Settled,
}

impl Rollout {
    /// What this Deployment says.
    pub fn of(deployment: Option<&Deployment>) -> Self {
        let Some(deployment) = deployment else { return Self::Absent };
        let desired = desired(deployment);
        let Some(status) = &deployment.status else { return Self::Unobserved };
        if status.observed_generation < deployment.metadata.generation {
            return Self::Unobserved;
        }
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let updated = status.updated_replicas.unwrap_or_default();
        let ready = status.ready_replicas.unwrap_or_default();
        let progressing = find(conditions, "Progressing");
        if let Some(failure) = find(conditions, "ReplicaFailure").filter(|c| c.status.as_deref() == Some("True"))
            && (ready < desired || updated < desired)
        {
            return refused(failure.message.as_deref().unwrap_or_default());
        }
        if let Some(failed) = progressing.filter(|c| c.reason.as_deref() == Some("ProgressDeadlineExceeded")) {
            return Self::Failed(failed.message.clone().unwrap_or_default());
        }
        let is_complete = progressing.is_some_and(|c| c.reason.as_deref() == Some("NewReplicaSetAvailable"));
        let others = status.replicas.unwrap_or_default() - updated;
        if updated < desired || others > 0 || (ready < desired && !is_complete) {
            return Self::InProgress { updated, desired };
        }
        Self::Settled
    }
}

/// Pods that the Deployment should have; one where it does not say.
pub(super) fn desired(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

fn find<'c>(conditions: &'c [DeploymentCondition], type_: &str) -> Option<&'c DeploymentCondition> {
    conditions.iter().find(|condition| condition.type_.as_deref() == Some(type_))
}

/// Why pods could not be made, without the name of the one that was tried last, which is another every time.
fn refused(message: &str) -> Rollout {
    let reason = message.split_once("is forbidden: ").map_or(message, |(_, reason)| reason).to_owned();
    let is_quota = message.contains("exceeded quota")
        || message.contains("failed quota")
        // LimitRanges say `maximum memory usage per Container is …`.
        || message.contains(" usage per ")
        || message.contains("max limit to request ratio");
    if is_quota { Rollout::OverQuota(reason) } else { Rollout::Denied(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rollout(status: &Value) -> Rollout {
        let deployment = json!({
            "metadata": { "name": "orders-gateway", "generation": 2 },
            "spec": { "replicas": 3, "selector": {}, "template": {} },
            "status": status,
        });
        Rollout::of(Some(&serde_json::from_value(deployment).unwrap()))
    }

    fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({ "type": type_, "status": status, "reason": reason, "message": message })
    }

    #[test]
    fn a_rollout_is_read_as_kubectl_reads_it() {
        let complete = condition("Progressing", "True", "NewReplicaSetAvailable", "");
        let late = condition("Progressing", "False", "ProgressDeadlineExceeded", "has timed out");
        for (status, expected) in [
            (json!({}), Rollout::Unobserved),
            (json!({ "observedGeneration": 1, "replicas": 3, "updatedReplicas": 3 }), Rollout::Unobserved),
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "readyReplicas": 3 }),
                Rollout::InProgress { updated: 1, desired: 3 },
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 4, "updatedReplicas": 3, "readyReplicas": 4 }),
                Rollout::InProgress { updated: 3, desired: 3 },
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 2 }),
                Rollout::InProgress { updated: 3, desired: 3 },
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 2, "conditions": [complete] }),
                Rollout::Settled,
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3 }),
                Rollout::Settled,
            ),
            (
                json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "conditions": [late] }),
                Rollout::Failed("has timed out".to_owned()),
            ),
        ] {
            assert_eq!(rollout(&status), expected, "{status}");
        }
        assert_eq!(Rollout::of(None), Rollout::Absent);
    }

    #[test]
    fn pods_that_are_refused_are_told_apart_by_quota_and_policy_and_without_the_name_of_a_pod() {
        for (message, expected) in [
            (
                r#"pods "orders-gateway-5d-x7k2p" is forbidden: exceeded quota: small, requested: pods=1"#,
                Rollout::OverQuota("exceeded quota: small, requested: pods=1".to_owned()),
            ),
            (
                r#"pods "orders-gateway-5d-9xkq2" is forbidden: maximum memory usage per Container is 1Mi, but limit is 2Mi"#,
                Rollout::OverQuota("maximum memory usage per Container is 1Mi, but limit is 2Mi".to_owned()),
            ),
            (
                r#"pods "orders-gateway-5d-x7k2p" is forbidden: violates PodSecurity "restricted:latest": x"#,
                Rollout::Denied(r#"violates PodSecurity "restricted:latest": x"#.to_owned()),
            ),
            (
                r#"admission webhook "policy.example.com" denied the request: no"#,
                Rollout::Denied(r#"admission webhook "policy.example.com" denied the request: no"#.to_owned()),
            ),
        ] {
            let failure = condition("ReplicaFailure", "True", "FailedCreate", message);
            let late = condition("Progressing", "False", "ProgressDeadlineExceeded", "");
            let status = json!({ "observedGeneration": 2, "readyReplicas": 1, "conditions": [failure, late] });
            assert_eq!(rollout(&status), expected, "it says more than a deadline does");
            let over = json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "conditions": [failure] });
            assert_eq!(rollout(&over), Rollout::Settled);
        }
    }
}
