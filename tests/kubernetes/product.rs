//! The product in real pods: the chart, the operator, its gateways, clients, and everything that happens to them.

mod command_line;
mod first_event;
mod follower;
mod gateway_api;
mod kafka_conditions;
mod keys;
mod lifecycle;
mod login;
mod namespaced;
mod no_loss;
#[cfg(feature = "nodes")]
mod nodes;
mod service_accounts;
mod stage;
mod tenants;
