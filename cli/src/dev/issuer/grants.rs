//! What was granted and not redeemed yet: codes, devices, refresh tokens. All of it bounded; time is an argument.

use super::{Fields, is_local_redirect};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// RFC 8628 section 3.4.
pub(super) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How long a code waits to be redeemed.
pub(super) const LIFETIME: Duration = Duration::from_mins(5);
/// Most of each kind; beyond, the oldest is forgotten.
const MAX_PENDING: usize = 256;
/// Random bytes of what must not be guessed.
const SECRET_BYTES: usize = 24;
/// Letters of a code that people type, without those that look alike (RFC 8628 section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LETTERS: usize = 8;

/// A request to log in (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub(super) redirect_uri: String,
    pub(super) state: String,
    client_id: String,
    challenge: String,
    nonce: Option<String>,
}

/// Who may have tokens.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    /// Place among the people.
    pub(super) person: usize,
    pub(super) client_id: String,
    pub(super) nonce: Option<String>,
    pub(super) refresh_token: String,
}

/// RFC 6749 section 5.2 and RFC 8628 section 3.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    InvalidRequest,
    InvalidGrant,
    UnsupportedGrantType,
    AuthorizationPending,
    ServerError,
}

impl Refusal {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::AuthorizationPending => "authorization_pending",
            Self::ServerError => "server_error",
        }
    }
}

/// Everything that is waiting.
#[derive(Debug, Default)]
pub(super) struct Grants {
    codes: VecDeque<Code>,
    devices: VecDeque<Device>,
    refresh_tokens: VecDeque<Granted>,
}

#[derive(Debug)]
struct Code {
    text: String,
    asked: Authorization,
    person: usize,
    end: Instant,
}

#[derive(Debug)]
struct Device {
    /// What the device has.
    secret: String,
    user_code: String,
    client_id: String,
    person: Option<usize>,
    end: Instant,
}

impl Authorization {
    /// Reads the query of the page.
    pub(super) fn read(fields: &Fields) -> Result<Self, &'static str> {
        let field = |name: &str| fields.get(name).filter(|value| !value.is_empty()).cloned();
        let redirect_uri = field("redirect_uri").filter(|url| is_local_redirect(url));
        let redirect_uri = redirect_uri.ok_or("redirect_uri must be an address of this machine")?;
        if field("response_type").as_deref() != Some("code") {
            return Err("response_type must be code");
        }
        if field("code_challenge_method").as_deref() != Some("S256") {
            return Err("code_challenge_method must be S256");
        }
        Ok(Self {
            redirect_uri,
            state: field("state").unwrap_or_default(),
            client_id: field("client_id").ok_or("client_id is missing; any name will do")?,
            challenge: field("code_challenge").ok_or("code_challenge is missing")?,
            nonce: field("nonce"),
        })
    }
}

impl Grants {
    /// A code for somebody who has chosen to be this person.
    pub(super) fn code(&mut self, asked: Authorization, person: usize, now: Instant) -> Result<String, Refusal> {
        let text = secret()?;
        keep(&mut self.codes, Code { text: text.clone(), asked, person, end: now + LIFETIME });
        Ok(text)
    }

    /// Codes for a device and for whoever stands before it.
    pub(super) fn device(&mut self, asked: &Fields, now: Instant) -> Result<(String, String), Refusal> {
        let client_id = asked.get("client_id").cloned().ok_or(Refusal::InvalidRequest)?;
        let (device_code, user_code) = (secret()?, user_code()?);
        let (kept, told) = (device_code.clone(), user_code.clone());
        keep(&mut self.devices, Device { secret: kept, user_code: told, client_id, person: None, end: now + LIFETIME });
        Ok((device_code, user_code))
    }

    /// Lets the device with this code be this person. False if there is none.
    pub(super) fn allow(&mut self, user_code: &str, person: usize, now: Instant) -> bool {
        let wanted = user_code.trim().to_ascii_uppercase();
        let device = self.devices.iter_mut().find(|device| device.user_code == wanted && device.end > now);
        device.is_some_and(|device| device.person.replace(person).is_none())
    }

    /// Who a request to the token endpoint is from. Every code and refresh token is good once.
    pub(super) fn redeem(&mut self, asked: &Fields, now: Instant) -> Result<Granted, Refusal> {
        let field = |name: &str| asked.get(name).map(String::as_str).ok_or(Refusal::InvalidRequest);
        let (person, client_id, nonce) = match field("grant_type")? {
            "authorization_code" => self.redeem_code(field("code")?, asked, now)?,
            "refresh_token" => {
                let text = field("refresh_token")?;
                let at = self.refresh_tokens.iter().position(|known| known.refresh_token == text);
                let granted = at.and_then(|at| self.refresh_tokens.remove(at)).ok_or(Refusal::InvalidGrant)?;
                (granted.person, granted.client_id, None)
            }
            DEVICE_GRANT => self.redeem_device(field("device_code")?, now)?,
            _ => return Err(Refusal::UnsupportedGrantType),
        };
        let granted = Granted { person, client_id, nonce, refresh_token: secret()? };
        keep(&mut self.refresh_tokens, granted.clone());
        Ok(granted)
    }

