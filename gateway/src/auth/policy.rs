//! The rules of access that may change while connections live: who needs no credentials, which pages may connect, whose
//! tokens count, whom to believe about a client's address.
//!
//! Made from a configuration as a whole, replaced as a whole. Owns no keys and no connections.

use super::oidc::Rules;
use super::origin::{InvalidOrigin, OriginPolicy};
use super::proxies::TrustedProxies;
use headgate_wire::GatewayConfig;
use headgate_wire::config::{InvalidNetwork, QueryCredentials};
use std::sync::Arc;

/// Rules that are in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Anyone may read.
    pub anonymous: bool,
    /// Whether credentials may stand in the URL.
    pub query_credentials: QueryCredentials,
    /// Which pages may connect.
    pub origins: OriginPolicy,
    /// Proxies that are believed.
    pub proxies: TrustedProxies,
    /// Whose tokens are accepted; there in the modes with tokens.
    pub rules: Option<Arc<Rules>>,
}

/// Why a configuration makes no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// An origin.
    #[error(transparent)]
    Origin(#[from] InvalidOrigin),
    /// A proxy's network.
    #[error(transparent)]
    Network(#[from] InvalidNetwork),
}

impl PolicyError {
    /// The field that is wrong.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Origin(_) => "publicAccess.allowedOrigins",
            Self::Network(_) => "publicAccess.trustedProxies",
        }
    }
}

impl Policy {
    /// The policy of a configuration.
    ///
    /// # Errors
    /// Every text in it that is not what it should be.
    pub fn new(config: &GatewayConfig) -> Result<Self, Vec<PolicyError>> {
        let access = &config.public_access;
        let origins = OriginPolicy::new(&access.allowed_origins, access.hostname.as_deref());
        match (origins, TrustedProxies::new(&access.trusted_proxies)) {
            (Ok(origins), Ok(proxies)) => Ok(Self {
                anonymous: access.anonymous,
                query_credentials: access.query_credentials,
                origins,
                proxies,
                rules: config.auth.oidc.clone().map(Rules::new).map(Arc::new),
            }),
            (origins, proxies) => {
                let origins = origins.err().into_iter().flatten().map(PolicyError::from);
                let proxies = proxies.err().into_iter().flatten().map(PolicyError::from);
                Err(origins.chain(proxies).collect())
            }
        }
    }
}

impl Default for Policy {
    /// Nothing is open.
    fn default() -> Self {
        Self {
            anonymous: false,
            query_credentials: QueryCredentials::Denied,
            origins: OriginPolicy::default(),
            proxies: TrustedProxies::default(),
            rules: None,
        }
    }
}
