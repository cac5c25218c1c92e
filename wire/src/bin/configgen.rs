//! Writes the reference of the gateway's configuration file. That it is current is checked by a test.

use headgate_wire::reference;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::write(root.join(reference::PATH), reference::page())
}
