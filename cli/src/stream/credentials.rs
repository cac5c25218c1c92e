//! Which credential to send. The environment gives way to the command line; nothing here prints a credential.

use headgate_wire::key::{KeyShape, looks_like_jwt, shape};
use http::HeaderValue;
use std::fmt;

/// Environment variable with an API key.
pub(crate) const KEY_VARIABLE: &str = "HEADGATE_KEY";
/// Environment variable with a JSON Web Token.
pub(crate) const TOKEN_VARIABLE: &str = "HEADGATE_TOKEN";

/// What a key or token follows in the header (RFC 6750 section 2.1).
const SCHEME: &str = "Bearer ";

/// What goes into the Authorization header.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nothing.
    Anonymous,
    /// RFC 6750 section 2.1: an API key or a JSON Web Token.
    Bearer(HeaderValue),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

impl Credential {
    /// The key or token itself.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Bearer(value) => value.to_str().ok()?.strip_prefix(SCHEME),
        }
    }
}

/// Why a credential cannot be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CredentialError {
    /// The checksum of an issued key does not match.
    #[error("this API key is mistyped or cut short: its checksum does not match; copy it again")]
    MistypedKey,
    /// A JWT given as a key.
    #[error("this looks like a JSON Web Token: give it as --token or HEADGATE_TOKEN, not as a key")]
    TokenAsKey,
    /// Something else given as a token.
    #[error("this is no JSON Web Token (two dots): give an API key as --key or HEADGATE_KEY")]
    KeyAsToken,
    /// Line breaks and the like.
    #[error("a key or token has only visible ASCII characters; look for a line break or a space in it")]
    Unprintable,
    /// Both variables.
    #[error("HEADGATE_KEY and HEADGATE_TOKEN are both set: unset one, or choose with --key, --token or --anonymous")]
    TwoVariables,
}

/// What the user said on the command line.
#[derive(Clone, Copy, Default)]
pub(crate) struct Given<'a> {
    /// `--key`.
    pub(crate) key: Option<&'a str>,
    /// `--token`.
    pub(crate) token: Option<&'a str>,
    /// `--anonymous`.
    pub(crate) anonymous: bool,
}

/// The credential to use; `variable` reads the environment.
pub(crate) fn choose(
    given: Given<'_>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Credential, CredentialError> {
    if given.anonymous {
        return Ok(Credential::Anonymous);
    }
    if let Some(key) = given.key {
        return from_key(key);
    }
    if let Some(token) = given.token {
        return from_token(token);
    }
    let set = |name| variable(name).filter(|value| !value.is_empty());
    match (set(KEY_VARIABLE), set(TOKEN_VARIABLE)) {
        (None, None) => Ok(Credential::Anonymous),
        (Some(key), None) => from_key(&key),
        (None, Some(token)) => from_token(&token),
        (Some(_), Some(_)) => Err(CredentialError::TwoVariables),
    }
}

/// The credential of an API key, if it can be one.
pub(crate) fn from_key(key: &str) -> Result<Credential, CredentialError> {
    if looks_like_jwt(key) {
        return Err(CredentialError::TokenAsKey);
    }
    if shape(key) == KeyShape::Mistyped {
        return Err(CredentialError::MistypedKey);
    }
    bearer(key)
}

/// The credential of a JSON Web Token, if it can be one.
pub(crate) fn from_token(token: &str) -> Result<Credential, CredentialError> {
    if looks_like_jwt(token) { bearer(token) } else { Err(CredentialError::KeyAsToken) }
}

fn bearer(text: &str) -> Result<Credential, CredentialError> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CredentialError::Unprintable);
    }
    let mut value = HeaderValue::from_str(&format!("{SCHEME}{text}")).map_err(|_| CredentialError::Unprintable)?;
    value.set_sensitive(true);
    Ok(Credential::Bearer(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_wire::key::mint;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn header(credential: &Credential) -> &str {
        match credential {
            Credential::Anonymous => "",
            Credential::Bearer(value) => value.to_str().unwrap(),
        }
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let (_, key) = mint(1, &[1; 32]);
        let environment = |name: &str| (name == KEY_VARIABLE).then(|| "other".to_owned());
        let chosen = choose(Given { key: Some(&key), ..Given::default() }, environment).unwrap();
        assert_eq!(header(&chosen), format!("Bearer {key}"));
        assert_eq!(choose(Given { anonymous: true, ..Given::default() }, environment), Ok(Credential::Anonymous));
    }

    #[test]
    fn a_key_in_the_environment_is_used() {
        let chosen = choose(Given::default(), |name| (name == KEY_VARIABLE).then(|| "mine".to_owned())).unwrap();
        assert_eq!(header(&chosen), "Bearer mine");
    }

    #[test]
    fn no_credential_is_anonymous() {
        assert_eq!(choose(Given::default(), nothing), Ok(Credential::Anonymous));
        assert_eq!(choose(Given::default(), |_| Some(String::new())), Ok(Credential::Anonymous));
    }

    #[test]
    fn a_mistyped_key_is_noticed_before_it_is_sent() {
        let (_, key) = mint(1, &[1; 32]);
        let given = Given { key: Some(&key[..key.len() - 1]), ..Given::default() };
        assert_eq!(choose(given, nothing), Err(CredentialError::MistypedKey));
    }

    #[test]
    fn keys_and_tokens_are_not_taken_for_each_other() {
        let token_as_key = Given { key: Some("a.b.c"), ..Given::default() };
        assert_eq!(choose(token_as_key, nothing), Err(CredentialError::TokenAsKey));
        let key_as_token = Given { token: Some("hgk_x"), ..Given::default() };
        assert_eq!(choose(key_as_token, nothing), Err(CredentialError::KeyAsToken));
        assert_eq!(choose(Given::default(), |_| Some("a.b.c".to_owned())), Err(CredentialError::TwoVariables));
    }

    #[test]
    fn a_line_break_in_a_key_is_named() {
        let given = Given { key: Some("mine\n"), ..Given::default() };
        assert_eq!(choose(given, nothing), Err(CredentialError::Unprintable));
    }

    #[test]
    fn debug_output_shows_no_credential() {
        let chosen = choose(Given { key: Some("very-secret"), ..Given::default() }, nothing).unwrap();
        assert_eq!(format!("{chosen:?}"), "Bearer(…)");
    }
}
