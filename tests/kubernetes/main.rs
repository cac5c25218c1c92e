//! The product in a real Kubernetes.
//!
//! Without the feature `pods` there is a control plane only, in which no pod ever starts; without the feature `nodes`,
//! the nodes are somebody else's.

mod api;
mod control_plane;
#[cfg(target_os = "linux")]
mod many;
#[cfg(feature = "nodes")]
mod nodes;
#[cfg(all(feature = "pods", feature = "real-servers"))]
mod pods;
#[cfg(all(feature = "pods", feature = "real-servers"))]
mod product;
