//! After a connection ended: connect again, and when, or exit, and with which code. Pure; time and chance are arguments.

use headgate_wire::close::{CloseReason, Retry, retry_after_code};
use std::time::Duration;

/// Upper bound of the first delay.
pub(crate) const FIRST_DELAY: Duration = Duration::from_millis(500);
/// Upper bound of every delay that the gateway did not ask for.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// Longest delay that a gateway may ask for.
pub(crate) const LONGEST_REQUESTED_DELAY: Duration = Duration::from_mins(10);
/// A connection that lived this long was a success: the next delay is short again.
pub(crate) const STABLE: Duration = Duration::from_secs(10);

/// Part of the sentence with which an open endpoint refuses a key.
const ACCEPTS_NONE: &str = "accepts no credentials";

/// How one connection, or the attempt, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// An HTTP answer instead of the upgrade.
    Refused {
        /// Status.
        status: u16,
        /// `Retry-After`.
        retry_after: Option<Duration>,
        /// The gateway's sentence.
        message: String,
        /// As whom it was asked for.
        sent: Sent,
    },
    /// No TCP connection, no TLS, no answer.
    Unreachable(String),
    /// The server's certificate is not trusted.
    Untrusted(String),
    /// Something answers that is no Headgate stream.
    NotHeadgate(String),
    /// A close frame.
    Closed {
        /// RFC 6455 section 7.4.
        code: u16,
        /// The words in it.
        reason: String,
    },
    /// The connection broke without a close frame.
    Lost(String),
    /// The API server does not let us through to the gateway.
    Forbidden(String),
}

/// The credential of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// A key or token.
    Credential,
    /// None.
    Nothing {
        /// Issuers whose tokens could have been sent.
        logged_in_at: Vec<String>,
    },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Connect again after this delay.
    Retry {
        /// The delay.
        after: Duration,
        /// For the user.
        because: String,
    },
    /// Give up.
    Exit(Failure),
}

/// Why the command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// Decides the exit code.
    pub(crate) kind: FailureKind,
    /// For the user.
    pub(crate) message: String,
}

/// Kinds of failure, each with an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The request was wrong.
    Usage,
    /// Refused for good.
    Refused,
    /// Never connected.
    NotConnected,
    /// Records are missing and that was not acceptable.
    Gap,
    /// Closed with a reason that another connection would meet again.
    Closed,
}

/// When things happened, at the end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// Since the command began.
    pub(crate) running: Duration,
    /// Since `ready`, if it was reached.
    pub(crate) connected: Option<Duration>,
    /// What the gateway asked for in `draining`.
    pub(crate) pause: Option<Duration>,
}

/// Remembers failures in a row.
#[derive(Debug)]
pub(crate) struct Retries {
    failures: u32,
    connected_once: bool,
    connect_timeout: Duration,
}

impl Retries {
    /// Gives up on the first connection after `connect_timeout`.
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        Self { failures: 0, connected_once: false, connect_timeout }
    }

    /// Decides what to do after `end`; `chance` is uniformly distributed.
    pub(crate) fn after(&mut self, end: &End, clock: Clock, chance: u64) -> Next {
        self.connected_once |= clock.connected.is_some();
        if clock.connected.is_some_and(|lived| lived >= STABLE) {
            self.failures = 0;
        }
        let requested = match classify(end) {
            Verdict::Exit(kind, message) => return Next::Exit(Failure { kind, message }),
            Verdict::Retry(requested) => requested.max(clock.pause).map(|asked| asked.min(LONGEST_REQUESTED_DELAY)),
        };
        let jitter = scaled(bound(self.failures), chance);
        self.failures = self.failures.saturating_add(1);
        let after = requested.map_or(jitter, |asked| asked + jitter.min(FIRST_DELAY));
        self.within_patience(end, after, requested, clock.running)
    }

    fn within_patience(&self, end: &End, after: Duration, requested: Option<Duration>, running: Duration) -> Next {
        if self.connected_once {
            return Next::Retry { after, because: describe(end) };
        }
        let left = self.connect_timeout.saturating_sub(running);
        if left.is_zero() || requested.is_some_and(|asked| asked > left) {
            let message = format!("not connected within {} s: {}", self.connect_timeout.as_secs(), describe(end));
            return Next::Exit(Failure { kind: FailureKind::NotConnected, message });
        }
        Next::Retry { after: after.min(left), because: describe(end) }
    }
}

enum Verdict {
    /// Retry, after this delay if the gateway asked for one.
    Retry(Option<Duration>),
    Exit(FailureKind, String),
}

fn classify(end: &End) -> Verdict {
    match end {
        End::Refused { status: 408 | 425 | 429 | 500..=599, retry_after, .. } => Verdict::Retry(*retry_after),
        End::Refused { status: 400, .. } => Verdict::Exit(FailureKind::Usage, describe(end)),
        End::Refused { .. } | End::NotHeadgate(_) | End::Forbidden(_) => {
            Verdict::Exit(FailureKind::Refused, describe(end))
        }
        End::Untrusted(_) => Verdict::Exit(FailureKind::NotConnected, describe(end)),
        End::Unreachable(_) | End::Lost(_) => Verdict::Retry(None),
        End::Closed { code, reason } => match advice(*code, reason) {
            Retry::Soon => Verdict::Retry(None),
            Retry::WithNewCredentials => {
                Verdict::Exit(FailureKind::Closed, format!("{}; start again with new credentials", describe(end)))
            }
            Retry::No => Verdict::Exit(FailureKind::Closed, describe(end)),
        },
    }
}

