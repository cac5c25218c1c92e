//! The status of a `KafkaConnection`, computed from what is wrong with it.
//!
//! Pure. Unlike the status of an endpoint it is for the platform team, and may name Secrets of other namespaces.

use crate::credentials::{Flaw, Secrets, kafka_files};
use crate::model::{KafkaSasl, SecretLocation};
use crate::validate::Problem;
use headgate_crds::KafkaConnection;
use headgate_crds::reasons::{ConditionType, Reason};
use headgate_crds::v1alpha1::KafkaConnectionStatus;
use headgate_wire::config::SaslMechanism;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Problems that a message lists.
const MAX_LISTED: usize = 10;

/// What is wrong with the Secrets that the connection gives to single namespaces. Those of the others are not touched.
pub(super) fn unusable<'a>(granted: impl Iterator<Item = &'a SecretLocation>, secrets: &Secrets) -> Vec<Problem> {
    let flaws = |credentials: &SecretLocation| {
        // What has to be in the Secret is the same for every mechanism.
        let sasl = KafkaSasl { mechanism: SaslMechanism::ScramSha512, credentials: credentials.clone() };
        kafka_files(None, Some(&sasl), secrets).err().unwrap_or_default()
    };
    let problem = |(_, secret, flaw): (_, SecretLocation, Flaw)| Problem {
        field: "spec.allowed".to_owned(),
        message: format!("the Secret {}/{} {flaw}", secret.namespace, secret.name),
        reason: if flaw == Flaw::Missing { Reason::SecretNotFound } else { Reason::SecretInvalid },
    };
    granted.flat_map(flaws).map(problem).collect()
}

/// The status that the connection should have: `Ready` says whether anybody can use it, `CredentialsReady` whether
/// everybody has what it takes.
pub(super) fn compute(
    connection: &KafkaConnection,
    problems: &[Problem],
    granted: &[Problem],
    users: usize,
    now: Timestamp,
) -> KafkaConnectionStatus {
    let judged = |type_, accepted: &str, problems: &[&Problem]| {
        let mut condition = condition(type_, accepted, problems);
        condition.observed_generation = connection.metadata.generation;
        let mut before = connection.status.iter().flat_map(|status| &status.conditions);
        let same = before.find(|old| old.type_ == condition.type_ && old.status == condition.status);
        condition.last_transition_time = same.map_or(Time(now), |old| old.last_transition_time.clone());
        condition
    };
    let about_secrets = |problem: &&Problem| matches!(problem.reason, Reason::SecretNotFound | Reason::SecretInvalid);
    let credentials: Vec<_> = problems.iter().filter(about_secrets).chain(granted).collect();
    let ready = judged(ConditionType::Ready, "endpoints can use the connection", &problems.iter().collect::<Vec<_>>());
    let credentials = judged(ConditionType::CredentialsReady, "every Secret in use can be used", &credentials);
    KafkaConnectionStatus {
        observed_generation: connection.metadata.generation,
        endpoints: Some(i32::try_from(users).unwrap_or(i32::MAX)),
        conditions: vec![ready, credentials],
    }
}

fn condition(type_: ConditionType, accepted: &str, problems: &[&Problem]) -> Condition {
    let mut listed: Vec<String> = problems.iter().take(MAX_LISTED).map(ToString::to_string).collect();
    if problems.len() > MAX_LISTED {
        listed.push(format!("and {} more", problems.len() - MAX_LISTED));
    }
    let reason = problems.first().map_or(Reason::ConnectionAccepted, |problem| problem.reason);
    Condition {
        type_: type_.as_str().to_owned(),
        status: if problems.is_empty() { "True" } else { "False" }.to_owned(),
        reason: reason.as_str().to_owned(),
        message: if problems.is_empty() { accepted.to_owned() } else { listed.join("; ") },
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        observed_generation: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_crds::types::{NamespaceName, SecretName, Text as _};
    use std::collections::BTreeMap;

    fn connection() -> KafkaConnection {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "headgate.dev/v1alpha1", "kind": "KafkaConnection",
            "metadata": {"name": "platform", "generation": 2},
            "spec": {"bootstrapServers": "kafka:9092"},
        }))
        .unwrap()
    }

    fn problem(reason: Reason) -> Problem {
        Problem { field: "spec.sasl".to_owned(), message: "the Secret kafka/user is bad".to_owned(), reason }
    }

    fn words(status: &KafkaConnectionStatus) -> Vec<(&str, &str, &str)> {
        status.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str(), c.reason.as_str())).collect()
    }

    #[test]
    fn a_connection_without_problems_is_accepted() {
        let status = compute(&connection(), &[], &[], 7, Timestamp::UNIX_EPOCH);
        assert_eq!((status.endpoints, status.observed_generation), (Some(7), Some(2)));
        let expected = [("Ready", "True", "ConnectionAccepted"), ("CredentialsReady", "True", "ConnectionAccepted")];
        assert_eq!(words(&status), expected);
    }

    #[test]
    fn what_one_namespace_lacks_does_not_stop_the_others() {
        let status = compute(&connection(), &[], &[problem(Reason::SecretNotFound)], 1, Timestamp::UNIX_EPOCH);
        let expected = [("Ready", "True", "ConnectionAccepted"), ("CredentialsReady", "False", "SecretNotFound")];
        assert_eq!(words(&status), expected);
        let status = compute(&connection(), &[problem(Reason::SecretInvalid)], &[], 1, Timestamp::UNIX_EPOCH);
        let expected = [("Ready", "False", "SecretInvalid"), ("CredentialsReady", "False", "SecretInvalid")];
        assert_eq!(words(&status), expected);
    }

    #[test]
    fn a_status_changes_only_with_a_cause() {
        let mut connection = connection();
        connection.status = Some(compute(&connection, &[], &[], 7, Timestamp::UNIX_EPOCH));
        assert_eq!(Some(compute(&connection, &[], &[], 7, Timestamp::MAX)), connection.status);
        let broken = compute(&connection, &[problem(Reason::InvalidSpec)], &[], 7, Timestamp::MAX);
        assert_eq!(broken.conditions[0].last_transition_time, Time(Timestamp::MAX));
        assert_eq!(broken.conditions[1].last_transition_time, Time(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn the_platform_team_is_told_which_secret_is_missing() {
        let location = SecretLocation {
            namespace: NamespaceName::unchecked("kafka".to_owned()),
            name: SecretName::unchecked("user-shop".to_owned()),
        };
        let problems = unusable([&location].into_iter(), &BTreeMap::from([(location.clone(), None)]));
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].reason, Reason::SecretNotFound);
        assert!(problems[0].message.contains("kafka/user-shop"), "{}", problems[0].message);
    }
}
