//! The generated files are what the types say, and can be installed.

use headgate_crds::codegen;

#[test]
fn generated_files_are_current() {
    if let Err(error) = codegen::generate(&super::root(), true) {
        panic!("{error}");
    }
}

#[test]
fn crds_fit_into_the_annotation_of_client_side_apply() {
    for (path, contents) in codegen::files().unwrap() {
        assert!(contents.len() < codegen::MAX_CRD_BYTES, "{} has {} bytes", path.display(), contents.len());
    }
}

#[test]
fn a_check_writes_nothing() {
    let path = std::env::temp_dir().join(format!("headgate-ensure-{}", std::process::id()));
    assert!(matches!(codegen::ensure(&path, "text", true), Err(codegen::GenerateError::Outdated(_))));
    assert!(!path.exists());
    codegen::ensure(&path, "text", false).unwrap();
    codegen::ensure(&path, "text", true).unwrap();
    std::fs::remove_file(&path).unwrap();
}
