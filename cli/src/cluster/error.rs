//! Why a cluster could not be asked, or said no, and what to do next.

use kube::config::KubeconfigError;
use kube::core::Status;
use std::fmt::Write as _;

/// What an API server answers with if it does not know the kind.
const NO_SUCH_PAGE: u16 = 404;

/// Why a cluster could not be asked, or said no.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    /// Nothing says where a cluster is.
    #[error("no cluster is known here ({0}): log in to one as for kubectl, or name a file with --kubeconfig")]
    NoKubeconfig(String),
    /// A kubeconfig without a current context.
    #[error("the kubeconfig has no current context: choose one with --context{0}")]
    NoContext(String),
    /// A context that the kubeconfig does not have.
    #[error("the kubeconfig has no context \"{context}\"{hint}")]
    UnknownContext {
        /// What was asked for.
        context: String,
        /// What there is.
        hint: String,
    },
    /// A kubeconfig that cannot be used.
    #[error("failed to use the kubeconfig: {0}")]
    Kubeconfig(KubeconfigError),
    /// Certificates, proxies and the like.
    #[error("failed to prepare the connection to the API server: {0}")]
    Setup(String),
    /// No answer.
    #[error("failed to {action}: the API server does not answer: {cause} (is this the right --context?)")]
    Unreachable {
        /// Completes "failed to".
        action: String,
        /// What the connection said.
        cause: String,
    },
    /// 401, or a log-in that failed before.
    #[error("failed to {action}: the API server does not know you: {cause}; log in again as for kubectl")]
    Unauthorized {
        /// Completes "failed to".
        action: String,
        /// What it said.
        cause: String,
    },
    /// 403.
    #[error("not allowed to {action}: {message}; ask whoever gives out rights in this cluster")]
    Forbidden {
        /// Completes "not allowed to".
        action: String,
        /// Which right is missing.
        message: String,
    },
    /// The kinds are not there.
    #[error("this cluster has no Headgate: it does not know StreamEndpoints (is this the right --context?)")]
    NotInstalled,
    /// No such endpoint.
    #[error("namespace {namespace} has no StreamEndpoint \"{name}\"{hint}")]
    NoEndpoint {
        /// What was asked for.
        name: String,
        /// Where.
        namespace: String,
        /// What was probably meant.
        hint: String,
    },
    /// Something else that is missing.
    #[error("failed to {action}: {message}")]
    NotFound {
        /// Completes "failed to".
        action: String,
        /// What the API server said.
        message: String,
    },
    /// The object was changed meanwhile.
    #[error("failed to {action}: somebody else changes it at the same time; try again")]
    Conflict {
        /// Completes "failed to".
        action: String,
    },
    /// Any other refusal.
    #[error("failed to {action}: {message}")]
    Refused {
        /// Completes "failed to".
        action: String,
        /// What the API server said.
        message: String,
    },
}

impl ClusterError {
    /// What an error of the client means. `action` completes "failed to …".
    pub(crate) fn judge(action: &str, error: kube::Error) -> Self {
        let action = action.to_owned();
        match error {
            kube::Error::Api(status) => Self::of_status(action, *status),
            kube::Error::Auth(error) => Self::Unauthorized { action, cause: chain(&error) },
            // A later or earlier version may store what this one cannot read.
            kube::Error::SerdeError(error) => {
                Self::Refused { action, message: format!("this version of headgate cannot read the answer: {error}") }
            }
            kube::Error::Service(error) => Self::Unreachable { action, cause: chain(error.as_ref()) },
            error => Self::Unreachable { action, cause: chain(&error) },
        }
    }

    fn of_status(action: String, status: Status) -> Self {
        let message = status.message;
        match status.code {
            401 => Self::Unauthorized { action, cause: message },
            403 => Self::Forbidden { action, message },
            NO_SUCH_PAGE => Self::NotFound { action, message },
            409 => Self::Conflict { action },
            _ => Self::Refused { action, message },
        }
    }

    /// Whether nothing here says where a cluster is.
    pub(crate) fn is_no_cluster(&self) -> bool {
        matches!(self, Self::NoKubeconfig(_) | Self::NoContext(_))
    }

    /// Whether the cluster was never reached, as opposed to having said no.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.is_no_cluster() || matches!(self, Self::Unreachable { .. })
    }
}

/// An error with its causes, each said once.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(code: u16) -> String {
        let status = Status { code, message: "pods is forbidden".to_owned(), ..Status::success() };
        ClusterError::judge("list pods", kube::Error::Api(Box::new(status))).to_string()
    }

    #[test]
    fn every_refusal_says_what_to_do_next() {
        assert_eq!(
            judged(403),
            "not allowed to list pods: pods is forbidden; ask whoever gives out rights in this cluster"
        );
        assert!(judged(401).ends_with("log in again as for kubectl"), "{}", judged(401));
        assert!(judged(409).ends_with("try again"), "{}", judged(409));
        assert_eq!(judged(422), "failed to list pods: pods is forbidden");
    }
}
