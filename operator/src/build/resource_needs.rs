//! CPU and memory of a gateway, as far as the endpoint does not say it: from what it may hold at most.

use crate::model::Endpoint;
use headgate_crds::v1alpha1::Resources;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// What a gateway without clients and records holds, in bytes.
const BASE_BYTES: u64 = 48 * 1024 * 1024;
/// Copies of the newest records that can exist at once: as records, as frames of views, on the way from Kafka.
const COPIES_OF_RING: u64 = 5;
/// What a connection holds, in bytes: buffers of the kernel that count as the pod's, and our own.
const BYTES_PER_CONNECTION: u64 = 16 * 1024;
/// How far a gateway may go beyond what it asks for before it is stopped.
const MEMORY_HEADROOM: u64 = 2;
/// CPU that a gateway asks for. It has no limit: being held back is a delay for every client.
const CPU: &str = "100m";
/// Bytes of the unit in which memory is written.
const MEBIBYTE: u64 = 1024 * 1024;

/// Resources of the container. One that the endpoint mentions, as a request or as a limit, is its own, because what we
/// would add could contradict it.
pub(super) fn resource_needs(endpoint: &Endpoint) -> ResourceRequirements {
    let Resources { mut requests, mut limits } = endpoint.pod.resources.clone();
    let is_free = |name: &str| !requests.contains_key(name) && !limits.contains_key(name);
    let (cpu_is_free, memory_is_free) = (is_free("cpu"), is_free("memory"));
    if cpu_is_free {
        requests.insert("cpu".to_owned(), Quantity(CPU.to_owned()));
    }
    if memory_is_free {
        let needed = memory(endpoint).div_ceil(MEBIBYTE);
        requests.insert("memory".to_owned(), mebibytes(needed));
        limits.insert("memory".to_owned(), mebibytes(needed * MEMORY_HEADROOM));
    }
    ResourceRequirements::from(&Resources { requests, limits })
}

/// What a gateway that is used to its limits holds, in bytes.
fn memory(endpoint: &Endpoint) -> u64 {
    let ring = COPIES_OF_RING.saturating_mul(endpoint.stream.replay.ring_bytes);
    let connections = BYTES_PER_CONNECTION.saturating_mul(endpoint.limits.max_connections.into());
    BASE_BYTES.saturating_add(ring).saturating_add(connections)
}

fn mebibytes(count: u64) -> Quantity {
    Quantity(format!("{count}Mi"))
}
