//! Why an endpoint is not ready: what can be seen of it, what that means, and how it is told.
//!
//! `gather` reads and never fails for want of a right; `explain` and `render` are pure.

mod explain;
mod gather;
mod pods;
mod render;

#[cfg(test)]
mod tests;

pub(crate) use explain::explain;
pub(crate) use gather::gather;
pub(crate) use render::render;
