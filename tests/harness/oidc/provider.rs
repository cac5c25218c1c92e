//! A real OpenID Connect provider (npm's oidc-provider, certified) as a process, and its real grants.
//!
//! It knows the users and services of its options and asks nobody for a password. Access tokens are JWTs (RFC 9068).

use super::browser::{Browser, encode, parameter, send};
use crate::certificates::Issued;
use crate::process::Process;
use crate::spawn::command;
use crate::tools;
use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Request, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

/// How long it may take to start on a busy machine.
const START: Duration = Duration::from_mins(1);
/// The public client for people: code with PKCE, device flow, refresh.
pub const CLIENT: &str = "headgate-cli";
/// Nobody listens there; the browser stops before.
const CALLBACK: &str = "http://127.0.0.1:9/callback";
/// Any text of 43 characters or more (RFC 7636 section 4.1).
const CODE_VERIFIER: &str = "a-code-verifier-of-the-tests-with-enough-characters";

/// What the provider is like.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address of this machine at which it is, and under which it is known.
    pub host: Ipv4Addr,
    /// Its certificate, good for that address; without, it speaks plain HTTP. With one, only a [`Browser::trusting`] its
    /// authority can log in; the grants below speak plain HTTP.
    pub certificate: Option<Issued>,
    /// Its port; 0 = any. A given one lets it come back under the same name.
    pub port: u16,
    /// How it signs: `RS256`, `PS256`, `ES256` or `EdDSA`.
    pub algorithm: &'static str,
    /// Whom tokens are for if nobody asks for an audience.
    pub audience: &'static str,
    /// How long tokens last if nobody asks for a lifetime.
    pub lifetime: Duration,
    /// By name (the claim `sub`): the other claims.
    pub users: Value,
    /// The same for services; their secret is `<name>-secret`.
    pub services: Value,
}

impl Default for Options {
    fn default() -> Self {
        let person = |name: &str, role: &str, tenant: &str| {
            json!({ "preferred_username": name, "realm_access": { "roles": [role, "everyone"] }, "org_id": tenant,
                    "tenant": tenant, "https://headgate.dev/tenant": tenant })
        };
        Self {
            host: Ipv4Addr::LOCALHOST,
            certificate: None,
            port: 0,
            algorithm: "RS256",
            audience: "urn:headgate:orders",
            lifetime: Duration::from_hours(1),
            users: json!({ "alice": person("Alice", "viewer", "acme"), "bob": person("Bob", "guest", "globex") }),
            services: json!({ "till-3": { "device": "till-3", "tenant": "acme" } }),
        }
    }
}

/// What a login yields.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The JWT.
    pub access: String,
    /// What renews it.
    pub refresh: Option<String>,
}

/// A running provider. Dropping it ends it.
#[derive(Debug)]
pub struct RealProvider {
    issuer: String,
    process: Process,
}

impl RealProvider {
    /// Starts it and waits until it answers.
    pub async fn start(options: &Options) -> Result<Self> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("servers/oidc/provider.mjs");
        let tls =
            options.certificate.as_ref().map(|Issued { certificate, key }| json!({ "cert": certificate, "key": key }));
        let text = json!({
            "host": options.host, "port": options.port, "tls": tls, "algorithm": options.algorithm,
            "audience": options.audience, "lifetimeSeconds": options.lifetime.as_secs(), "users": options.users,
            "services": options.services,
        });
        let mut node = command("node");
        node.arg(script).arg(tools::oidc_provider()?).arg(text.to_string());
        let mut process = Process::start("the OpenID Connect provider", node)?;
        let issuer = process.line(START, |line| line.starts_with("http")).await?;
        Ok(Self { issuer, process })
    }

    /// Its issuer URL.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its port, to come back to.
    pub fn port(&self) -> Result<u16> {
        let port = self.issuer.rsplit(':').next().and_then(|port| port.parse().ok());
        port.with_context(|| format!("no port in {}", self.issuer))
    }

    /// A token of a user, by the authorization code flow with PKCE (RFC 7636); zero = the usual lifetime.
    pub async fn token(&self, user: &str, audience: &str, lifetime: Duration) -> Result<String> {
        Ok(self.log_in(user, audience, lifetime).await?.access)
    }

    /// The same with what renews it.
    pub async fn log_in(&self, user: &str, audience: &str, lifetime: Duration) -> Result<Tokens> {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(CODE_VERIFIER));
        let query = encode(&[
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("redirect_uri", CALLBACK),
            ("scope", "openid"),
            ("resource", audience),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("login_hint", user),
        ]);
        let end = Browser::until(CALLBACK).visit(&format!("{}/auth?{query}", self.issuer)).await?;
        let code = parameter(&end.url, "code").with_context(|| format!("no code: {end:?}"))?;
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("redirect_uri", CALLBACK),
            ("code", &code),
            ("code_verifier", CODE_VERIFIER),
        ];
        self.redeem(&fields, lifetime).await
    }

    /// A token of a service, by client credentials (RFC 6749 section 4.4).
    pub async fn service_token(&self, service: &str, audience: &str, lifetime: Duration) -> Result<String> {
        let secret = format!("{service}-secret");
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", service),
            ("client_secret", &secret),
            ("resource", audience),
        ];
        Ok(self.redeem(&fields, lifetime).await?.access)
    }

    /// The next token of a login.
    pub async fn refresh(&self, refresh_token: &str, lifetime: Duration) -> Result<Tokens> {
        let fields = [("grant_type", "refresh_token"), ("client_id", CLIENT), ("refresh_token", refresh_token)];
        self.redeem(&fields, lifetime).await
    }

    /// Signs with a new key from now on. `keep`: tokens of the old one stay good, because it stays published.
    pub async fn rotate_keys(&self, keep: bool) -> Result<()> {
        let address = format!("{}/test/rotate{}", self.issuer, if keep { "?keep" } else { "" });
        let (status, _, text) = send(Request::post(address).body(String::new())?).await?;
        ensure!(status.is_success(), "no new key: {status} {text}");
        Ok(())
    }

    /// Ends it at once.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    async fn redeem(&self, fields: &[(&str, &str)], lifetime: Duration) -> Result<Tokens> {
        let request = Request::post(format!("{}/token?lifetime={}", self.issuer, lifetime.as_secs()))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encode(fields))?;
        let (status, _, text) = send(request).await?;
        ensure!(status.is_success(), "no token: {status} {text}");
        let answer: Value = serde_json::from_str(&text)?;
        let member = |name: &str| answer[name].as_str().map(str::to_owned);
        Ok(Tokens { access: member("access_token").context("no access token")?, refresh: member("refresh_token") })
    }
}
