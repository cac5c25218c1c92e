//! What another endpoint has already: its app within the namespace, its path under a host name.
//!
//! Owns who keeps it: the endpoint that came first. Must never name an endpoint of another namespace, nor the namespace.

use super::{Problems, Request};
use crate::references::Neighbour;
use headgate_crds::reasons::Reason;
use headgate_crds::v1alpha1::Exposure;

/// Reports what an earlier endpoint has. One that the platform team does not allow has nothing.
pub(super) fn check(request: &Request<'_>, problems: &mut Problems) {
    let same_app = |other: &&Neighbour| !other.refused && other.app == request.app.as_str();
    let (siblings, strangers): (Vec<_>, Vec<_>) = request
        .references
        .earlier
        .iter()
        .filter(same_app)
        .partition(|other| other.namespace == request.namespace.as_str());
    if let Some(sibling) = siblings.first() {
        let message = format!(
            "is {}, which the StreamEndpoint {} of this namespace serves already: choose another app, or delete that \
             endpoint",
            request.app, sibling.name
        );
        problems.add(Reason::AppConflict, "spec.app", message);
    }
    let access = &request.spec.public_access;
    let Some(hostname) = access.hostname.as_deref().filter(|_| is_shared(access.exposure)) else { return };
    if strangers.iter().any(|other| is_shared(other.exposure) && other.hostname.as_deref() == Some(hostname)) {
        let app = request.app;
        let message =
            format!("{hostname}/{app} belongs to another StreamEndpoint already: choose another app or hostname");
        problems.add(Reason::HostnameConflict, "spec.publicAccess.hostname", message);
    }
}

/// Whether something routes to several endpoints by host name and path. A load balancer has an address of its own.
fn is_shared(exposure: Exposure) -> bool {
    matches!(exposure, Exposure::Gateway | Exposure::Ingress)
}

#[cfg(test)]
mod tests;
