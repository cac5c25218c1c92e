//! `headgate keys revoke`: a key is no longer accepted, and its connections are closed.

use super::{elsewhere, not_in_time};
use crate::args::{Format, KeyRevokeArgs};
use crate::cluster::access::status_of;
use crate::cluster::keys::Revoked;
use crate::cluster::{Cluster, is_current};
use crate::output::{Output, notice};
use headgate_crds::StreamEndpoint;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

/// Takes the key away and waits until the operator has done its part.
pub(super) fn run(args: &KeyRevokeArgs) -> anyhow::Result<ExitCode> {
    let (revoked, id) = crate::command::block_on(async {
        let cluster = Cluster::connect(&args.endpoint.cluster).await?;
        revoke(&cluster, args).await
    })?;
    let mut output = Output::stdout();
    match args.endpoint.output {
        Format::Json => {
            let replaced = matches!(revoked, Revoked::Replaced { .. });
            let line = json!({ "endpoint": args.endpoint.name, "key": args.key, "replaced": replaced, "id": id });
            output.line(line.to_string().as_bytes())?;
        }
        Format::Text => output.line(text(args, &revoked, id.as_deref()).as_bytes())?,
    }
    output.flush()?;
    if revoked == Revoked::Removed {
        notice(format_args!(
            "if a manifest describes {}, remove the key from its spec.auth.apiKeys too",
            args.endpoint.name
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// What was done, and the id of the key that takes the place of an only one.
async fn revoke(cluster: &Cluster, args: &KeyRevokeArgs) -> anyhow::Result<(Revoked, Option<String>)> {
    let revoked = cluster.revoke_key(&args.endpoint.name, &args.key).await?;
    if args.timeout == 0 {
        return Ok((revoked, None));
    }
    let patience = Duration::from_secs(args.timeout.into());
    let done = cluster.until(&args.endpoint.name, patience, |endpoint| done(endpoint, &args.key, &revoked)).await?;
    let id = done.ok_or_else(|| not_in_time("withdrawn the key", &args.endpoint.name, args.timeout))?;
    Ok((revoked, id))
}

/// Once the operator has followed: the new id of an only key.
#[expect(clippy::option_option, reason = "not done yet; done without a new key; done with one")]
fn done(endpoint: &StreamEndpoint, key: &str, revoked: &Revoked) -> Option<Option<String>> {
    let id = status_of(endpoint, key).map(|status| status.id.clone());
    match revoked {
        Revoked::Removed => (is_current(endpoint) && id.is_none()).then_some(None),
        Revoked::Replaced { id: before } => id.flatten().filter(|id| Some(id) != before.as_ref()).map(Some),
    }
}

fn text(args: &KeyRevokeArgs, revoked: &Revoked, id: Option<&str>) -> String {
    let (endpoint, key, place) = (&args.endpoint.name, &args.key, elsewhere(&args.endpoint.cluster));
    let closed = "connections with it are closed within seconds";
    match revoked {
        Revoked::Removed => format!("key {key} of {endpoint} is revoked; {closed}"),
        Revoked::Replaced { .. } => {
            let id = id.map(|id| format!(" (id {id})")).unwrap_or_default();
            format!(
                "the old key {key} of {endpoint} is revoked; {closed}. It is the only key of the endpoint, so that a new \
                 one{id} takes its place: headgate keys show {endpoint} {key}{place}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake;
    use serde_json::Value;

    fn orders(observed: i64, keys: &Value) -> StreamEndpoint {
        let mut value = fake::endpoint("shop", "orders");
        value["metadata"]["generation"] = json!(2);
        value["status"] = json!({ "observedGeneration": observed, "keys": keys });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_removed_key_is_waited_for_until_the_operator_has_seen_the_change() {
        let key = json!([{ "name": "web", "id": "a", "state": "Active" }]);
        assert_eq!(done(&orders(1, &json!([])), "web", &Revoked::Removed), None);
        assert_eq!(done(&orders(2, &key), "web", &Revoked::Removed), None);
        assert_eq!(done(&orders(2, &json!([])), "web", &Revoked::Removed), Some(None));
    }

    #[test]
    fn an_only_key_is_waited_for_until_another_takes_its_place() {
        let with = |id: &str| orders(2, &json!([{ "name": "default", "id": id, "state": "Active" }]));
        let revoked = Revoked::Replaced { id: Some("a".to_owned()) };
        assert_eq!(done(&with("a"), "default", &revoked), None);
        assert_eq!(done(&orders(2, &json!([])), "default", &revoked), None);
        assert_eq!(done(&with("b"), "default", &revoked), Some(Some("b".to_owned())));
    }
}
