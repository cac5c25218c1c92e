//! Refusals for a browser's `EventSource`.
//!
//! It takes any status but 200 as final (WHATWG HTML, section 9.2.3), so a plain page would be dead after a restart that
//! takes a second. What is refused for a while is answered with 200, the time after which to come back, and an end: that is
//! what makes it reconnect. Clients that read statuses send their credentials in `Authorization`, which an `EventSource`
//! cannot, and get the status.

use super::accepts;
use crate::rejection::{Rejection, RejectionKind};
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ORIGIN, REFERER, RETRY_AFTER, UPGRADE};
use http::{HeaderName, Method, Request, StatusCode};

/// Browsers send it with every request of a page, programs do not (Fetch Metadata, section 2.2).
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// Clients that were refused together come back within this share of the time that they are told, in per cent.
const JITTER_PERCENT: u32 = 50;

/// True for a request of an `EventSource`, as far as can be told.
pub(super) fn reconnects_by_itself(request: &Request<()>) -> bool {
    let headers = request.headers();
    let is_of_a_page = [SEC_FETCH_MODE, ORIGIN, REFERER].iter().any(|name| headers.contains_key(name));
    request.method() == Method::GET
        && is_of_a_page
        && accepts(request, "text/event-stream")
        && !headers.contains_key(UPGRADE)
        && !headers.contains_key(AUTHORIZATION)
}

/// The refusal as a stream that ends at once, if it is worth coming back; otherwise as it is.
pub(super) fn refuse(rejection: Rejection) -> Response {
    let Some(seconds) = rejection.retry_after_seconds().filter(|_| is_temporary(rejection.kind())) else {
        return rejection.into_response();
    };
    let retry_ms = seconds.saturating_mul(1000);
    let jitter = getrandom::u32().unwrap_or_default() % (retry_ms / 100 * JITTER_PERCENT + 1);
    let (word, body) = (rejection.kind().word(), rejection.body());
    let stream = format!("retry: {}\nevent: refused\ndata: {body}\n\n", retry_ms.saturating_add(jitter));
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store, no-transform"),
        (HeaderName::from_static("x-headgate-refused"), word),
    ];
    let mut response = (StatusCode::OK, headers, stream).into_response();
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

fn is_temporary(kind: RejectionKind) -> bool {
    matches!(kind.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}
