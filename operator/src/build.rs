//! The model becomes what is applied and mounted: one file per kind of thing.
//!
//! Builders are pure and cannot fail: whatever could be wrong was refused by [`validate`](crate::validate()). They must
//! never read a spec. Every object is whole: what is not in it is given up, because server-side apply removes it. No list
//! repeats an entry, which server-side apply would refuse.
//!
//! | file | what |
//! |---|---|
//! | `metadata` | name, labels and owner of every child |
//! | `hash` | how a change is told |
//! | `gateway_config`, `config_map` | what a gateway reads at its start |
//! | `verifier`, `kafka_secret` | what it reads from Secrets |
//! | `deployment`, `resource_needs`, `volumes`, `service_account` | its pods |
//! | `service`, `disruption_budget`, `network_policy` | what surrounds them |
//! | `http_route`, `ingress`, `public_service` | the ways in from outside the cluster |

mod config_map;
mod deployment;
mod disruption_budget;
mod gateway_config;
mod hash;
mod http_route;
mod ingress;
mod kafka_secret;
pub(crate) mod metadata;
mod network_policy;
mod public_service;
mod resource_needs;
mod service;
mod service_account;
mod verifier;
mod volumes;
mod yaml;

pub use gateway_config::gateway_config;
pub use public_service::{PUBLIC_PORT, PUBLIC_TLS_PORT};
pub use yaml::to_yaml;

use crate::keys::KeyPlan;
use crate::model::Endpoint;
use crate::resources::{Prepared, Resources};
use crate::settings::Settings;
use std::marker::PhantomData;

/// Every child of the endpoint but the Secrets of its keys and tickets, as it should be. The same input gives the same objects.
pub fn build(endpoint: &Endpoint, plan: &KeyPlan, settings: &Settings) -> Resources<Prepared> {
    let config = gateway_config(endpoint, settings);
    let verifiers = verifier::files(endpoint, &plan.verifiers);
    let reload_hash = hash::reloaded(endpoint, &config, &verifiers);
    let config_hash = hash::read_at_start(endpoint, &config, plan.tickets.digest.as_deref());
    Resources {
        service_account: service_account::service_account(endpoint),
        config_map: config_map::config_map(endpoint, to_yaml(&config)),
        verifier: verifier::verifier(endpoint, verifiers),
        kafka: kafka_secret::kafka_secret(endpoint),
        service: service::service(endpoint, settings),
        deployment: deployment::deployment(endpoint, settings, config_hash),
        disruption_budget: disruption_budget::disruption_budget(endpoint),
        network_policy: network_policy::network_policy(endpoint, settings),
        http_route: http_route::http_route(endpoint, settings),
        ingress: ingress::ingress(endpoint),
        public_service: public_service::public_service(endpoint),
        reload_hash,
        state: PhantomData,
    }
}
