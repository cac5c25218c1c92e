//! Objects that this version of the operator does not understand, as after a downgrade.
//!
//! Owns what is said about them. Their children stay as they are, and so does the rest of their status; every other
//! object goes on as if they were not there.

use super::report::{event, publish};
use super::{Context, status};
use crate::api_server::RequestError;
use headgate_crds::reasons::{ConditionType, Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::Resource;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::events::EventType;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

/// Most characters of what could not be understood.
const MAX_CHARACTERS: usize = 256;

/// Says so in the object's status and by an event, once.
///
/// # Errors
///
/// What the API server answers.
pub(crate) async fn report<K>(invalid: &InvalidObject, context: &Context) -> Result<(), RequestError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug,
{
    let (client, metadata) = (context.client.clone(), &invalid.metadata);
    let name = metadata.name.as_deref().unwrap_or_default();
    let resource = ApiResource::erase::<K>(&());
    let raw: Api<DynamicObject> = match &metadata.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let what = || format!("{} {name}", K::kind(&()));
    let read = raw.get_opt(name).await.map_err(|error| RequestError::new("get", what(), &error))?;
    let Some(mut object) = read else { return Ok(()) };
    let old = object.data["status"].take();
    let new = judged(&old, invalid, context.now());
    if old == new {
        return Ok(());
    }
    tracing::warn!(object = what(), error = shortened(&invalid.error), "an object is not understood");
    status::write::<K, _>(&context.client, metadata, &new).await?;
    let note = format!("the operator does not understand the object: {}", shortened(&invalid.error));
    let guarded = DeserializeGuard::<K>(Err(invalid.clone()));
    publish(event(EventType::Warning, Reason::InvalidSpec.as_str(), &note), &guarded, context).await;
    Ok(())
}

/// The status that says so, the same as before if it said so before.
fn judged(old: &Value, invalid: &InvalidObject, now: Timestamp) -> Value {
    let before: Vec<Condition> = serde_json::from_value(old["conditions"].clone()).unwrap_or_default();
    let message = format!(
        "the operator does not understand the object: {}; correct it, or use the version of the operator that it is for",
        shortened(&invalid.error)
    );
    let condition = |type_: ConditionType, status: &str| {
        let same = before.iter().find(|old| old.type_ == type_.as_str() && old.status == status);
        Condition {
            type_: type_.as_str().to_owned(),
            status: status.to_owned(),
            reason: Reason::InvalidSpec.as_str().to_owned(),
            message: message.clone(),
            last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
            observed_generation: invalid.metadata.generation,
        }
    };
    let mut conditions = vec![condition(ConditionType::Ready, "False"), condition(ConditionType::Stalled, "True")];
    let said = [ConditionType::Ready, ConditionType::Stalled, ConditionType::Reconciling].map(ConditionType::as_str);
    conditions.extend(before.into_iter().filter(|old| !said.contains(&old.type_.as_str())));
    let mut new = if old.is_object() { old.clone() } else { json!({}) };
    new["observedGeneration"] = json!(invalid.metadata.generation);
    new["conditions"] = json!(conditions);
    new
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(MAX_CHARACTERS).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_crds::StreamEndpoint;

    fn invalid() -> InvalidObject {
        let object = json!({
            "apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint",
            "metadata": {"name": "orders", "generation": 3}, "spec": {"auth": {"mode": "Telepathy"}},
        });
        serde_json::from_value::<DeserializeGuard<StreamEndpoint>>(object).unwrap().0.unwrap_err()
    }

    #[test]
    fn a_status_that_says_so_already_stays_as_it_is() {
        let first = judged(&Value::Null, &invalid(), Timestamp::UNIX_EPOCH);
        assert_eq!(first["conditions"][0]["reason"], "InvalidSpec");
        assert_eq!(judged(&first, &invalid(), Timestamp::MAX), first);
    }

    #[test]
    fn the_rest_of_the_status_stays_because_the_stream_goes_on() {
        let available = Condition {
            type_: "Available".to_owned(),
            status: "True".to_owned(),
            reason: "ReplicasReady".to_owned(),
            message: String::new(),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        };
        let old = json!({"url": "wss://example.com/orders", "conditions": [available]});
        let new = judged(&old, &invalid(), Timestamp::UNIX_EPOCH);
        assert_eq!((&new["url"], &new["conditions"][2]), (&old["url"], &old["conditions"][0]));
    }
}
