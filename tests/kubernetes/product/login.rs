//! `headgate login NAME`: somebody who knows the name of an endpoint and nothing of its provider.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use headgate_tests::certificates::Authority;
use headgate_tests::oidc::browser::Browser;
use headgate_tests::oidc::keys::claims;
use headgate_tests::oidc::provider::{Options, RealProvider};
use headgate_tests::process::Process;
use headgate_tests::wait::eventually_ok;
use serde_json::json;

use super::stage::{PATIENCE, Stage};

/// Audience of the endpoint.
const AUDIENCE: &str = "urn:headgate:orders";

/// One person: a home for logins, and the namespace in which the endpoint is.
struct Person<'p> {
    stage: &'p Stage,
    namespace: &'p str,
    home: &'p Path,
}

impl Person<'_> {
    /// Starts the command line with these arguments.
    fn start(&self, arguments: &[&str]) -> Result<Process> {
        let mut headgate = Process::command("headgate")?;
        headgate.env("KUBECONFIG", self.stage.cluster.kubeconfig()).env("HOME", self.home);
        headgate.env_remove("XDG_CONFIG_HOME").args(arguments).args(["--namespace", self.namespace]);
        Process::start("headgate", headgate)
    }

    /// Runs it to its end, which must be a good one, and gives what it printed.
    async fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut headgate = self.start(arguments)?;
        let status = headgate.exit(PATIENCE).await?;
        ensure!(status.success(), "{arguments:?}: {status} {:?}", headgate.stderr());
        Ok(headgate.stdout().join("\n"))
    }

    /// Waits until `headgate why` names this reason and has these words.
    async fn is_told(&self, reason: &str, words: &str) -> Result<()> {
        let told = async || {
            let mut why = self.start(&["why", "orders"])?;
            why.exit(PATIENCE).await?;
            let said = why.stdout().join("\n");
            ensure!(said.contains(reason) && said.contains(words), "{said}");
            Ok(())
        };
        eventually_ok("a reason", PATIENCE, told).await
    }

    /// Logs in to the endpoint as this user of its provider, with a code on another device.
    async fn log_in(&self, user: &str, authority: (&str, &str)) -> Result<()> {
        let (authority, file) = authority;
        let mut login = self.start(&["login", "orders", "--device", "--ca-cert", file])?;
        let url = eventually_ok("the address to open", PATIENCE, async || {
            let said = login.stderr();
            let url = said.iter().find_map(|line| line.strip_prefix("Open ")).map(str::to_owned);
            url.with_context(|| format!("{said:?}"))
        })
        .await?;
        let mut browser = Browser::trusting(authority)?;
        let mut page = browser.visit(&url).await?;
        while page.body.contains("<form") {
            page = browser.submit(&page, &[("user", user)]).await?;
        }
        let status = login.exit(PATIENCE).await?;
        ensure!(status.success(), "{page:?} {:?}", login.stderr());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_knows_the_name_of_an_endpoint_logs_in_at_its_provider_and_streams_once_gateways_trust_it() -> Result<()>
{
    let stage = Stage::shared().await?;
    let topic = stage.topic(1).await?;
    let host = stage.cluster.host().await?;
    let authority = Authority::new("tests")?;
    let certificate = Some(authority.server(&[&host.to_string()])?);
    let provider = RealProvider::start(&Options { host, certificate, ..Options::default() }).await?;
    let home = tempfile::tempdir()?;
    let file = home.path().join("authority.pem");
    std::fs::write(&file, authority.certificate())?;
    let file = file.to_string_lossy();
    let work = async |stage: &Stage, namespace: &str| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "provider-ca", "namespace": namespace },
            "stringData": { "ca.crt": authority.certificate() },
        });
        stage.cluster.apply(&secret.to_string()).await?;
        let mut oidc = json!({
            "issuerURL": provider.issuer(), "audiences": [AUDIENCE],
            "required": [{ "claim": "realm_access.roles", "values": ["viewer"] }],
        });
        stage.apply(namespace, &topic, json!({ "auth": { "mode": "OIDC", "oidc": oidc } })).await?;
        let person = Person { stage, namespace, home: home.path() };
        person.is_told("ProviderUnavailable", provider.issuer()).await?;
        oidc["caSecretRef"] = json!({ "name": "provider-ca" });
        stage.apply(namespace, &topic, json!({ "auth": { "mode": "OIDC", "oidc": oidc } })).await?;
        stage.ready(namespace).await?;
        stage.produce(&topic, 0..1, 1).await?;
        let stream = ["stream", "orders", "--from=earliest", "--count=1", "-o", "raw"];

        person.log_in("alice", (&authority.certificate(), &file)).await?;
        ensure!(person.run(&stream).await? == r#"{"number":0}"#);
        let claims = claims(person.run(&["token", "orders"]).await?.trim())?;
        ensure!(claims["sub"] == "alice" && claims["aud"] == AUDIENCE, "{claims}");

        person.run(&["logout", "orders", "--ca-cert", &file]).await?;
        let mut refused = person.start(&stream)?;
        let status = refused.exit(PATIENCE).await?;
        let said = refused.stderr().join("\n");
        ensure!(!status.success() && said.contains("run headgate login"), "{status} {said}");

        // The provider vouches for bob too; the endpoint does not want him.
        person.log_in("bob", (&authority.certificate(), &file)).await?;
        let mut refused = person.start(&stream)?;
        let status = refused.exit(PATIENCE).await?;
        let said = refused.stderr().join("\n");
        ensure!(!status.success() && said.contains("403"), "{status} {said}");
        Ok(())
    };
    Box::pin(stage.with_namespace("login", work)).await
}