/// The advice for exactly this reason, or else for the code, which may come from a proxy.
fn advice(code: u16, reason: &str) -> Retry {
    CloseReason::ALL
        .into_iter()
        .find(|known| known.code() == code && known.as_str() == reason)
        .map_or_else(|| retry_after_code(code), CloseReason::retry)
}

fn describe(end: &End) -> String {
    match end {
        End::Refused { status, message, sent, .. } => {
            let hint = match status {
                401 => unauthorized_hint(message, sent),
                404 => " (is the app's name right?)".to_owned(),
                _ => String::new(),
            };
            format!("refused with {status}: {message}{hint}")
        }
        End::Unreachable(cause) => format!("cannot connect: {cause}"),
        End::Untrusted(cause) => format!("the server's certificate is not trusted: {cause} (--ca-cert FILE)"),
        End::NotHeadgate(cause) => format!("this is no Headgate stream: {cause}"),
        End::Closed { code, reason } if reason.is_empty() => format!("closed with code {code}"),
        End::Closed { code, reason } => format!("closed with code {code}: {reason}"),
        End::Lost(cause) => format!("connection lost: {cause}"),
        End::Forbidden(cause) => cause.clone(),
    }
}

/// What a gateway does not say of a credential, but the one who sent it, or did not, may know.
fn unauthorized_hint(message: &str, sent: &Sent) -> String {
    let hint = match sent {
        Sent::Nothing { logged_in_at } if !logged_in_at.is_empty() => {
            let issuers = logged_in_at.join(" and ");
            let issuer = if logged_in_at.len() == 1 { &issuers } else { "with the right one" };
            return format!(" (no key or token was sent, but you are logged in at {issuers}: give --issuer {issuer})");
        }
        Sent::Nothing { .. } => {
            "no key or token was sent: set HEADGATE_KEY or HEADGATE_TOKEN, give --key or --token, or use headgate login"
        }
        Sent::Credential if message.contains(ACCEPTS_NONE) => {
            "give --anonymous, or unset HEADGATE_KEY and HEADGATE_TOKEN"
        }
        Sent::Credential => {
            "a key or token was sent and refused: is it one of this endpoint's, and neither expired nor revoked?"
        }
    };
    format!(" ({hint})")
}

/// Upper bound of the delay after this many failures in a row.
fn bound(failures: u32) -> Duration {
    FIRST_DELAY.saturating_mul(1 << failures.min(16)).min(LONGEST_DELAY)
}

