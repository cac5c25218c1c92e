//! `cargo xtask images`: writes the images of the operator and of the gateway as archives into a folder.
//!
//! How an image is made is in the harness (`images.rs`).

use std::path::PathBuf;

use anyhow::{Context, Result};
use headgate_tests::images;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).context("usage: headgate-images FOLDER")?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    images::pack_operator(&folder.join("operator.tar"))?;
    images::pack_gateway(&folder.join("gateway.tar"))
}
