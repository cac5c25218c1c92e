//! What the API server's refusals mean.
//!
//! Owns the translation into [`Reason`]s, and the error that every step which talks to the API server has in common. Must
//! never keep an answer that could not be read: it may be a Secret.

use headgate_crds::reasons::Reason;
use kube::core::Status;

/// Most characters of the API server's words that are kept.
const MAX_MESSAGE_CHARACTERS: usize = 512;

/// A request to the API server that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to {verb} {object}: {message}")]
pub struct RequestError {
    /// What was tried, as RBAC has it: `get`, `list`, `create`, `update`, `patch` or `delete`.
    pub verb: &'static str,
    /// Kind and name, like `Deployment orders-gateway`.
    pub object: String,
    /// The word for it in conditions, events and metrics.
    pub reason: Reason,
    /// HTTP status of the answer; absent if there was none.
    pub status: Option<u16>,
    /// The API server's words, or what became of the request.
    pub message: String,
}

impl RequestError {
    /// What failed, without anything that could be a secret.
    pub(crate) fn new(verb: &'static str, object: impl Into<String>, error: &kube::Error) -> Self {
        let (reason, message) = (reason(error), message(error));
        let status = if let kube::Error::Api(status) = error { Some(status.code) } else { None };
        Self { verb, object: object.into(), reason, status, message }
    }

    /// Whether the object was not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }

    /// Whether the object was not the one that was meant, or had changed.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status == Some(409)
    }
}

/// Whether the operator may not do this, and never could, whatever the request says.
pub(crate) fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

fn reason(error: &kube::Error) -> Reason {
    match error {
        kube::Error::Api(status) => refusal(status),
        _ => Reason::ApiServerError,
    }
}

/// Admission plugins, webhooks, policies and RBAC all answer 403 or 422, so that only their words tell them apart.
fn refusal(status: &Status) -> Reason {
    let says = |words: &str| status.message.contains(words);
    let by_admission = says("admission webhook") || says("ValidatingAdmissionPolicy") || says("violates PodSecurity");
    match status.code {
        _ if by_admission => Reason::AdmissionDenied,
        403 if says("exceeded quota") || says("failed quota") || says("maximum ") || says("minimum ") => {
            Reason::QuotaExceeded
        }
        // It will soon be gone, and the endpoint with it.
        403 if says("because it is being terminated") => Reason::ApiServerError,

        403 if says(" cannot ") => Reason::OperatorForbidden,
        403 => Reason::AdmissionDenied,
        422 => Reason::InvalidSpec,
        _ => Reason::ApiServerError,
    }
}

/// The API server's words, within a bound and without anything that could be a secret.
pub(crate) fn message(error: &kube::Error) -> String {
    let text = match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.as_str(),
        kube::Error::Api(status) => return format!("the API server answered with status {}", status.code),
        // Its words could be those of a Secret.
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => "the API server's answer could not be read",
        kube::Error::Auth(_) => "the operator's own credentials could not be used",
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => "the request could not be made",
        _ => "the API server did not answer",
    };
    match text.char_indices().nth(MAX_MESSAGE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, message: &str) -> RequestError {
        let status = Status::failure(message, "Forbidden").with_code(code);
        RequestError::new("patch", "Deployment orders-gateway", &kube::Error::Api(status.boxed()))
    }

    #[test]
    fn refusals_are_told_apart_by_the_api_servers_words() {
        for (code, message, reason) in [
            (403, r#"pods "a" is forbidden: exceeded quota: pods, requested: pods=1"#, Reason::QuotaExceeded),
            (403, r#"pods "a" is forbidden: maximum memory usage per Pod is 1Gi"#, Reason::QuotaExceeded),
            (403, r#"services is forbidden: User "x" cannot patch resource "services""#, Reason::OperatorForbidden),
            (403, "unable to create: namespace shop: because it is being terminated", Reason::ApiServerError),
            (400, r#"admission webhook "p.example.com" denied the request: no"#, Reason::AdmissionDenied),
            (422, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", Reason::AdmissionDenied),
            (422, r#"Deployment.apps "a" is invalid: spec.selector"#, Reason::InvalidSpec),
            (409, "the object has been modified", Reason::ApiServerError),
            (429, "too many requests", Reason::ApiServerError),
            (500, "", Reason::ApiServerError),
        ] {
            assert_eq!(refused(code, message).reason, reason, "{code} {message}");
        }
    }

    #[test]
    fn an_answer_that_could_not_be_read_is_not_repeated() {
        let secret = serde_json::from_str::<u32>("\"hunter2\"").unwrap_err();
        assert!(secret.to_string().contains("hunter2"), "{secret}");
        let error = RequestError::new("get", "Secret user", &kube::Error::SerdeError(secret));
        assert_eq!(error.to_string(), "failed to get Secret user: the API server's answer could not be read");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn what_the_api_server_says_is_kept_within_a_bound() {
        assert_eq!(refused(500, &"ä".repeat(9000)).message.chars().count(), MAX_MESSAGE_CHARACTERS + 1);
    }
}