    fn redeem_code(
        &mut self,
        text: &str,
        asked: &Fields,
        now: Instant,
    ) -> Result<(usize, String, Option<String>), Refusal> {
        let at = self.codes.iter().position(|code| code.text == text).ok_or(Refusal::InvalidGrant)?;
        let code = self.codes.remove(at).ok_or(Refusal::InvalidGrant)?;
        let is = |name: &str, value: &str| asked.get(name).is_some_and(|given| given == value);
        let challenge = asked.get("code_verifier").map(|verifier| URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)));
        let proven = challenge.as_ref() == Some(&code.asked.challenge);
        let fits = is("redirect_uri", &code.asked.redirect_uri) && is("client_id", &code.asked.client_id);
        if code.end <= now || !proven || !fits {
            return Err(Refusal::InvalidGrant);
        }
        Ok((code.person, code.asked.client_id, code.asked.nonce))
    }

    fn redeem_device(&mut self, text: &str, now: Instant) -> Result<(usize, String, Option<String>), Refusal> {
        let at = self.devices.iter().position(|device| device.secret == text && device.end > now);
        let at = at.ok_or(Refusal::InvalidGrant)?;
        let person = self.devices[at].person.ok_or(Refusal::AuthorizationPending)?;
        let device = self.devices.remove(at).ok_or(Refusal::InvalidGrant)?;
        Ok((person, device.client_id, None))
    }
}

fn keep<T>(pending: &mut VecDeque<T>, new: T) {
    if pending.len() >= MAX_PENDING {
        pending.pop_front();
    }
    pending.push_back(new);
}

fn secret() -> Result<String, Refusal> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::ServerError)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn user_code() -> Result<String, Refusal> {
    let mut bytes = [0; USER_CODE_LETTERS];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::ServerError)?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "a-verifier-of-a-test-that-is-long-enough-for-the-rule";
    const REDIRECT: &str = "http://127.0.0.1:9/callback";

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn asked() -> Authorization {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let query = [
            ("response_type", "code"),
            ("client_id", "cli"),
            ("redirect_uri", REDIRECT),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        Authorization::read(&fields(&query)).unwrap()
    }

    fn redeem(code: &str, verifier: &str) -> Fields {
        fields(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("client_id", "cli"),
            ("code_verifier", verifier),
        ])
    }

    #[test]
    fn a_code_is_good_once_in_time_and_for_whoever_has_the_verifier() {
        let (mut grants, now) = (Grants::default(), Instant::now());
        let code = grants.code(asked(), 1, now).unwrap();
        assert_eq!(grants.redeem(&redeem(&code, VERIFIER), now).unwrap().person, 1);
        assert_eq!(grants.redeem(&redeem(&code, VERIFIER), now).unwrap_err(), Refusal::InvalidGrant);
        let code = grants.code(asked(), 1, now).unwrap();
        assert_eq!(grants.redeem(&redeem(&code, "another"), now).unwrap_err(), Refusal::InvalidGrant);
        let code = grants.code(asked(), 1, now).unwrap();
        assert_eq!(grants.redeem(&redeem(&code, VERIFIER), now + LIFETIME).unwrap_err(), Refusal::InvalidGrant);
    }

    #[test]
    fn a_device_waits_until_somebody_types_its_code() {
        let (mut grants, now) = (Grants::default(), Instant::now());
        let (device_code, user_code) = grants.device(&fields(&[("client_id", "tv")]), now).unwrap();
        let ask = fields(&[("grant_type", DEVICE_GRANT), ("device_code", &device_code)]);
        assert_eq!(grants.redeem(&ask, now).unwrap_err(), Refusal::AuthorizationPending);
        assert!(!grants.allow("ANOTHER", 0, now));
        assert!(grants.allow(&user_code.to_lowercase(), 2, now));
        assert_eq!(grants.redeem(&ask, now).unwrap().person, 2);
    }

    #[test]
    fn a_refresh_token_is_replaced_by_the_next() {
        let (mut grants, now) = (Grants::default(), Instant::now());
        let code = grants.code(asked(), 0, now).unwrap();
        let first = grants.redeem(&redeem(&code, VERIFIER), now).unwrap();
        let again = fields(&[("grant_type", "refresh_token"), ("refresh_token", &first.refresh_token)]);
        assert_eq!(grants.redeem(&again, now).unwrap().person, 0);
        assert_eq!(grants.redeem(&again, now).unwrap_err(), Refusal::InvalidGrant);
    }

    #[test]
    fn what_nobody_redeems_does_not_pile_up() {
        let (mut grants, now) = (Grants::default(), Instant::now());
        for _ in 0..2 * MAX_PENDING {
            grants.code(asked(), 0, now).unwrap();
        }
        assert_eq!(grants.codes.len(), MAX_PENDING);
    }
}
