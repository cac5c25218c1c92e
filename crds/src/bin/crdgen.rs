//! Writes the generated files, or with `--check` says whether they are current. Owns nothing else.

use std::path::Path;
use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "a command line tool says on stderr what went wrong")]
fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match headgate_crds::codegen::generate(&root, check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
