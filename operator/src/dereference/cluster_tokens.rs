//! What the API server says about the tokens of its ServiceAccounts, for an endpoint that takes them.
//!
//! Must never judge the answer: `cluster_tokens` does. An answer that did not come is an error, so that gateways go on with
//! the keys that they have.

use super::DereferenceError;
use crate::api_server::RequestError;
use crate::cluster_tokens::{CONFIGURATION_PATH, ClusterTokens, KEY_SET_PATH, Unusable};
use crate::controller::Context;
use headgate_crds::StreamEndpoint;
use hyper::Request;

/// Who issues the cluster's tokens; `None` for an endpoint that takes none of them.
pub(super) async fn read(
    endpoint: &StreamEndpoint,
    context: &Context,
) -> Result<Option<Result<ClusterTokens, Unusable>>, DereferenceError> {
    if endpoint.spec.auth.oidc.as_ref().is_none_or(|oidc| oidc.kubernetes.is_none()) {
        return Ok(None);
    }
    let documents = tokio::try_join!(document(CONFIGURATION_PATH, context), document(KEY_SET_PATH, context))?;
    let (Some(configuration), Some(key_set)) = documents else { return Ok(Some(Err(Unusable::NotServed))) };
    Ok(Some(ClusterTokens::read(&configuration, &key_set)))
}

/// A document of the API server itself; `None` if it has none there.
async fn document(path: &str, context: &Context) -> Result<Option<String>, RequestError> {
    let failed = |error: kube::Error| RequestError::new("get", path, &error);
    let request = Request::get(path).body(Vec::new());
    let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
    match context.client.request_text(request).await {
        Ok(text) => Ok(Some(text)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
