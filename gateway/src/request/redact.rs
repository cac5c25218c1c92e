//! A request target as a log may show it: with the values of parameters that are known to be harmless, and no others.
//!
//! Owns that choice. A misspelt `tokn=` or a bare `?<key>` is as secret as `token=`, so everything unknown is hidden, and
//! so is everything that has the form of a credential, wherever it stands.

use super::percent_decoded;
use super::query::{CREDENTIALS, FILTER_PREFIX, PARAMETERS};
use headgate_wire::key::{KEY_PREFIX, looks_like_jwt};
use std::borrow::Cow;

/// Most bytes of a target that are logged, not counting the mark of a cut.
pub const MAX_LOGGED_TARGET_BYTES: usize = 1024;

const HIDDEN: &str = "***";
const CUT: char = '…';
/// Every JSON object in base64 begins like this, so every JSON Web Token does.
const JWT_BEGINS: &str = "ey";

/// The target with everything hidden that might be a credential, cut to [`MAX_LOGGED_TARGET_BYTES`].
pub fn redacted(path_and_query: &str) -> String {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let segments = path.split('/').enumerate().map(|(n, text)| (if n == 0 { "" } else { "/" }, shown(text).into()));
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    let pairs = pairs.enumerate().map(|(n, pair)| (if n == 0 { "?" } else { "&" }, shown_pair(pair)));
    let mut target = String::new();
    for (separator, piece) in segments.chain(pairs) {
        if target.len() + separator.len() + piece.len() > MAX_LOGGED_TARGET_BYTES {
            target.push(CUT);
            break;
        }
        target.push_str(separator);
        target.push_str(&piece);
    }
    target
}

/// One `name=value` of a query, or what can be said of it.
fn shown_pair(pair: &str) -> Cow<'_, str> {
    let Some((name, value)) = pair.split_once('=') else { return if pair.is_empty() { "" } else { HIDDEN }.into() };
    // Compared as it is read, so that `%74oken=` is not shown; written as it is named.
    let Some(decoded) = percent_decoded(name) else { return HIDDEN.into() };
    if let Some(known) = PARAMETERS.into_iter().find(|known| decoded.eq_ignore_ascii_case(known)) {
        let value = if CREDENTIALS.contains(&known) { HIDDEN } else { shown(value) };
        return format!("{known}={value}").into();
    }
    if decoded.starts_with(FILTER_PREFIX) { format!("{}={}", shown(name), shown(value)).into() } else { HIDDEN.into() }
}

/// A text of the target, unless it has the form of a credential or could not be shown on one line.
fn shown(text: &str) -> &str {
    let harmless = |decoded: String| {
        let jwt = decoded.starts_with(JWT_BEGINS) && looks_like_jwt(&decoded);
        !jwt && !decoded.contains(KEY_PREFIX) && !text.contains(char::is_control)
    };
    if percent_decoded(text).is_some_and(harmless) { text } else { HIDDEN }
}
