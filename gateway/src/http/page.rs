//! `GET /{app}` from a browser: a page that shows the live stream. It holds no data and no credentials, so it is public.

use crate::rejection::{Rejection, RejectionKind};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

const PAGE: &str = include_str!("../../../console/page.html");
/// Stands in the page wherever a script or style needs the nonce.
const NONCE_PLACEHOLDER: &str = "{{nonce}}";

/// The page, allowed to run its own script only (Content Security Policy Level 3) and to connect to its own host only.
pub(super) fn page() -> Result<Response, Rejection> {
    let mut nonce = [0u8; 18];
    getrandom::fill(&mut nonce)
        .map_err(|_| Rejection::new(RejectionKind::Unavailable, "the system gives no random numbers; try again"))?;
    let nonce = STANDARD.encode(nonce);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut response = Html(PAGE.replace(NONCE_PLACEHOLDER, &nonce)).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    Ok(response)
}
