//! Logging in at an OpenID Connect provider as a person at this machine (RFC 6749, 7636, 8252, 8628), and staying so.
//!
//! Only `http`, `loopback`, `browser` and `store` touch the world. A token is written to one file of this user and sent to
//! the provider and the gateway; it must never be printed unless that was asked for, nor stand in an error.

mod authorization_code;
mod browser;
mod device;
mod http;
mod loopback;
mod provider;
mod renewal;
mod select;
mod store;
mod token_endpoint;

pub(crate) use self::http::{Http, HttpError, encode};
pub(crate) use authorization_code::{Opener, authorization_code};
pub(crate) use device::device;
pub(crate) use provider::{Provider, discover};
pub(crate) use renewal::{Renewal, revoke};
pub(crate) use select::{SelectError, Wanted, newest};
pub(crate) use store::{Login, Request, Store, StoreError};
pub(crate) use token_endpoint::user;

/// Why somebody could not log in, or a login could not be renewed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The provider could not be asked.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Its description cannot be right.
    #[error("{issuer} is no usable OpenID Connect provider: {cause}")]
    Provider {
        /// The issuer that was asked for.
        issuer: String,
        /// What is wrong.
        cause: String,
    },
    /// The provider said no (RFC 6749 section 5.2).
    #[error("the provider refused: {code}{}", .description.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Refused {
        /// The provider's word.
        code: String,
        /// Its sentence.
        description: Option<String>,
    },
    /// Nobody finished in time.
    #[error("nobody logged in within {0} seconds")]
    TimedOut(u64),
    /// An answer that is none.
    #[error("the provider's answer cannot be used: {0}")]
    Answer(&'static str),
    /// Only opaque tokens.
    #[error("the provider gave no JSON Web Token: ask for a scope, --audience or --resource for which it does")]
    NoJsonWebToken,
    /// The listener of the redirect.
    #[error("failed to listen on this machine: {0}")]
    Listen(std::io::Error),
    /// Nothing to renew with.
    #[error("the login at {0} cannot be renewed: run headgate login {0} again")]
    NotRenewable(String),
    /// The file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system.
    #[error("no randomness: {0}")]
    Entropy(#[from] getrandom::Error),
}
