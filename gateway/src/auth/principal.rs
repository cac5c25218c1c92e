//! Who a client is, once its credentials have been checked.
//!
//! Owns identity and rights, cheap to clone into every session. It must never hold a credential: of a key it knows the
//! public id and the digest.

use super::oidc::User;
use headgate_wire::filter::Filter;
use headgate_wire::key::{Permission, Verifier};
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Who a client is.
#[derive(Debug, Clone, PartialEq)]
pub enum Principal {
    /// Anybody; may read what is public and never publishes.
    Anonymous,
    /// Holder of an API key.
    ApiKey(Arc<Verifier>),
    /// Holder of a token.
    User(Arc<User>),
}

impl Principal {
    /// Name in audit logs: the public id of a key, never a secret.
    pub fn label(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::ApiKey(key) => &key.id,
            Self::User(user) => &user.subject,
        }
    }

    /// What [`crate::auth::limits`] counts connections by; anonymous clients are counted by address only.
    pub fn connection_key(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::ApiKey(key) => Some(&key.id),
            Self::User(user) => Some(&user.connection_key),
        }
    }

    /// Whether it has the permission.
    pub fn may(&self, permission: Permission) -> bool {
        match self {
            Self::Anonymous => permission == Permission::Read,
            Self::ApiKey(key) => key.permissions.contains(&permission),
            Self::User(user) => permission == Permission::Read || user.may_publish,
        }
    }

    /// Filters that hold for this principal besides the endpoint's own; all of them must match.
    pub fn filters(&self) -> &[Filter] {
        match self {
            Self::Anonymous => &[],
            Self::ApiKey(key) => &key.filters,
            Self::User(user) => &user.filters,
        }
    }

    /// Whether another principal may do and see the same.
    pub fn has_same_rights(&self, other: &Self) -> bool {
        [Permission::Read, Permission::Publish].iter().all(|permission| self.may(*permission) == other.may(*permission))
            && self.filters() == other.filters()
    }

    /// When its access ends by itself.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Anonymous => None,
            Self::ApiKey(key) => key.expires_at,
            Self::User(user) => Some(user.expires_at),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anonymous_client_reads_and_never_publishes() {
        assert!(Principal::Anonymous.may(Permission::Read));
        assert!(!Principal::Anonymous.may(Permission::Publish));
    }
}
