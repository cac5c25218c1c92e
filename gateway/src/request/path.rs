//! The path of a stream: `/{app}`, `/{app}/{channel}`, or the alias `ws` instead of the app.
//!
//! Owns how segments are told apart and decoded: split first, then decode, so that an escaped slash never splits.

use super::error::Part;
use super::{MAX_VALUE_BYTES, RequestError, percent_decoded};
use headgate_wire::endpoints::ALIAS_PATH;

/// The decoded channel of a path that belongs to this app.
pub(super) fn channel(app: &str, path: &str) -> Result<Option<String>, RequestError> {
    let mut segments = path.strip_prefix('/').ok_or(RequestError::UnknownStream)?.split('/');
    let first = segments.next().and_then(percent_decoded).ok_or(RequestError::UnknownStream)?;
    if first != app && first != ALIAS_PATH {
        return Err(RequestError::UnknownStream);
    }
    let Some(segment) = segments.next() else { return Ok(None) };
    if segment.is_empty() {
        return Err(RequestError::EmptyChannel);
    }
    if segments.next().is_some() {
        return Err(RequestError::ChannelOfSeveralSegments);
    }
    let channel = percent_decoded(segment).ok_or(RequestError::Encoding(Part::Path))?;
    if channel.len() > MAX_VALUE_BYTES {
        return Err(RequestError::TooLong(Part::Path));
    }
    Ok(Some(channel))
}
