//! The controllers: what wakes them, and what they do, which is `reconcile`.
//!
//! Owns the order of the steps. Must never contain a step: each has a file of its own, and only `dereference`, `apply` and
//! the write of the status see the API server.
//!
//! ```text
//! dereference (reads) → validate (pure) → plan the keys (pure) → build (pure) → apply (writes) → status (pure, one write)
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `run` | running until told to stop: spans, metrics, retries |
//! | `queue`, `watches` | what wakes a controller, and for which objects |
//! | `pulse` | noticing what no watch can show |
//! | `context` | what every reconcile is given |
//! | `report`, `status`, `broken` | what becomes known of it |
//! | `backoff`, `schedule` | when an object is looked at again |

pub(crate) mod backoff;
pub(crate) mod broken;
mod context;
mod pulse;
mod queue;
pub(crate) mod report;
mod run;
mod schedule;
pub(crate) mod status;
mod watches;

pub use context::{Clock, Context, EntropySource, Installation, OptionalApis};
pub use run::{RunError, run};
pub use status::STATUS_FIELD_MANAGER;

use crate::api_server::RequestError;
use crate::apply::{self, ApplyError, Owner, apply};
use crate::build::build;
use crate::dereference::{DereferenceError, Dereferenced, dereference};
use crate::keys::{self, Entropy, KeyInputs, KeyPlan};
use crate::model::Endpoint;
use crate::status::{Outcome, url};
use crate::validate::{Invalid, validate};
use headgate_crds::reasons::Reason;
use headgate_crds::{StreamEndpoint, names};
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use report::{conclude, is_paused};
use schedule::resync;
use std::sync::Arc;

/// A reconcile that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Something could not be read.
    #[error(transparent)]
    Dereference(#[from] DereferenceError),
    /// The system has no entropy, without which no key can be issued.
    #[error("failed to get entropy for a key")]
    Entropy(#[from] getrandom::Error),
    /// A child could not be made as it is wanted. The status says so.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The status could not be written.
    #[error(transparent)]
    Status(RequestError),
    /// A step panicked, which is a bug. Other objects are not touched by it.
    #[error("the reconcile panicked; report this as a bug")]
    Panicked,
}

impl ReconcileError {
    /// The word for it in events and metrics.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Dereference(error) => error.reason(),
            Self::Apply(error) => error.reason(),
            Self::Status(error) if error.reason == Reason::OperatorForbidden => error.reason,
            Self::Entropy(_) | Self::Status(_) | Self::Panicked => Reason::ApiServerError,
        }
    }

    /// Whether it may succeed without anybody's change.
    pub fn retry(&self) -> bool {
        !self.reason().needs_change()
    }
}

/// Makes the cluster what the endpoint asks for, as far as that is possible now, and says how far it came.
///
/// # Errors
///
/// The step that failed. Whoever calls tries again if [`ReconcileError::retry`] says so.
pub async fn reconcile(
    object: Arc<DeserializeGuard<StreamEndpoint>>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let endpoint = match &object.0 {
        Ok(endpoint) if endpoint.metadata.deletion_timestamp.is_some() => return Ok(Action::await_change()),
        Ok(endpoint) => endpoint,
        Err(invalid) => {
            let reported = broken::report::<StreamEndpoint>(invalid, &context).await;
            return reported.map(|()| resync(&object, &context)).map_err(ReconcileError::Status);
        }
    };
    let found = dereference(endpoint, &context).await?;
    context.pulses.remember(endpoint, &found.pods);
    if is_paused(endpoint) {
        return conclude(endpoint, &found, Outcome::Paused, &context).await.map(|_| resync(&object, &context));
    }
    let model = match validate(endpoint, &found.references) {
        Ok(model) => model,
        Err(invalid) => {
            return refuse(endpoint, &found, &invalid, &context).await.map(|()| resync(&object, &context));
        }
    };
    let plan = plan_keys(endpoint, &model, &found, &context)?;
    let prepared = build(&model, &plan, &context.settings);
    let applied = Box::pin(apply(prepared, &plan, &found, &Owner::of(endpoint), &context)).await;
    let outcome = match &applied {
        Ok(resources) => Outcome::Applied { endpoint: &model, resources, plan: &plan },
        Err(error) => Outcome::Failed { reason: error.reason(), message: &error.to_string() },
    };
    let status = conclude(endpoint, &found, outcome, &context).await?;
    applied?;
    report::keys(endpoint, &plan, &context).await;
    Ok(schedule::next(&object, &status, &plan, &context))
}

/// An endpoint that cannot be built: its children stay, unless the platform team has withdrawn what they are for.
async fn refuse(
    endpoint: &StreamEndpoint,
    found: &Dereferenced,
    invalid: &Invalid,
    context: &Context,
) -> Result<(), ReconcileError> {
    if let Some(problem) = invalid.problems.first() {
        context.metrics.failed(problem.reason);
    }
    let withdrawn = if invalid.problems.iter().any(|problem| problem.reason.withdraws()) {
        apply::withdraw(&found.existing, &Owner::of(endpoint), context).await
    } else {
        Ok(())
    };
    conclude(endpoint, found, Outcome::Invalid(invalid), context).await?;
    Ok(withdrawn?)
}

/// What to do about the endpoint's keys.
fn plan_keys(
    endpoint: &StreamEndpoint,
    model: &Endpoint,
    found: &Dereferenced,
    context: &Context,
) -> Result<KeyPlan, ReconcileError> {
    let url = url(model, &found.existing, &context.settings.cluster_domain);
    let inputs = KeyInputs {
        secrets: &found.existing.keys,
        brought: &found.existing.brought_keys,
        tickets: found.existing.tickets.as_ref(),
        rotate: endpoint.annotations().get(names::ANNOTATION_ROTATE).map(String::as_str),
        url: url.as_deref(),
    };
    let mut missing = None;
    let plan = keys::plan(model, &inputs, context.now(), &mut || {
        // A plan with a key that could be guessed is thrown away below.
        context.entropy().unwrap_or_else(|error| {
            missing = Some(error);
            Entropy { id: 0, secret: [0; 32] }
        })
    });
    missing.map_or(Ok(plan), |error| Err(ReconcileError::Entropy(error)))
}
