//! Which version runs. The version of the workspace is the only one; no commit is asked for, so that two builds of one
//! source are the same.

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Version of every Headgate package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Adds the metric `<prefix>_build_info{version}`.
pub fn register(registry: &mut Registry) {
    registry.register("build", "Version of the running process", Info::new(vec![("version", VERSION)]));
}
