//! Which stored login a stream is opened with, if any.

use super::usage;
use crate::args::{AccessArgs, ClusterArgs};
use crate::login::{Http, Renewal, Store, Wanted, newest};
use crate::stream::{Failure, FailureKind};
use headgate_crds::StreamEndpoint;
use headgate_crds::types::Audience;
use headgate_crds::v1alpha1::AuthMode;
use kube::ResourceExt as _;
use std::collections::BTreeSet;

/// Where this user's logins are.
pub(super) fn logins() -> Result<Store, Failure> {
    Store::of_this_user(|name| std::env::var(name).ok()).map_err(usage)
}

/// Where this user is logged in, each once; empty if that cannot be read: it is a hint only.
pub(super) fn issuers() -> Vec<String> {
    let logins = logins().ok().and_then(|store| store.logins().ok()).unwrap_or_default();
    logins.into_iter().map(|login| login.request.issuer).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The login at `--issuer`, or else at the endpoint's provider. One that nobody asked for may be missing where a key or
/// nobody at all will do.
pub(super) fn login_for(
    access: &AccessArgs,
    store: &Store,
    (endpoint, cluster): (&StreamEndpoint, &ClusterArgs),
) -> Result<Option<Renewal>, Failure> {
    let oidc = endpoint.spec.auth.oidc.as_ref();
    let own = oidc.and_then(|oidc| oidc.issuer_url.as_ref()).map(ToString::to_string);
    let audiences = oidc.map_or(&[][..], |oidc| &oidc.audiences);
    let audiences: Vec<&str> = audiences.iter().map(Audience::as_str).collect();
    match (access.issuer.as_deref(), own) {
        (Some(issuer), _) => {
            let wanted = Wanted { issuer: Some(issuer), audiences: &audiences, words: None };
            login_of(access, store, wanted).map(Some)
        }
        (None, Some(issuer)) => {
            let only_tokens = endpoint.spec.auth.mode == AuthMode::Oidc && !endpoint.spec.public_access.anonymous;
            let words = cluster.words_for(&endpoint.name_any());
            let wanted = Wanted { issuer: Some(&issuer), audiences: &audiences, words: Some(&words) };
            match login_of(access, store, wanted) {
                Err(failure) if failure.kind == FailureKind::Refused && !only_tokens => Ok(None),
                outcome => outcome.map(Some),
            }
        }
        (None, None) => Ok(None),
    }
}

/// The login at an issuer, whatever its token is for.
pub(super) fn login_at(access: &AccessArgs, store: &Store, issuer: &str) -> Result<Renewal, Failure> {
    login_of(access, store, Wanted { issuer: Some(issuer), ..Wanted::default() })
}

fn login_of(access: &AccessArgs, store: &Store, wanted: Wanted<'_>) -> Result<Renewal, Failure> {
    let login = newest(store.logins().map_err(usage)?, wanted);
    let login = login.map_err(|error| Failure { kind: FailureKind::Refused, message: error.to_string() })?;
    let http = Http::new(access.ca_cert.as_deref()).map_err(usage)?;
    Ok(Renewal::new(http, store.clone(), login))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::cluster::fake;
    use crate::login::{Login, Request};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use clap::Parser as _;
    use jiff::Timestamp;
    use serde_json::json;
    use tempfile::TempDir;

    const ISSUER: &str = "https://id.example.com";

    fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        let store = Store::of_this_user(|name| (name == "HOME").then(|| home.clone())).unwrap();
        (folder, store)
    }

    fn log_in(store: &Store, audience: &str) {
        let payload = URL_SAFE_NO_PAD.encode(json!({ "aud": audience }).to_string());
        let login = Login {
            request: Request { issuer: ISSUER.to_owned(), client_id: "cli".to_owned(), ..Request::default() },
            token: format!("e30.{payload}.e30"),
            expires_at: Timestamp::MAX,
            renewed_at: Timestamp::UNIX_EPOCH,
            refresh_token: None,
        };
        store.save(&login).unwrap();
    }

    fn endpoint(mode: &str) -> StreamEndpoint {
        let mut orders = fake::endpoint("shop", "orders");
        let oidc = json!({ "issuerURL": ISSUER, "audiences": ["orders"] });
        orders["spec"]["auth"] = json!({ "mode": mode, "oidc": oidc });
        serde_json::from_value(orders).unwrap()
    }

    fn access(options: &str) -> AccessArgs {
        let line = format!("headgate stream orders{options}");
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Stream(args) => args.access,
            _ => unreachable!("parsed as another command"),
        }
    }

    #[test]
    fn an_endpoint_that_takes_tokens_gets_that_of_the_login_at_its_provider() {
        let (_folder, store) = store();
        log_in(&store, "orders");
        for mode in ["OIDC", "ApiKeyOrOIDC"] {
            let renewal = login_for(&access(""), &store, (&endpoint(mode), &ClusterArgs::default())).unwrap().unwrap();
            assert_eq!(renewal.login().request.issuer, ISSUER);
        }
    }

    #[test]
    fn without_a_login_a_key_will_do_where_one_is_taken_and_else_the_command_to_log_in_is_named() {
        let (_folder, store) = store();
        assert!(
            login_for(&access(""), &store, (&endpoint("ApiKeyOrOIDC"), &ClusterArgs::default())).unwrap().is_none()
        );
        let of_shop = ClusterArgs { namespace: Some("shop".to_owned()), ..ClusterArgs::default() };
        let refused = || login_for(&access(""), &store, (&endpoint("OIDC"), &of_shop)).unwrap_err();
        assert_eq!(refused().kind, FailureKind::Refused);
        let expected = format!("nobody is logged in at {ISSUER}: run headgate login orders -n shop");
        assert_eq!(refused().message, expected);
        log_in(&store, "another");
        assert!(refused().message.ends_with("login orders -n shop with --audience or --resource"));
    }

    #[test]
    fn an_issuer_that_was_named_must_have_a_login() {
        let (_folder, store) = store();
        let named = access(" --issuer https://other.example.com");
        let failure = login_for(&named, &store, (&endpoint("ApiKeyOrOIDC"), &ClusterArgs::default())).unwrap_err();
        assert!(failure.message.ends_with("run headgate login https://other.example.com"), "{}", failure.message);
    }
}
