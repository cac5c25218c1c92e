//! What a provider says about itself (OpenID Connect Discovery 1.0 section 4).

use super::LoginError;
use super::http::{Http, is_secure};
use serde::Deserialize;

/// Where a provider's endpoints are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Provider {
    /// Exactly the claim `iss` of its tokens.
    pub(crate) issuer: String,
    /// Where people log in.
    pub(crate) authorization_endpoint: Option<String>,
    /// Where codes become tokens.
    pub(crate) token_endpoint: String,
    /// Where devices begin (RFC 8628).
    pub(crate) device_authorization_endpoint: Option<String>,
    /// Where tokens end (RFC 7009).
    pub(crate) revocation_endpoint: Option<String>,
    /// Scopes that it knows, if it tells.
    pub(crate) scopes_supported: Option<Vec<String>>,
    /// Whether redirects name the issuer (RFC 9207).
    #[serde(default)]
    pub(crate) authorization_response_iss_parameter_supported: bool,
}

impl Provider {
    /// Whether it may know this scope.
    pub(crate) fn knows_scope(&self, scope: &str) -> bool {
        self.scopes_supported.as_ref().is_none_or(|scopes| scopes.iter().any(|known| known == scope))
    }

    fn check(&self, issuer: &str) -> Result<(), String> {
        // A slash at the end is a different name; section 4.3 wants them to be identical.
        if self.issuer != issuer {
            return Err(format!("it calls itself {}: log in there", self.issuer));
        }
        let endpoints = [&self.authorization_endpoint, &self.device_authorization_endpoint, &self.revocation_endpoint];
        let endpoints = endpoints.into_iter().flatten().chain([&self.token_endpoint]);
        match endpoints.into_iter().find(|endpoint| !is_secure(endpoint)) {
            Some(endpoint) => Err(format!("{endpoint} is no https:// address")),
            None => Ok(()),
        }
    }
}

/// Asks an issuer for its description.
pub(crate) async fn discover(http: &Http, issuer: &str) -> Result<Provider, LoginError> {
    let unusable = |cause: String| LoginError::Provider { issuer: issuer.to_owned(), cause };
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let answer = http.get(&url).await?;
    if !answer.status.is_success() {
        return Err(unusable(format!("{url} answers {}", answer.status)));
    }
    let provider: Provider =
        serde_json::from_value(answer.json).map_err(|error| unusable(format!("{url}: {error}")))?;
    provider.check(issuer).map_err(unusable)?;
    Ok(provider)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn provider(issuer: &str, token_endpoint: &str) -> Provider {
        serde_json::from_value(json!({ "issuer": issuer, "token_endpoint": token_endpoint })).unwrap()
    }

    #[test]
    fn a_provider_with_another_name_or_without_protection_is_refused() {
        let issuer = "https://id.example.com";
        assert_eq!(provider(issuer, "https://id.example.com/token").check(issuer), Ok(()));
        assert!(provider("https://evil.example.com", "https://e/token").check(issuer).is_err());
        assert!(provider(issuer, "https://id.example.com/token").check("https://id.example.com/").is_err());
        assert!(provider(issuer, "http://id.example.com/token").check(issuer).is_err());
    }

    #[test]
    fn a_scope_is_left_out_only_where_the_provider_says_that_it_does_not_know_it() {
        let mut provider = provider("https://id", "https://id/token");
        assert!(provider.knows_scope("offline_access"));
        provider.scopes_supported = Some(vec!["openid".to_owned()]);
        assert!(!provider.knows_scope("offline_access"));
    }
}
