//! A real Keycloak with a realm of ours (`tests/servers/keycloak`), as a process: its tokens, and new keys for it.
//!
//! It knows the users of that realm only. Its home shares everything with the installed one but the data.

use super::browser::{encode, send};
use crate::folders;
use crate::ports::free_port;
use crate::process::Process;
use crate::spawn::command;
use crate::tools;
use crate::wait::eventually_ok;
use anyhow::{Context as _, Result, ensure};
use http::{Request, header};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// It is there after some six seconds; a loaded machine gets a lot more.
const START: Duration = Duration::from_mins(3);
const REALM: &str = "orders";
const FOLDER_PREFIX: &str = "headgate-keycloak-";
const DATABASE: &str = "data/h2/keycloakdb.mv.db";
/// What is the same for every server.
const SHARED: [&str; 5] = ["lib", "conf", "providers", "themes", "version.txt"];
/// What its own script gives Java, with less memory, and without what pays off only later.
const JAVA: [&str; 11] = [
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dfile.encoding=UTF-8",
    "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=\
     io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
    "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-opens=java.base/java.security=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
];
/// How much of its log an error message quotes, in lines.
const TAIL_LINES: usize = 30;

/// A running Keycloak. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Keycloak {
    address: String,
    process: Process,
    #[expect(dead_code, reason = "it is held, not read")]
    home: TempDir,
}

impl Keycloak {
    /// Starts it and waits until it answers for the realm.
    pub async fn start() -> Result<Self> {
        let home = folders::of_this_process(FOLDER_PREFIX)?;
        let installed = tools::keycloak()?;
        prepare(home.path(), &installed)?;
        let port = free_port()?;
        let address = format!("http://127.0.0.1:{port}");
        let mut java = java(home.path(), &installed);
        java.args(["start", "--optimized", "--import-realm", "--cache=local", "--http-enabled=true"]);
        java.args(["--http-host=127.0.0.1".to_owned(), format!("--http-port={port}"), format!("--hostname={address}")]);
        let keycloak = Self { process: Process::start("Keycloak", java)?, address, home };
        let answered = eventually_ok("Keycloak to answer", START, async || keycloak.key_set().await).await;
        answered.with_context(|| keycloak.log_tail())?;
        Ok(keycloak)
    }

    /// The issuer URL of the realm.
    pub fn issuer(&self) -> String {
        format!("{}/realms/{REALM}", self.address)
    }

    /// A token of a user, by the user's password (RFC 6749 section 4.3).
    pub async fn user_token(&self, user: &str) -> Result<String> {
        self.token(REALM, &password("headgate-cli", user)).await
    }

    /// A token of a service, by client credentials (RFC 6749 section 4.4).
    pub async fn service_token(&self, service: &str) -> Result<String> {
        let secret = format!("{service}-secret");
        let fields = [("grant_type", "client_credentials"), ("client_id", service), ("client_secret", &secret)];
        self.token(REALM, &fields).await
    }

    /// The keys that it publishes.
    pub async fn key_set(&self) -> Result<Value> {
        let request = Request::get(format!("{}/protocol/openid-connect/certs", self.issuer())).body(String::new())?;
        let (status, _, text) = send(request).await?;
        ensure!(status.is_success(), "no keys: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Signs with a new key from now on, and goes on publishing the old one.
    pub async fn rotate_keys(&self) -> Result<()> {
        let admin = self.token("master", &password("admin-cli", "admin")).await?;
        let component = json!({
            "name": "newer", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
            // The first key of a realm has 100.
            "config": { "priority": ["200"], "algorithm": ["RS256"] },
        });
        let request = Request::post(format!("{}/admin/realms/{REALM}/components", self.address))
            .header(header::AUTHORIZATION, format!("Bearer {admin}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(component.to_string())?;
        let (status, _, text) = send(request).await?;
        ensure!(status.is_success(), "no new key: {status} {text}");
        Ok(())
    }

    /// Ends it at once.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    async fn token(&self, realm: &str, fields: &[(&str, impl AsRef<str>)]) -> Result<String> {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        let request = Request::post(format!("{}/realms/{realm}/protocol/openid-connect/token", self.address))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encode(&fields))?;
        let (status, _, text) = send(request).await?;
        ensure!(status.is_success(), "no token: {status} {text}");
        let answer: Value = serde_json::from_str(&text)?;
        Ok(answer["access_token"].as_str().context("no access token")?.to_owned())
    }

    /// It writes its log to stdout.
    fn log_tail(&self) -> String {
        let log = self.process.stdout();
        format!("its log ends with:\n{}", log[log.len().saturating_sub(TAIL_LINES)..].join("\n"))
    }
}

/// What everybody of the tests has as a password.
fn password(client: &str, user: &str) -> [(&'static str, String); 4] {
    let fields = [("grant_type", "password"), ("client_id", client), ("username", user)];
    let [grant, client, username] = fields.map(|(name, value)| (name, value.to_owned()));
    [grant, client, username, ("password", format!("{user}-password"))]
}

/// A home with data of its own.
fn prepare(home: &Path, installed: &Path) -> Result<()> {
    for name in SHARED {
        std::os::unix::fs::symlink(installed.join(name), home.join(name))?;
    }
    let database = home.join(DATABASE);
    fs::create_dir_all(database.parent().context("the database is in a folder")?)?;
    fs::copy(installed.join(DATABASE), database).context("the installed Keycloak has no database")?;
    let realm = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("servers/keycloak/orders-realm.json");
    let import = home.join("data/import");
    fs::create_dir_all(&import)?;
    fs::copy(realm, import.join("orders-realm.json"))?;
    Ok(())
}

/// Java itself: the script would leave it behind when it is killed.
fn java(home: &Path, installed: &Path) -> Command {
    let option = |name: &str, path: &Path| {
        let mut option = std::ffi::OsString::from(name);
        option.push(path);
        option
    };
    let mut java = command("java");
    java.args(JAVA).arg(option("-Dkc.home.dir=", home)).arg(option("-Djboss.server.config.dir=", &home.join("conf")));
    java.arg("-cp").arg(installed.join("lib/quarkus-run.jar")).arg("io.quarkus.bootstrap.runner.QuarkusEntryPoint");
    java.current_dir(home);
    java
}
