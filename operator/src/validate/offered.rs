//! What the API has and the gateways of this version do not offer: refused by name, never ignored.
//!
//! A manifest that is right for the API is stored all the same, and works as it is once gateways have learnt it. What
//! stands here is what a gateway would refuse at its start, so that it is said where the user looks, before a pod
//! exists. A SASL mechanism is refused by `kafka`, which cannot represent it.

use super::Problems;
use headgate_crds::v1alpha1::StreamEndpointSpec;

/// Reports what gateways of this version do not offer.
pub(super) fn check(spec: &StreamEndpointSpec, problems: &mut Problems) {
    if spec.stream.publish.is_some() {
        let message = "gateways of this version do not take messages from clients: remove publish, and the permission \
                       Publish from keys; write to the Kafka topic instead";
        problems.invalid("spec.stream.publish", message);
    }
}
