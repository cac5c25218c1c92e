//! Opening a page in the browser of this desktop, if there is one.

use std::process::{Command, Stdio};

/// The program that hands an address to the desktop.
const PROGRAM: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Starts it; whether somebody sees the page cannot be known.
pub(super) fn open(url: &str) {
    let mut command = Command::new(PROGRAM);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Without a desktop the address on the terminal has to do.
    let _ = command.spawn();
}
