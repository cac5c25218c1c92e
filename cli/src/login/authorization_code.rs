//! Authorization code with PKCE (RFC 7636) and a redirect to this machine (RFC 8252).

use super::http::encode;
use super::loopback::{Expected, Loopback};
use super::store::{Login, Request};
use super::{Http, LoginError, Provider, browser, token_endpoint};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Random bytes of the verifier; in base64url they are 43 characters, the least that RFC 7636 section 4.1 allows.
const VERIFIER_BYTES: usize = 32;
/// Random bytes of the state.
const STATE_BYTES: usize = 16;

/// Whether the browser of this desktop is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opener {
    /// It is.
    Desktop,
    /// Somebody opens the address.
    Nobody,
}

/// Logs in through a browser; `tell` is given the address for people.
pub(crate) async fn authorization_code(
    http: &Http,
    provider: &Provider,
    request: Request,
    (opener, patience): (Opener, Duration),
    tell: impl FnOnce(&str),
) -> Result<Login, LoginError> {
    let endpoint = provider.authorization_endpoint.as_deref().ok_or_else(|| LoginError::Provider {
        issuer: provider.issuer.clone(),
        cause: "it has no page for logging in: try --device".to_owned(),
    })?;
    let (verifier, state) = (random::<VERIFIER_BYTES>()?, random::<STATE_BYTES>()?);
    let loopback = Loopback::listen().await?;
    let redirect_uri = loopback.redirect_uri.clone();
    let url = address(endpoint, &request, (&verifier, &state, &redirect_uri));
    tell(&url);
    if opener == Opener::Desktop {
        browser::open(&url);
    }
    let names_issuer = provider.authorization_response_iss_parameter_supported;
    let expected = Expected { state, issuer: provider.issuer.clone(), names_issuer };
    let code = tokio::time::timeout(patience, loopback.code(&expected)).await;
    let code = code.map_err(|_| LoginError::TimedOut(patience.as_secs()))??;
    let grant = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", redirect_uri.as_str()),
        ("code_verifier", verifier.as_str()),
    ];
    let tokens = token_endpoint::ask(http, provider, &request, &grant).await?;
    tokens.into_login(request, None, Timestamp::now())
}

fn address(endpoint: &str, request: &Request, (verifier, state, redirect_uri): (&str, &str, &str)) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let own = [
        ("response_type", "code"),
        ("client_id", &request.client_id),
        ("redirect_uri", redirect_uri),
        ("scope", &request.scope),
        ("state", state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{separator}{}", encode(&[&own[..], &request.target()].concat()))
}

fn random<const N: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_the_challenge_of_the_verifier_and_not_the_verifier() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let request = Request { client_id: "cli".to_owned(), resource: Some("urn:a".to_owned()), ..Request::default() };
        let url = address("https://id/auth?x=1", &request, (verifier, "s", "http://127.0.0.1:1/callback"));
        assert!(url.starts_with("https://id/auth?x=1&response_type=code&"), "{url}");
        assert!(url.contains("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), "{url}");
        assert!(url.contains("&resource=urn%3Aa") && !url.contains("dBjft"), "{url}");
    }

    #[test]
    fn two_logins_share_no_secret() {
        let (first, second) = (random::<VERIFIER_BYTES>().unwrap(), random::<VERIFIER_BYTES>().unwrap());
        assert_ne!(first, second);
        assert_eq!(first.len(), 43);
    }
}
