//! `text/event-stream` (WHATWG HTML, section 9.2): fields, and data that may have several lines.
//!
//! A line break within data, CR LF and CR included, arrives as LF: the format has no other.

/// Appends the fields before the data. `cursor` becomes the client's `Last-Event-ID`.
pub(super) fn begin(name: Option<&str>, cursor: Option<&str>, payload: &mut Vec<u8>) {
    for (field, value) in [("event: ", name), ("id: ", cursor)] {
        if let Some(value) = value {
            payload.extend_from_slice(field.as_bytes());
            payload.extend_from_slice(value.as_bytes());
            payload.push(b'\n');
        }
    }
}

/// Appends the data that `write` appends, and the blank line that ends a message.
pub(super) fn data(payload: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    payload.extend_from_slice(b"data: ");
    let start = payload.len();
    write(payload);
    if memchr::memchr2(b'\r', b'\n', &payload[start..]).is_some() {
        split_lines(payload, start);
    }
    payload.extend_from_slice(b"\n\n");
}

/// Begins a `data:` line after every line break from `start` on.
fn split_lines(payload: &mut Vec<u8>, start: usize) {
    let text = payload.split_off(start);
    let mut rest = text.as_slice();
    while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
        payload.extend_from_slice(&rest[..end]);
        payload.extend_from_slice(b"\ndata: ");
        let line_break = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[end + line_break..];
    }
    payload.extend_from_slice(rest);
}
