//! The only writer of children: makes them as they are wanted, in an order that never leaves anything half usable.
//!
//! Owns the order and its reason: what is mounted comes before the pods that mount it; the digests of keys, by which keys
//! are revoked, come before anything that a quota or a policy could refuse; keys that gateways already have stay readable
//! until then, and keys that they no longer accept are deleted after. Must never touch an object that is not the
//! endpoint's own, nor write what is already so.

mod credentials;
mod difference;
mod owner;
mod pods;
mod quantity;
mod writer;

pub use owner::{Owner, Ownership};
pub use writer::ANNOTATION_APPLIED_HASH;

use crate::api_server::RequestError;
use crate::controller::Context;
use crate::dereference::Dereferenced;
use crate::keys::{KeyPlan, SecretChange, TicketPlan};
use crate::resources::{Applied, Existing, Prepared, Resources};
use headgate_crds::reasons::Reason;
use std::marker::PhantomData;
use writer::{Version, Writer};

/// Field manager of everything that is written here.
pub const FIELD_MANAGER: &str = "headgate-operator";

/// A child that could not be made as it is wanted.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Somebody else has an object of that name.
    #[error("{object} belongs to somebody else: rename or delete it, or rename the StreamEndpoint")]
    Foreign {
        /// Kind and name.
        object: String,
        /// Whether it is a Secret.
        secret: bool,
    },
    /// The object of an earlier endpoint of that name is still there.
    #[error("{object} belongs to an earlier StreamEndpoint of this name: waiting until it is removed")]
    Former {
        /// Kind and name.
        object: String,
    },
    /// An object that has no JSON.
    #[error("failed to write {object} as JSON")]
    Unwritable {
        /// Kind and name.
        object: String,
    },
    /// The API server refused.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl ApplyError {
    /// The word for it in conditions, events and metrics.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Foreign { secret: true, .. } => Reason::SecretConflict,
            Self::Foreign { secret: false, .. } => Reason::ChildConflict,
            Self::Former { .. } => Reason::Progressing,
            Self::Unwritable { .. } => Reason::ApiServerError,
            Self::Request(error) => error.reason,
        }
    }

    /// Whether it may succeed without anybody's change.
    pub fn retry(&self) -> bool {
        !self.reason().needs_change()
    }
}

/// Makes all children as they are wanted.
///
/// # Errors
///
/// The first one that could not be made; those before it are as they are wanted.
pub async fn apply(
    prepared: Resources<Prepared>,
    plan: &KeyPlan,
    found: &Dereferenced,
    owner: &Owner,
    context: &Context,
) -> Result<Resources<Applied>, ApplyError> {
    let writer = Writer { client: &context.client, owner };
    let existing = &found.existing;
    let service_account = writer.apply(prepared.service_account, existing.service_account.as_ref()).await?;
    let config_map = writer.apply(prepared.config_map, existing.config_map.as_ref()).await?;
    issue_keys(&writer, plan).await?;
    make_tickets(&writer, &plan.tickets, existing).await?;
    let verifier = writer.apply(prepared.verifier, existing.verifier.as_ref()).await?;
    let kafka = writer.apply_optional(prepared.kafka, existing.kafka.as_ref()).await?;
    let service = writer.apply(prepared.service, existing.service.as_ref()).await?;
    let network_policy = writer.apply_optional(prepared.network_policy, existing.network_policy.as_ref()).await?;
    let disruption_budget =
        writer.apply_optional(prepared.disruption_budget, existing.disruption_budget.as_ref()).await?;
    let deployment = credentials::with_version(prepared.deployment, kafka.as_ref());
    let deployment = writer.apply(deployment, existing.deployment.as_ref()).await?;
    // Without the API there is nothing to apply it to; the status says so.
    let http_route = prepared.http_route.filter(|_| context.optional_apis.http_route());
    let http_route = writer.apply_optional(http_route, existing.http_route.as_ref()).await?;
    let ingress = writer.apply_optional(prepared.ingress, existing.ingress.as_ref()).await?;
    let public_service = writer.apply_optional(prepared.public_service, existing.public_service.as_ref()).await?;
    let applied = Resources {
        service_account,
        config_map,
        verifier,
        kafka,
        service,
        deployment,
        disruption_budget,
        network_policy,
        http_route,
        ingress,
        public_service,
        reload_hash: prepared.reload_hash,
        state: PhantomData,
    };
    remove_keys(&writer, plan).await?;
    prune(&writer, &applied, existing).await?;
    tell_pods(&writer, &applied, found).await?;
    Ok(applied)
}

