//! The product in a real Kubernetes.
//!
//! Without the feature `pods` there is a control plane only, in which no pod ever starts.

mod control_plane;
#[cfg(feature = "pods")]
mod nodes;
#[cfg(all(feature = "pods", feature = "real-servers"))]
mod pods;
#[cfg(all(feature = "pods", feature = "real-servers"))]
mod product;
