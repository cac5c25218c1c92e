//! A team that may edit its own namespace, and what it tries beyond that: `docs/operations.md` says who can read what.
//!
//! Each namespace has a Kafka user of its own, as that page recommends where teams are not to trust each other.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use headgate_tests::client::Client;
use headgate_tests::kafka::{Listener, Operation, STRANGER, SUPER_USER, User};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::stage::{SYSTEM, Stage};

/// Two namespaces, and a user of the cluster who is called like the first one and may edit it.
struct Teams<'a> {
    stage: &'a Stage,
    ours: &'a str,
    theirs: &'a str,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_reads_its_own_topic_and_gets_at_nothing_of_another_team() -> Result<()> {
    let stage = Stage::shared().await?;
    let work = async |stage: &Stage, ours: &str| {
        let inner = async |stage: &Stage, theirs: &str| {
            let teams = Teams { stage, ours, theirs };
            let outcome = Box::pin(teams.try_everything()).await;
            for secret in [ours, theirs].map(|namespace| format!("secret/{namespace}-kafka")) {
                stage.cluster.kubectl(&["delete", &secret, "--namespace", SYSTEM]).await?;
            }
            stage.cluster.kubectl(&["delete", "kafkaconnection", ours]).await?;
            outcome
        };
        Box::pin(stage.with_namespace("theirs", inner)).await
    };
    Box::pin(stage.with_namespace("ours", work)).await
}

