//! Appends JSON tokens to a payload without allocating.
//!
//! Writing to a `Vec` cannot fail, and neither can serialising a string or an integer: nothing here returns an error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Anything of ours; it must have no map whose keys are not strings, the only thing that JSON cannot express.
pub(super) fn value(payload: &mut Vec<u8>, value: &impl serde::Serialize) {
    let _ = serde_json::to_writer(payload, value);
}

/// A string with its quotation marks.
pub(super) fn string(payload: &mut Vec<u8>, text: &str) {
    value(payload, &text);
}

/// A number.
pub(super) fn integer(payload: &mut Vec<u8>, number: i64) {
    value(payload, &number);
}

/// `,"name":` of a name that needs no escaping.
pub(super) fn next_member(payload: &mut Vec<u8>, name: &str) {
    payload.extend_from_slice(b",\"");
    payload.extend_from_slice(name.as_bytes());
    payload.extend_from_slice(b"\":");
}

/// Base64 (RFC 4648 section 4), without quotation marks.
pub(super) fn base64(payload: &mut Vec<u8>, bytes: &[u8]) {
    let start = payload.len();
    // Grown a little too far and cut: the exact length is not worth another pass.
    payload.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    let written = STANDARD.encode_slice(bytes, &mut payload[start..]).unwrap_or_default();
    payload.truncate(start + written);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn base64_appends_what_the_base64_crate_makes(bytes: Vec<u8>) {
            let mut payload = b"before".to_vec();
            base64(&mut payload, &bytes);
            prop_assert_eq!(String::from_utf8(payload).unwrap(), format!("before{}", STANDARD.encode(&bytes)));
        }
    }
}