/// Full jitter: anything from nothing to `bound`.
fn scaled(bound: Duration, chance: u64) -> Duration {
    let nanoseconds = (bound.as_nanos() * u128::from(chance)) >> 64;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    const NEVER: Clock = Clock { running: Duration::ZERO, connected: None, pause: None };
    const BRIEFLY: Clock = Clock { connected: Some(Duration::from_secs(1)), ..NEVER };

    const NOTHING: Sent = Sent::Nothing { logged_in_at: Vec::new() };

    fn closed(reason: CloseReason) -> End {
        End::Closed { code: reason.code(), reason: reason.as_str().to_owned() }
    }

    fn refused(status: u16, retry_after: Option<u64>) -> End {
        let retry_after = retry_after.map(Duration::from_secs);
        End::Refused { status, retry_after, message: String::new(), sent: NOTHING }
    }

    fn delay(next: &Next) -> Duration {
        match next {
            Next::Retry { after, .. } => *after,
            Next::Exit(failure) => panic!("exits: {failure}"),
        }
    }

    fn exit(next: Next) -> FailureKind {
        match next {
            Next::Exit(failure) => failure.kind,
            Next::Retry { because, .. } => panic!("retries: {because}"),
        }
    }

    #[test]
    fn every_close_reason_is_followed_as_the_wire_contract_says() {
        for reason in CloseReason::ALL {
            let next = Retries::new(PATIENCE).after(&closed(reason), BRIEFLY, 0);
            match reason.retry() {
                Retry::Soon => assert_eq!(delay(&next), Duration::ZERO, "{reason}"),
                Retry::No | Retry::WithNewCredentials => assert_eq!(exit(next), FailureKind::Closed, "{reason}"),
            }
        }
    }

    #[test]
    fn a_close_by_a_proxy_is_judged_by_its_code() {
        let proxy = End::Closed { code: 1001, reason: "upstream reset".to_owned() };
        delay(&Retries::new(PATIENCE).after(&proxy, BRIEFLY, 0));
    }

    #[test]
    fn refusals_have_their_own_exit_codes() {
        let after = |status| Retries::new(PATIENCE).after(&refused(status, None), BRIEFLY, 0);
        assert_eq!(exit(after(400)), FailureKind::Usage);
        for status in [401, 403, 404, 410, 200, 302] {
            assert_eq!(exit(after(status)), FailureKind::Refused, "{status}");
        }
        for status in [429, 500, 502, 503, 504] {
            delay(&after(status));
        }
    }

    #[test]
    fn no_key_a_wrong_key_and_a_needless_key_are_told_apart() {
        let words = |message: &str, sent| {
            describe(&End::Refused { status: 401, retry_after: None, message: message.to_owned(), sent })
        };
        assert!(words("valid credentials are needed", NOTHING).contains("no key or token was sent"));
        assert!(words("valid credentials are needed", Sent::Credential).contains("was sent and refused"));
        assert!(
            words("this endpoint accepts no credentials", Sent::Credential)
                .contains("--anonymous, or unset HEADGATE_KEY")
        );
    }

    #[test]
    fn whoever_is_logged_in_is_told_how_to_use_that() {
        let words = |issuers: &[&str]| {
            let logged_in_at = issuers.iter().map(|issuer| (*issuer).to_owned()).collect();
            unauthorized_hint("valid credentials are needed", &Sent::Nothing { logged_in_at })
        };
        assert!(words(&["https://a"]).ends_with("you are logged in at https://a: give --issuer https://a)"));
        assert!(words(&["https://a", "https://b"]).contains("https://a and https://b: give --issuer with"));
    }

    #[test]
    fn retry_after_is_the_shortest_delay() {
        let next = Retries::new(PATIENCE).after(&refused(503, Some(5)), NEVER, u64::MAX);
        assert!(delay(&next) >= Duration::from_secs(5));
        assert!(delay(&next) <= Duration::from_secs(5) + FIRST_DELAY);
    }

    #[test]
    fn a_draining_gateway_says_how_long_to_wait() {
        let clock = Clock { pause: Some(Duration::from_secs(2)), ..BRIEFLY };
        let next = Retries::new(PATIENCE).after(&closed(CloseReason::Restart), clock, 0);
        assert_eq!(delay(&next), Duration::from_secs(2));
    }

    #[test]
    fn no_gateway_can_ask_for_an_endless_pause() {
        let next = Retries::new(PATIENCE).after(&refused(503, Some(u64::MAX / 2)), BRIEFLY, 0);
        assert_eq!(delay(&next), LONGEST_REQUESTED_DELAY);
    }

    #[test]
    fn the_first_connection_is_given_up_after_the_timeout_and_later_ones_never() {
        let end = End::Unreachable("refused".to_owned());
        let late = Clock { running: PATIENCE, ..NEVER };
        assert_eq!(exit(Retries::new(PATIENCE).after(&end, late, 0)), FailureKind::NotConnected);
        let mut retries = Retries::new(PATIENCE);
        retries.after(&End::Lost("reset".to_owned()), BRIEFLY, 0);
        delay(&retries.after(&end, late, 0));
    }

    #[test]
    fn a_retry_after_beyond_the_timeout_ends_at_once() {
        let next = Retries::new(PATIENCE).after(&refused(503, Some(31)), NEVER, 0);
        assert_eq!(exit(next), FailureKind::NotConnected);
    }

    #[test]
    fn the_last_attempt_is_made_before_the_timeout() {
        let clock = Clock { running: Duration::from_millis(29_999), ..NEVER };
        let next = Retries::new(PATIENCE).after(&End::Unreachable(String::new()), clock, u64::MAX);
        assert_eq!(delay(&next), Duration::from_millis(1));
    }

    #[test]
    fn an_untrusted_certificate_is_not_tried_again() {
        let next = Retries::new(PATIENCE).after(&End::Untrusted("unknown issuer".to_owned()), NEVER, 0);
        assert_eq!(exit(next), FailureKind::NotConnected);
    }

    #[test]
    fn delays_grow_with_failures_in_a_row_and_start_anew_after_a_stable_connection() {
        let mut retries = Retries::new(PATIENCE);
        let end = End::Lost("reset".to_owned());
        let mut delays: Vec<_> = (0..8).map(|_| delay(&retries.after(&end, BRIEFLY, u64::MAX))).collect();
        assert!(delays.is_sorted());
        assert!(delays.pop().unwrap() > LONGEST_DELAY / 2);
        let stable = Clock { connected: Some(STABLE), ..NEVER };
        assert!(delay(&retries.after(&end, stable, u64::MAX)) <= FIRST_DELAY);
    }

    proptest! {
        #[test]
        fn every_delay_stays_within_its_bound(failures in 0u32..100, chance: u64) {
            prop_assert!(scaled(bound(failures), chance) < bound(failures));
            prop_assert!(bound(failures) <= LONGEST_DELAY);
        }

        #[test]
        fn no_close_frame_makes_it_panic(code: u16, reason in ".{0,123}", chance: u64) {
            Retries::new(PATIENCE).after(&End::Closed { code, reason }, NEVER, chance);
        }
    }
}
