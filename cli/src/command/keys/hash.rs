//! `headgate keys hash`: the digest of a key, for manifests. The key comes from the standard input only, where it ends up
//! in no process list and no shell history.

use crate::output::{Output, notice};
use anyhow::{Context as _, bail};
use headgate_wire::key::{KeyDigest, KeyShape, looks_like_jwt, shape};
use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

/// Fewest characters of a key that nobody guesses.
const MIN_KEY_LENGTH: usize = 16;
/// Most characters of a key that gateways accept.
const MAX_KEY_LENGTH: usize = 512;

/// Prints the digest of the key on the standard input.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        notice("type or paste the key, then Enter and Ctrl-D");
    }
    let mut text = String::new();
    // One byte more than a key and a line break, so that a longer one is noticed.
    let limit = MAX_KEY_LENGTH as u64 * 4 + 3;
    stdin.lock().take(limit).read_to_string(&mut text).context("failed to read the key: it must be UTF-8 text")?;
    let mut output = Output::stdout();
    output.line(digest(&text)?.to_string().as_bytes())?;
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn digest(text: &str) -> anyhow::Result<KeyDigest> {
    let key = text.trim_end_matches(['\r', '\n']);
    let length = key.chars().count();
    if key.is_empty() {
        bail!("there is no key on the standard input: headgate keys hash <key.txt");
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("a key has only visible ASCII characters: look for a line break or a space in it");
    }
    if looks_like_jwt(key) {
        bail!("this has two dots and would be taken for a JSON Web Token: choose another key");
    }
    if shape(key) == KeyShape::Mistyped {
        bail!("this key is mistyped or cut short: its checksum does not match; copy it again");
    }
    if !(MIN_KEY_LENGTH..=MAX_KEY_LENGTH).contains(&length) {
        bail!("a key has {MIN_KEY_LENGTH} to {MAX_KEY_LENGTH} characters, this one {length}: openssl rand -hex 32");
    }
    Ok(KeyDigest::of(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_break_at_the_end_is_no_part_of_the_key() {
        let key = "0123456789abcdef";
        assert_eq!(digest(&format!("{key}\n")).unwrap().to_string(), KeyDigest::of(key).to_string());
        assert_eq!(digest(&format!("{key}\r\n")).unwrap().to_string(), KeyDigest::of(key).to_string());
    }

    #[test]
    fn what_no_gateway_would_accept_is_refused_without_being_repeated() {
        let long = "x".repeat(MAX_KEY_LENGTH + 1);
        for wrong in
            ["", "\n", "short", "two words 0123456789", "aaaaaaaa.bbbbbbbb.cccccccc", "hgk_abcdefgh_cut", &long]
        {
            let error = digest(wrong).map(|_| ()).unwrap_err().to_string();
            assert!(wrong.len() < 4 || !error.contains(wrong), "{error}");
        }
    }
}
