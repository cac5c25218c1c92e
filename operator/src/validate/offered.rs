//! What the API has and the gateways of this version do not offer: refused by name, never ignored.
//!
//! A manifest that is right for the API is stored all the same, and works as it is once gateways have learnt it. What
//! stands here is what a gateway would refuse at its start, so that it is said where the user looks, before a pod
//! exists. A SASL mechanism is refused by `kafka`, which cannot represent it, and a filter by `filters`.

use super::Problems;
use headgate_crds::v1alpha1::{Auth, Replay, StreamEndpointSpec};
use std::ops::RangeInclusive;

/// Names of apps that a gateway needs for itself, besides those that the API reserves.
const RESERVED_APPS: [&str; 7] = ["metrics", "livez", "readyz", "healthz", "status", "liveness", "readiness"];
/// Bytes of recent messages that a gateway can keep; the API begins at 64 KiB.
const RING_BYTES: RangeInclusive<i64> = 1_048_576..=1_073_741_824;
/// Replays that a gateway can run at the same time; the API ends at 1024.
const MAX_CONCURRENT_REPLAYS: i32 = 256;

/// Reports what gateways of this version do not offer.
pub(super) fn check(spec: &StreamEndpointSpec, problems: &mut Problems) {
    if RESERVED_APPS.contains(&spec.app.as_str()) {
        problems.invalid("spec.app", format!("\"{}\" is a path of the gateway itself: choose another name", spec.app));
    }
    if spec.stream.publish.is_some() {
        let message = "gateways of this version do not take messages from clients: remove publish, and the permission \
                       Publish from keys; write to the Kafka topic instead";
        problems.invalid("spec.stream.publish", message);
    }
    replay(&spec.stream.replay, problems);
    auth(&spec.auth, problems);
}

fn auth(auth: &Auth, problems: &mut Problems) {
    if auth.mode.accepts_tokens() {
        let mode = auth.mode.as_str();
        let message = format!("{mode} is not offered by gateways of this version, which check no tokens: use ApiKey");
        problems.invalid("spec.auth.mode", message);
    }
}

fn replay(replay: &Replay, problems: &mut Problems) {
    if !RING_BYTES.contains(&replay.ring_bytes) {
        let (least, most) = (RING_BYTES.start(), RING_BYTES.end());
        let message =
            format!("is {}: choose {least} to {most}, which gateways of this version can keep", replay.ring_bytes);
        problems.invalid("spec.stream.replay.ringBytes", message);
    }
    if replay.max_concurrent > MAX_CONCURRENT_REPLAYS {
        let message = format!(
            "is {}: gateways of this version can run at most {MAX_CONCURRENT_REPLAYS}, so lower it",
            replay.max_concurrent
        );
        problems.invalid("spec.stream.replay.maxConcurrent", message);
    }
}
