//! Where the tools are that `cargo xtask setup` installs: it names them in environment variables.
//!
//! A missing tool is an error that says what to run; it is never a test that passes without having tested.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folder with the jars of Apache Kafka.
pub fn kafka_lib() -> Result<PathBuf> {
    path("HEADGATE_KAFKA_LIB")
}

/// The Python interpreter that has the packages of `tests/servers/python/requirements.txt`.
pub fn python() -> Result<PathBuf> {
    path("HEADGATE_PYTHON")
}

/// A Chromium browser.
pub fn chromium() -> Result<PathBuf> {
    path("HEADGATE_CHROMIUM")
}

/// The `node_modules` folder with playwright-core.
pub fn playwright() -> Result<PathBuf> {
    path("HEADGATE_PLAYWRIGHT")
}

fn path(variable: &str) -> Result<PathBuf> {
    let value = std::env::var_os(variable);
    value.map(PathBuf::from).with_context(|| {
        format!(
            "{variable} is not set: run `cargo xtask test`, or `eval \"$(cargo xtask setup)\"` in this shell before"
        )
    })
}
