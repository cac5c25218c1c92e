//! `headgate keys issue`: one more key, and how to read it. It never prints the key.

use super::{elsewhere, not_in_time};
use crate::args::{Format, KeyIssueArgs, KeyPermission};
use crate::cluster::access::status_of;
use crate::cluster::keys::NewKey;
use crate::cluster::{Cluster, is_current};
use crate::output::{Output, notice};
use anyhow::{Context as _, bail};
use headgate_crds::StreamEndpoint;
use headgate_crds::types::KeyName;
use headgate_crds::v1alpha1::{KeyState, KeyStatus};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Unit};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Adds the key and waits until the operator has issued it.
pub(super) fn run(args: &KeyIssueArgs) -> anyhow::Result<ExitCode> {
    let key = new_key(args, Timestamp::now())?;
    let issued = crate::command::block_on(async {
        let cluster = Cluster::connect(&args.endpoint.cluster).await?;
        let status = issue(&cluster, args, &key).await?;
        Ok((status, cluster.namespace().to_owned()))
    })?;
    let (status, namespace) = issued;
    let mut output = Output::stdout();
    match args.endpoint.output {
        Format::Json => output.line(report(args, &key, status.as_ref(), &namespace).to_string().as_bytes())?,
        Format::Text => {
            for line in text(args, &key, status.as_ref(), &namespace) {
                output.line(line.as_bytes())?;
            }
        }
    }
    output.flush()?;
    notice(format_args!(
        "if a manifest describes {}, add to its spec.auth.apiKeys: {}",
        args.endpoint.name,
        key.entry()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The key as the operator reports it; `None` if nobody waited.
async fn issue(cluster: &Cluster, args: &KeyIssueArgs, key: &NewKey) -> anyhow::Result<Option<KeyStatus>> {
    cluster.issue_key(&args.endpoint.name, key).await?;
    if args.timeout == 0 {
        return Ok(None);
    }
    let patience = Duration::from_secs(args.timeout.into());
    let settled = cluster.until(&args.endpoint.name, patience, |endpoint| settled(endpoint, &key.name)).await?;
    let status = settled.ok_or_else(|| not_in_time("issued the key", &args.endpoint.name, args.timeout))?;
    match status.state {
        KeyState::Active | KeyState::Rotating => Ok(Some(status)),
        KeyState::Conflict => bail!(
            "the key {} is listed, but its Secret belongs to somebody else: headgate why {}, or revoke it again",
            args.key,
            args.endpoint.name
        ),
        state => bail!("the key {} is {}: see headgate why {}", args.key, state.as_str(), args.endpoint.name),
    }
}

/// The state of the key, once the operator has one for the spec as it is now.
fn settled(endpoint: &StreamEndpoint, key: &str) -> Option<KeyStatus> {
    let status = status_of(endpoint, key).filter(|_| is_current(endpoint))?;
    (status.state != KeyState::Pending).then(|| status.clone())
}

fn new_key(args: &KeyIssueArgs, now: Timestamp) -> anyhow::Result<NewKey> {
    let name = KeyName::new(&args.key)?;
    let mut permissions = args.permissions.clone();
    permissions.sort_unstable();
    permissions.dedup();
    let digest = args.hash.as_deref().map(|hash| hash.trim().parse()).transpose()?;
    let expires_at = args.expires.as_deref().map(|text| expiry(text, now)).transpose()?;
    Ok(NewKey { name, permissions: permissions.into_iter().map(KeyPermission::as_str).collect(), expires_at, digest })
}

/// The time that `text` means, in whole seconds.
fn expiry(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let time = text.parse::<Timestamp>().ok();
    let time = time.or_else(|| text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp()));
    let later =
        || now.to_zoned(TimeZone::UTC).checked_add(text.parse::<Span>().ok()?).ok().map(|time| time.timestamp());
    let time = time.or_else(later).with_context(|| {
        format!("--expires {text}: write a time (2027-01-01T00:00:00Z), a date, or a duration such as 90d or 12h")
    })?;
    if time <= now {
        bail!("--expires {text}: this is over already");
    }
    Ok(time.round(Unit::Second)?)
}

fn text(args: &KeyIssueArgs, key: &NewKey, status: Option<&KeyStatus>, namespace: &str) -> Vec<String> {
    let (name, endpoint) = (&args.key, &args.endpoint.name);
    let ends = key.expires_at.map(|time| format!(", ends {time}")).unwrap_or_default();
    let allowed = key.permissions.join(", ");
    let Some(status) = status else {
        return vec![format!("key {name} of {endpoint} is asked for: {allowed}{ends}")];
    };
    if key.digest.is_some() {
        return vec![format!("key {name} of {endpoint} is accepted, by its digest: {allowed}{ends}")];
    }
    let id = status.id.as_deref().unwrap_or_default();
    let place = elsewhere(&args.endpoint.cluster);
    let mut lines = vec![format!("key {name} of {endpoint} is issued: {allowed}, id {id}{ends}")];
    lines.push(format!("read it:  headgate keys show {endpoint} {name}{place}"));
    if let Some(secret) = &status.secret_ref {
        let secret = &secret.name;
        lines.push(format!(
            "     or:  kubectl get secret {secret} -n {namespace} -o jsonpath='{{.data.api-key}}' | base64 -d"
        ));
    }
    lines
}

fn report(args: &KeyIssueArgs, key: &NewKey, status: Option<&KeyStatus>, namespace: &str) -> Value {
    json!({
        "endpoint": args.endpoint.name,
        "namespace": namespace,
        "key": args.key,
        "id": status.and_then(|status| status.id.as_deref()),
        "state": status.map_or(KeyState::Pending, |status| status.state).as_str(),
        "secret": status.and_then(|status| status.secret_ref.as_ref()).map(|secret| &secret.name),
        "permissions": key.permissions,
        "expires": key.expires_at.map(|time| time.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command, KeysCommand};
    use crate::cluster::fake::{self, ApiServer};

    const ENDPOINT: &str = "/apis/headgate.dev/v1alpha1/namespaces/shop/streamendpoints/orders";

    fn arguments(line: &str) -> KeyIssueArgs {
        match Cli::from_words(&line.split(' ').map(Into::into).collect::<Vec<_>>()).unwrap().command {
            Command::Keys(keys) => match keys.command {
                KeysCommand::Issue(args) => args,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn issued(generation: i64, state: &str) -> Value {
        let mut value = fake::endpoint("shop", "orders");
        value["metadata"]["generation"] = json!(2);
        let key = json!({ "name": "web", "id": "k7Qd2abc", "state": state, "secretRef": { "name": "orders-key-web" } });
        value["status"] = json!({ "observedGeneration": generation, "keys": [key] });
        value
    }

    fn now() -> Timestamp {
        "2026-11-21T12:00:00.5Z".parse().unwrap()
    }

    #[tokio::test]
    async fn it_waits_for_the_operator_and_says_how_to_read_the_key() {
        let server = ApiServer::new();
        // Twice for the change; then a status of the spec before, then none for the key, then the key.
        for version in [issued(1, "Active"), issued(1, "Active"), issued(1, "Active"), issued(2, "Pending")] {
            server.then("GET", ENDPOINT, version);
        }
        server.then("GET", ENDPOINT, issued(2, "Active"));
        server.then("PATCH", ENDPOINT, issued(1, "Active"));
        let args = arguments("headgate keys issue orders web -n shop --expires 90d");
        let key = new_key(&args, now()).unwrap();
        let status = issue(&server.cluster("shop"), &args, &key).await.unwrap();
        assert_eq!(
            text(&args, &key, status.as_ref(), "shop"),
            [
                "key web of orders is issued: Read, id k7Qd2abc, ends 2027-02-19T12:00:01Z",
                "read it:  headgate keys show orders web -n shop",
                "     or:  kubectl get secret orders-key-web -n shop -o jsonpath='{.data.api-key}' | base64 -d",
            ]
        );
    }

    #[tokio::test]
    async fn an_operator_that_does_not_answer_is_told_as_such() {
        let server = ApiServer::new();
        server.then("GET", ENDPOINT, issued(1, "Active"));
        server.then("PATCH", ENDPOINT, issued(1, "Active"));
        let args = arguments("headgate keys issue orders web --timeout 1");
        let error = issue(&server.cluster("shop"), &args, &new_key(&args, now()).unwrap()).await.unwrap_err();
        let expected =
            "the change is made, but the operator has not issued the key within 1 s: see headgate why orders";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn an_expiry_is_a_time_a_date_or_a_while() {
        let at = |text| expiry(text, now()).unwrap().to_string();
        assert_eq!(at("2027-01-01T02:00:00+02:00"), "2027-01-01T00:00:00Z");
        assert_eq!(at("2027-01-01"), "2027-01-01T00:00:00Z");
        assert_eq!(at("12h"), "2026-11-22T00:00:01Z");
        for wrong in ["tomorrow", "2026-01-01", "-1d", "90"] {
            assert!(expiry(wrong, now()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn permissions_and_digests_are_written_as_manifests_write_them() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let line = format!("headgate keys issue orders web --permission publish --permission Read --hash {digest}");
        let key = new_key(&arguments(&line), now()).unwrap();
        assert_eq!(key.entry(), json!({ "name": "web", "permissions": ["Read", "Publish"], "keyHash": digest }));
        assert!(new_key(&arguments("headgate keys issue orders Web"), now()).is_err());
        assert!(new_key(&arguments("headgate keys issue orders web --hash abc"), now()).is_err());
    }
}
