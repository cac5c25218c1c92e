//! From one stream to many clients.
//!
//! [`shard`] takes steps of the stream in, [`router`] finds the [`view`]s that may show them, each view's frames go into its
//! [`log`] once, and its clients are positions in that log. [`recent`] keeps the newest records for clients that come back. What
//! all of it may hold is counted in the pod's [`budget`]s.

pub mod budget;
pub mod log;
pub mod recent;
pub mod router;
pub mod shard;
pub mod view;
