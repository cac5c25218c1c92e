//! The ConfigMap with the gateway's configuration.

use super::metadata;
use crate::model::Endpoint;
use headgate_wire::endpoints::CONFIG_FILE;
use k8s_openapi::api::core::v1::ConfigMap;

/// `config` is the text of the file that a gateway is started with.
pub(super) fn config_map(endpoint: &Endpoint, config: String) -> ConfigMap {
    ConfigMap {
        metadata: metadata::gateway(endpoint),
        data: Some([(CONFIG_FILE.to_owned(), config)].into()),
        ..ConfigMap::default()
    }
}
