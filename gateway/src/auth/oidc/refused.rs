//! What the log of the gateway learns about a refused token: why, and of a valid one whose claims are not accepted also
//! whose it is and by which claims.
//!
//! Nothing here is for the client. Claims are named by their paths: it must never hold a value of a token or of a rule.

use super::TokenError;
use std::fmt;

/// Most claims that are named in one line of the log.
const MAX_NAMED_CLAIMS: usize = 8;
/// Most characters of the path of a claim that are repeated.
const MAX_PATH_CHARACTERS: usize = 200;

/// A token that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}{}", Because(self.unaccepted.as_deref()))]
pub struct Refused {
    /// Why.
    pub error: TokenError,
    /// There for [`TokenError::Claims`]: such a token is valid, so that its subject is known.
    pub unaccepted: Option<Box<Unaccepted>>,
}

/// The claims of a valid token that the rules do not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unaccepted {
    /// The claim `sub`.
    pub subject: String,
    claims: Vec<UnacceptedClaim>,
    /// Those that are not named.
    more: usize,
}

/// One claim by which a rule refuses a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnacceptedClaim {
    rule: &'static str,
    path: String,
    shortcoming: Shortcoming,
}

/// What is wrong with a claim, without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortcoming {
    /// The token does not have it.
    Absent,
    /// It has none of the values that are asked for.
    OtherValue,
    /// It is empty, too long, null or an object, so that no attribute can be compared with it.
    NoText,
    /// It has more values than a filter may have.
    TooManyValues,
}

impl Refused {
    /// The refusal of a valid token of this subject.
    pub(super) fn by_claims(subject: &str, mut claims: Vec<UnacceptedClaim>) -> Self {
        let more = claims.len().saturating_sub(MAX_NAMED_CLAIMS);
        claims.truncate(MAX_NAMED_CLAIMS);
        let unaccepted = Unaccepted { subject: subject.to_owned(), claims, more };
        Self { error: TokenError::Claims, unaccepted: Some(Box::new(unaccepted)) }
    }

    /// Whose token it is, where that is proven.
    pub fn subject(&self) -> Option<&str> {
        self.unaccepted.as_ref().map(|unaccepted| unaccepted.subject.as_str())
    }
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        Self { error, unaccepted: None }
    }
}

impl UnacceptedClaim {
    /// The claim at this path, which a rule of this field refuses.
    pub(super) fn new(rule: &'static str, path: &str, shortcoming: Shortcoming) -> Self {
        Self { rule, path: path.chars().take(MAX_PATH_CHARACTERS).collect(), shortcoming }
    }
}

impl fmt::Display for UnacceptedClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}) {}", self.path, self.rule, self.shortcoming.as_str())
    }
}

impl Shortcoming {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "is absent",
            Self::OtherValue => "has another value",
            Self::NoText => "has no text to compare with",
            Self::TooManyValues => "has too many values",
        }
    }
}

struct Because<'r>(Option<&'r Unaccepted>);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Unaccepted { claims, more, .. }) = self.0 else { return Ok(()) };
        for (index, claim) in claims.iter().enumerate() {
            write!(f, "{}{claim}", if index == 0 { ": " } else { ", " })?;
        }
        if *more > 0 { write!(f, ", and {more} more") } else { Ok(()) }
    }
}