/// Ends what the endpoint is no longer allowed: its pods, its ways in from outside, and its credentials for Kafka. Keys
/// stay, so that clients need no new ones if it is allowed again.
///
/// # Errors
///
/// The first child that could not be deleted.
pub async fn withdraw(existing: &Existing, owner: &Owner, context: &Context) -> Result<(), ApplyError> {
    let writer = Writer { client: &context.client, owner };
    // Any version of them: what changes all the time, as a Deployment's status does, must not put this off.
    if let Some(deployment) = &existing.deployment {
        writer.delete(deployment, Version::Any).await?;
    }
    if let Some(kafka) = &existing.kafka {
        writer.delete(kafka, Version::Any).await?;
    }
    if let Some(http_route) = &existing.http_route {
        writer.delete(http_route, Version::Any).await?;
    }
    if let Some(ingress) = &existing.ingress {
        writer.delete(ingress, Version::Any).await?;
    }
    if let Some(public_service) = &existing.public_service {
        writer.delete(public_service, Version::Any).await?;
    }
    Ok(())
}

async fn issue_keys(writer: &Writer<'_>, plan: &KeyPlan) -> Result<(), ApplyError> {
    for change in &plan.changes {
        match change {
            SecretChange::Create(secret) => writer.create(secret).await?,
            SecretChange::Replace(secret) => writer.replace(secret).await?,
            SecretChange::Delete(_) => {}
        }
    }
    Ok(())
}

/// Makes the key of tickets. The Secret of somebody else in its place is not for pods to mount.
async fn make_tickets(writer: &Writer<'_>, plan: &TicketPlan, existing: &Existing) -> Result<(), ApplyError> {
    if let (true, Some(secret)) = (plan.is_wanted, &existing.tickets) {
        writer.check(secret)?;
    }
    match &plan.change {
        Some(SecretChange::Create(secret)) => writer.create(secret).await,
        Some(SecretChange::Replace(secret)) => writer.replace(secret).await,
        Some(SecretChange::Delete(_)) | None => Ok(()),
    }
}

async fn remove_keys(writer: &Writer<'_>, plan: &KeyPlan) -> Result<(), ApplyError> {
    for change in plan.changes.iter().chain(&plan.tickets.change) {
        if let SecretChange::Delete(secret) = change {
            writer.delete(secret, Version::AsRead).await?;
        }
    }
    Ok(())
}

/// Deletes what was wanted once and is not any more.
async fn prune(writer: &Writer<'_>, applied: &Resources<Applied>, existing: &Existing) -> Result<(), ApplyError> {
    writer.prune(applied.kafka.is_some(), existing.kafka.as_ref()).await?;
    writer.prune(applied.disruption_budget.is_some(), existing.disruption_budget.as_ref()).await?;
    writer.prune(applied.network_policy.is_some(), existing.network_policy.as_ref()).await?;
    writer.prune(applied.http_route.is_some(), existing.http_route.as_ref()).await?;
    writer.prune(applied.ingress.is_some(), existing.ingress.as_ref()).await?;
    writer.prune(applied.public_service.is_some(), existing.public_service.as_ref()).await
}

async fn tell_pods(writer: &Writer<'_>, applied: &Resources<Applied>, found: &Dereferenced) -> Result<(), ApplyError> {
    let replicas = applied.deployment.spec.replicas.unwrap_or(1);
    for pod in &found.pods {
        if let Some(annotations) = pods::wanted(pod, &applied.reload_hash, replicas) {
            writer.annotate(&pod.name, &pod.uid, annotations).await?;
        }
    }
    Ok(())
}
