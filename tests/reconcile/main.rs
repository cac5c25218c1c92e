//! What the operator does to a cluster, against a strict API server in this process: the same result whatever happens
//! meanwhile, nothing written without need, nothing foreign touched, no key where it does not belong.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a failed expectation ends the test that has it, and objects are written where they are used"
)]

mod crashes;
mod drift;
mod failures;
mod foreign;
mod idempotence;
mod keys;
mod leader;
mod life;
mod rights;
mod secrets;
mod server;
mod stage;
mod tenants;
mod tokens;
mod watching;
