//! `headgate login`, `headgate logout` and `headgate token`: which provider is meant, then the flow, then the file.

use super::block_on;
use super::stream::is_local;
use crate::args::{ClusterArgs, LoginArgs, LogoutArgs, TokenArgs};
use crate::cluster::Cluster;
use crate::login::{
    Http, Login, Opener, Provider, Renewal, Request, SelectError, Store, Wanted, authorization_code, device, discover,
    newest, revoke, user,
};
use crate::output::{Output, notice};
use anyhow::{Context as _, anyhow, bail};
use headgate_crds::v1alpha1::Oidc;
use jiff::Timestamp;
use std::process::ExitCode;
use std::time::Duration;

/// What every login asks for.
const OPENID: &str = "openid";
/// What a login asks for where the provider has it, so that it can be renewed.
const OFFLINE: &str = "offline_access";

/// Whose tokens are meant, and for whom they must be.
#[derive(Debug, Default, PartialEq, Eq)]
struct Target {
    issuer: Option<String>,
    audiences: Vec<String>,
    /// The endpoint that knows both, in the words of a command line.
    endpoint: Option<String>,
}

/// Logs in and keeps the login.
pub(crate) fn run(args: LoginArgs) -> anyhow::Result<ExitCode> {
    block_on(async move {
        let store = store()?;
        let target = target(Some(&args.target), &args.cluster).await?;
        let issuer = target.issuer.clone().context("no issuer")?;
        let http = Http::new(args.ca_cert.as_deref())?;
        let provider = discover(&http, &issuer).await?;
        let scope = args.scope.clone().unwrap_or_else(|| usual_scope(&provider));
        let request = Request {
            issuer,
            client_id: args.client_id.clone(),
            scope,
            audience: args.audience.clone(),
            resource: args.resource.clone(),
        };
        let login = log_in(&http, &provider, request, &args).await?;
        store.save(&login)?;
        tell(&login);
        if let Err(problem) = chosen(vec![login], &target) {
            notice(format_args!("warning: {problem}"));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Forgets one login, or all.
pub(crate) fn logout(args: &LogoutArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let store = store()?;
        let logins = if args.all { store.logins()? } else { vec![to_forget(&store, args).await?] };
        if logins.is_empty() {
            notice("nobody is logged in");
        }
        let http = Http::new(args.ca_cert.as_deref())?;
        for login in logins {
            let issuer = &login.request.issuer;
            // A stream that is renewing it now finishes first, and finds nothing the next time.
            let _lock = store.lock(&login.request)?;
            store.remove(&login)?;
            match revoke(&http, &login).await {
                Ok(true) => notice(format_args!("logged out at {issuer}")),
                Ok(false) => notice(format_args!("forgot the login at {issuer}, which offers no revocation")),
                Err(error) => notice(format_args!("forgot the login at {issuer}, but it was not revoked: {error}")),
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Prints a token that is good for some time.
pub(crate) fn token(args: &TokenArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let store = store()?;
        let login = find(&store, args.target.as_deref(), &args.cluster).await?;
        let renewal = Renewal::new(Http::new(args.ca_cert.as_deref())?, store, login);
        let due = renewal.due_in(Timestamp::now()).is_zero();
        let renewal = if due { renewal.renewed().await? } else { renewal };
        let mut output = Output::stdout();
        output.line(renewal.login().token.as_bytes())?;
        output.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn log_in(http: &Http, provider: &Provider, request: Request, args: &LoginArgs) -> anyhow::Result<Login> {
    let patience = Duration::from_secs(args.timeout.into());
    if args.device {
        let tell = |address: &str, code: &str| notice(format_args!("Open {address}\nand enter the code {code}"));
        return Ok(device(http, provider, request, patience, tell).await?);
    }
    let opener = if args.no_browser { Opener::Nobody } else { Opener::Desktop };
    let tell = |url: &str| notice(format_args!("Log in at\n{url}"));
    Ok(authorization_code(http, provider, request, (opener, patience), tell).await?)
}

async fn find(store: &Store, target: Option<&str>, cluster: &ClusterArgs) -> anyhow::Result<Login> {
    let target = self::target(target, cluster).await?;
    Ok(chosen(store.logins()?, &target)?)
}

/// The login that `headgate logout` means. Where there is none, logging in is no remedy.
async fn to_forget(store: &Store, args: &LogoutArgs) -> anyhow::Result<Login> {
    let target = target(args.target.as_deref(), &args.cluster).await?;
    chosen(store.logins()?, &target).map_err(|error| match error {
        SelectError::Nowhere => anyhow!("nobody is logged in"),
        SelectError::NotLoggedIn { issuer, .. } => anyhow!("nobody is logged in at {issuer}"),
        SelectError::OtherAudience { issuer, audiences, .. } => {
            anyhow!("no login at {issuer} is for {audiences}; to forget the others: headgate logout {issuer}")
        }
        several @ SelectError::Several(_) => several.into(),
    })
}

fn chosen(logins: Vec<Login>, target: &Target) -> Result<Login, SelectError> {
    let audiences: Vec<&str> = target.audiences.iter().map(String::as_str).collect();
    let (issuer, words) = (target.issuer.as_deref(), target.endpoint.as_deref());
    newest(logins, Wanted { issuer, audiences: &audiences, words })
}

/// An address is an issuer; a name is a StreamEndpoint, which knows both.
async fn target(target: Option<&str>, cluster: &ClusterArgs) -> anyhow::Result<Target> {
    match target {
        None => Ok(Target::default()),
        Some(url) if url.contains("://") => Ok(Target { issuer: Some(url.to_owned()), ..Target::default() }),
        Some(text) if text.contains([':', '/']) => bail!(without_scheme(text)),
        Some(name) => {
            let endpoint = Cluster::connect(cluster).await?.endpoint(name).await?;
            let oidc = endpoint.spec.auth.oidc.as_ref();
            let target = of_endpoint(oidc, cluster.words_for(name));
            target.with_context(|| format!("{name} takes no tokens of a provider for people"))
        }
    }
}

/// What to write instead of an address without its scheme: plain HTTP is for this machine only.
fn without_scheme(text: &str) -> String {
    let host = text.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let scheme = if is_local(Some(host)) { "http" } else { "https" };
    format!("`{text}` is neither an issuer nor a name of a StreamEndpoint: write {scheme}://{text}")
}

fn of_endpoint(oidc: Option<&Oidc>, words: String) -> Option<Target> {
    let oidc = oidc?;
    let issuer = oidc.issuer_url.as_ref()?.to_string();
    let audiences = oidc.audiences.iter().map(|audience| audience.as_str().to_owned()).collect();
    Some(Target { issuer: Some(issuer), audiences, endpoint: Some(words) })
}

fn usual_scope(provider: &Provider) -> String {
    if provider.knows_scope(OFFLINE) { format!("{OPENID} {OFFLINE}") } else { OPENID.to_owned() }
}

fn store() -> anyhow::Result<Store> {
    Ok(Store::of_this_user(|name| std::env::var(name).ok())?)
}

fn tell(login: &Login) {
    let (issuer, end) = (&login.request.issuer, login.expires_at);
    let after = if login.refresh_token.is_some() { "it is renewed when needed" } else { "then log in again" };
    let whom = user(&login.token).map(|user| format!(" as {user}")).unwrap_or_default();
    notice(format_args!("logged in at {issuer}{whom}; the token ends at {end}, {after}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_endpoint_names_its_provider_and_audiences_unless_its_tokens_are_the_clusters_own() {
        let oidc = |value| serde_json::from_value::<Oidc>(value).unwrap();
        let of_people = oidc(json!({ "issuerURL": "https://id.example.com", "audiences": ["orders", "shop"] }));
        let expected = Target {
            issuer: Some("https://id.example.com".to_owned()),
            audiences: vec!["orders".to_owned(), "shop".to_owned()],
            endpoint: Some("orders -n shop".to_owned()),
        };
        let of_endpoint = |oidc| of_endpoint(oidc, "orders -n shop".to_owned());
        assert_eq!(of_endpoint(Some(&of_people)), Some(expected));
        let of_services = oidc(json!({ "kubernetes": {}, "audiences": ["orders"] }));
        assert_eq!((of_endpoint(Some(&of_services)), of_endpoint(None)), (None, None));
    }

    #[test]
    fn an_address_without_its_scheme_is_told_which_one_it_needs() {
        assert!(without_scheme("127.0.0.1:8082").ends_with(": write http://127.0.0.1:8082"));
        assert!(without_scheme("[::1]:8082/a:b").ends_with(": write http://[::1]:8082/a:b"));
        assert!(without_scheme("localhost:8082").ends_with(": write http://localhost:8082"));
        assert!(without_scheme("id.example.com/realms/shop").ends_with(": write https://id.example.com/realms/shop"));
    }

    #[test]
    fn a_login_asks_to_be_renewable_unless_the_provider_says_that_it_knows_no_such_scope() {
        let provider = |scopes| {
            let provider =
                json!({ "issuer": "https://id", "token_endpoint": "https://id/t", "scopes_supported": scopes });
            serde_json::from_value::<Provider>(provider).unwrap()
        };
        assert_eq!(usual_scope(&provider(json!(null))), "openid offline_access");
        assert_eq!(usual_scope(&provider(json!(["openid", "email"]))), "openid");
    }
}
