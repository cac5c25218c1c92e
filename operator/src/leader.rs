//! Which replica works: the one that holds a `Lease` (`coordination.k8s.io/v1`). The others wait, ready to take over.
//!
//! ```text
//! candidate  pure: what was seen and when → create, acquire, renew or wait; until when it leads
//! record     pure: a Lease as data, and the next one to write
//! elector    the loop around them, and the only requests for Leases
//! announce   an event about a new leader
//! term       work while leading; drain, release, or stop at once when the Lease is lost
//! ```
//!
//! As in Kubernetes' own components, nobody trusts the clock of another: a Lease has expired when its holder has not
//! changed it for its whole duration *on the clock of whoever looks*, and a holder stops earlier than that, counted from
//! before it sent its last renewal. A Lease does not fence a process that was frozen; that requests are idempotent and
//! carry versions does.

pub mod announce;
pub mod candidate;
pub mod elector;
pub mod record;
pub mod term;

pub use announce::announce;
pub use candidate::Timing;
pub use elector::{Elector, ElectorSettings, Ended, Leadership};
pub use term::{TermError, lead};

#[cfg(test)]
pub(crate) mod api_server;
