//! Every object that belongs to one endpoint: as it should be, as the API server has accepted it, and as it was found.
//!
//! Owns the list of kinds and the way from prepared to applied: only [`apply`](crate::apply) can make an applied set, so
//! that a status can never be computed from what was merely intended. The Secrets of keys and tickets are not here, because
//! they are created once instead of being applied: [`KeyPlan`](crate::keys::KeyPlan) has them.

use crate::gateway_api::HttpRoute;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use std::marker::PhantomData;

/// The objects as the builders want them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {}

/// The objects as the API server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {}

/// Every child of one endpoint but the Secrets of keys and tickets. An optional kind that is absent is not wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Resources<State> {
    /// Identity of the pods, without any right.
    pub service_account: ServiceAccount,
    /// The gateway's configuration.
    pub config_map: ConfigMap,
    /// What credentials are checked with: digests of the keys, and public keys and certificates for tokens.
    pub verifier: Secret,
    /// What pods need to log in to Kafka.
    pub kafka: Option<Secret>,
    /// The gateways within the cluster.
    pub service: Service,
    /// The gateway pods.
    pub deployment: Deployment,
    /// How many pods may be evicted at once.
    pub disruption_budget: Option<PodDisruptionBudget>,
    /// Who may reach the pods.
    pub network_policy: Option<NetworkPolicy>,
    /// Route of the Gateway API.
    pub http_route: Option<HttpRoute>,
    /// Ingress.
    pub ingress: Option<Ingress>,
    /// Service of type LoadBalancer.
    pub public_service: Option<Service>,
    /// Hash of what running pods reload from their volumes without a restart.
    pub reload_hash: String,
    /// Prepared or applied.
    pub state: PhantomData<State>,
}

/// The children that were found, whoever owns them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Existing {
    /// See [`Resources::service_account`].
    pub service_account: Option<ServiceAccount>,
    /// See [`Resources::config_map`].
    pub config_map: Option<ConfigMap>,
    /// See [`Resources::verifier`].
    pub verifier: Option<Secret>,
    /// See [`Resources::kafka`].
    pub kafka: Option<Secret>,
    /// See [`Resources::service`].
    pub service: Option<Service>,
    /// See [`Resources::deployment`].
    pub deployment: Option<Deployment>,
    /// See [`Resources::disruption_budget`].
    pub disruption_budget: Option<PodDisruptionBudget>,
    /// See [`Resources::network_policy`].
    pub network_policy: Option<NetworkPolicy>,
    /// See [`Resources::http_route`].
    pub http_route: Option<HttpRoute>,
    /// See [`Resources::ingress`].
    pub ingress: Option<Ingress>,
    /// See [`Resources::public_service`].
    pub public_service: Option<Service>,
    /// Secrets with the labels of this endpoint's keys, whoever owns them.
    pub keys: Vec<Secret>,
    /// Secrets in which users bring keys for this endpoint.
    pub brought_keys: Vec<Secret>,
    /// Secret with the name of the one for tickets, whoever owns it.
    pub tickets: Option<Secret>,
}