impl Teams<'_> {
    async fn try_everything(&self) -> Result<()> {
        self.offer().await?;
        let access = json!({ "exposure": "Ingress", "hostname": "shared.streams.test" });
        let orders = self.endpoint("orders", "orders", json!({ "topic": topic(self.theirs), "publicAccess": access }));
        self.stage.cluster.kubectl_with(&["apply", "--namespace", self.theirs, "--filename=-"], &orders).await?;
        self.apply(&self.endpoint("orders", "own", json!({ "topic": topic(self.ours) }))).await?;
        self.kubernetes_refuses().await?;
        self.the_operator_refuses().await?;
        self.stage.ready(self.ours).await?;
        self.gateways_are_apart().await?;
        self.credentials_are_apart().await
    }

    /// What the platform team does.
    async fn offer(&self) -> Result<()> {
        let Self { stage, ours, theirs } = self;
        for namespace in [ours, theirs] {
            stage.kafka.create_topic(&topic(namespace), 1, &[]).await?;
        }
        for operation in [Operation::ReadTopic, Operation::DescribeTopic] {
            stage.kafka.allow(STRANGER, operation, &topic(ours)).await?;
        }
        let user = |namespace: &str, User { name, password }: User| {
            json!({ "apiVersion": "v1", "kind": "Secret",
                    "metadata": { "name": format!("{namespace}-kafka"), "namespace": SYSTEM },
                    "stringData": { "username": name, "password": password } })
        };
        let both = json!({ "key": "kubernetes.io/metadata.name", "operator": "In", "values": [ours, theirs] });
        let connection = json!({
            "apiVersion": "headgate.dev/v1alpha1", "kind": "KafkaConnection", "metadata": { "name": ours },
            "spec": {
                "bootstrapServers": stage.kafka.address(Listener::SaslPlaintext),
                "sasl": { "mechanism": "ScramSha512",
                          "credentialsSecretRef": { "namespace": SYSTEM, "name": format!("{theirs}-kafka") } },
                "allowed": [{
                    "namespaces": { "selector": { "matchExpressions": [both] } }, "topics": ["{namespace}.*"],
                    "credentialsSecretRef": { "namespace": SYSTEM, "name": "{namespace}-kafka" },
                    "guardrails": { "exposures": ["ClusterLocal", "Ingress"],
                                    "hostnames": ["{namespace}.streams.test", "shared.streams.test"] },
                }],
            },
        });
        for object in [user(ours, STRANGER), user(theirs, SUPER_USER), connection] {
            stage.cluster.apply(&object.to_string()).await?;
        }
        let (namespace, user) = (format!("--namespace={ours}"), format!("--user={ours}"));
        let bind = ["create", "rolebinding", "team", "--clusterrole=edit", &user, &namespace];
        stage.cluster.kubectl(&bind).await.map(drop)
    }

    /// An endpoint on the connection of the platform team, with these fields of a spec.
    fn endpoint(&self, name: &str, app: &str, more: Value) -> String {
        let mut spec = json!({ "app": app, "auth": { "mode": "ApiKey" }, "drainSeconds": 2,
                               "kafka": { "connectionRef": { "name": self.ours } } });
        if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
            spec.extend(more);
        }
        json!({ "apiVersion": "headgate.dev/v1alpha1", "kind": "StreamEndpoint",
                "metadata": { "name": name }, "spec": spec })
        .to_string()
    }

    /// Runs kubectl as the team.
    async fn as_the_team(&self, arguments: &[&str], input: &str) -> Result<String> {
        let user = format!("--as={}", self.ours);
        self.stage.cluster.kubectl_with(&[arguments, &[&user]].concat(), input).await
    }

    async fn apply(&self, manifest: &str) -> Result<()> {
        let apply = ["apply", "--validate=strict", "--namespace", self.ours, "--filename=-"];
        self.as_the_team(&apply, manifest).await.map(drop)
    }

    async fn kubernetes_refuses(&self) -> Result<()> {
        let Self { ours, theirs, .. } = *self;
        let stranger = self.endpoint("stolen", "stolen", json!({ "topic": topic(theirs) }));
        let connection = json!({ "apiVersion": "headgate.dev/v1alpha1", "kind": "KafkaConnection",
            "metadata": { "name": "stolen" }, "spec": { "bootstrapServers": "kafka:9092",
            "allowed": [{ "namespaces": { "selector": {} }, "topics": ["*"] }] } })
        .to_string();
        let status = r#"{"status":{"url":"ws://stolen/"}}"#;
        for (attempt, input) in [
            (&["get", "secret/orders-key-default", "--namespace", theirs][..], ""),
            (&["get", "secret/orders-kafka", "--namespace", theirs], ""),
            (&["get", "secrets", "--namespace", SYSTEM], ""),
            (&["get", "streamendpoints", "--namespace", theirs], ""),
            (&["get", "kafkaconnections"], ""),
            (&["create", "--namespace", theirs, "--filename=-"], stranger.as_str()),
            (&["create", "--filename=-"], connection.as_str()),
            (&["delete", "kafkaconnection", ours], ""),
            (&["patch", "sep/orders", "--subresource=status", "--type=merge", "-p", status, "--namespace", ours], ""),
            (&["create", "rolebinding", "more", "--clusterrole=admin", "--user=x", "--namespace", ours], ""),
        ] {
            let outcome = self.as_the_team(attempt, input).await;
            let refused = outcome.as_ref().is_err_and(|error| format!("{error:#}").contains("forbidden"));
            ensure!(refused, "{attempt:?}: {outcome:?}");
        }
        // No field can name a Secret of another namespace.
        let elsewhere = json!({ "name": "orders-kafka", "namespace": theirs });
        let kafka = json!({ "bootstrapServers": "kafka:9092",
                            "sasl": { "mechanism": "Plain", "credentialsSecretRef": elsewhere } });
        let outcome =
            self.apply(&self.endpoint("elsewhere", "elsewhere", json!({ "topic": "x", "kafka": kafka }))).await;
        let refused = outcome.as_ref().is_err_and(|error| format!("{error:#}").contains("unknown field"));
        ensure!(refused, "{outcome:?}");
        Ok(())
    }

    async fn the_operator_refuses(&self) -> Result<()> {
        let Self { stage, ours, theirs } = *self;
        let exposed = |hostname: String| json!({ "exposure": "Ingress", "hostname": hostname });
        let own_cluster = json!({
            "bootstrapServers": stage.kafka.address(Listener::SaslPlaintext),
            "sasl": { "mechanism": "ScramSha512", "credentialsSecretRef": { "name": format!("{theirs}-kafka") } },
        });
        for (name, app, more, reason) in [
            ("topic", "topic", json!({ "topic": topic(theirs) }), "TopicNotAllowed"),
            (
                "hostname",
                "hostname",
                json!({ "topic": topic(ours), "publicAccess": exposed(format!("{theirs}.streams.test")) }),
                "GuardrailExceeded",
            ),
            (
                "taken",
                "orders",
                json!({ "topic": topic(ours), "publicAccess": exposed("shared.streams.test".to_owned()) }),
                "HostnameConflict",
            ),
            ("secret", "secret", json!({ "topic": topic(theirs), "kafka": own_cluster }), "SecretNotFound"),
        ] {
            self.apply(&self.endpoint(name, app, more)).await?;
            let message = stage.condition_of((ours, name), "Ready", "False", reason).await?;
            ensure!(!message.contains("admin"), "{message}");
            let selector = format!("headgate.dev/endpoint={name}");
            ensure!(stage.pods(ours, &selector).await?.is_empty(), "there are pods for {name}");
        }
        let ingresses = self.as_the_team(&["get", "ingresses", "--namespace", ours, "--output=name"], "").await?;
        ensure!(ingresses.is_empty(), "there are {ingresses}");
        Ok(())
    }

    /// Neither team's key opens the other's stream.
    async fn gateways_are_apart(&self) -> Result<()> {
        let Self { stage, ours, theirs } = *self;
        stage.condition(theirs, "KafkaReady", "True", "KafkaReachable").await?;
        let (key, url) = (stage.key(ours, "default").await?, stage.url(ours).await?.replace("/orders", "/own"));
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        Client::connect_with(&url, &headers).await.context("the team's own stream")?;
        let stolen = Client::try_connect(&stage.url(theirs).await?, &headers).await?;
        ensure!(stolen.as_ref().is_err_and(|(status, _)| *status == 401), "{stolen:?}");
        Ok(())
    }

    /// Of all Secrets that the team can read, none has a password but that of its own Kafka user.
    async fn credentials_are_apart(&self) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(self.stage.client().await?, self.ours);
        let secrets = secrets.list(&ListParams::default()).await?.items;
        let values = secrets.into_iter().flat_map(|secret| secret.data.unwrap_or_else(BTreeMap::new).into_values());
        let values: Vec<_> = values.map(|value| String::from_utf8_lossy(&value.0).into_owned()).collect();
        ensure!(values.iter().any(|value| value.contains(STRANGER.password)), "not even its own");
        ensure!(!values.iter().any(|value| value.contains(SUPER_USER.password)), "another user's password");
        Ok(())
    }
}

fn topic(namespace: &str) -> String {
    format!("{namespace}.orders")
}
