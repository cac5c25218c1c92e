//! The model becomes what is applied and mounted: one file per kind of thing.
//!
//! Builders are pure and cannot fail: whatever could be wrong was refused by [`validate`](crate::validate()). They must
//! never read a spec.

mod gateway_config;
mod yaml;

pub use gateway_config::gateway_config;
pub use yaml::to_yaml;
