//! Runs the perl side of the tests: t/*.t against the extension in tests/extension.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Builds the extension, with all that it needs, and returns where it is.
fn extension() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("perl");
    let status = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["build", "--quiet", "--offline", "--features", "process"])
        .args(["--example", "perlxs_test", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .expect("cargo");
    assert!(status.success(), "the extension does not build: {status}");
    target.join("debug/examples/libperlxs_test.so")
}

#[test]
fn perl_side() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let lib = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lib");
    let installed = lib.join("auto/PerlXS/Test/Test.so");
    fs::create_dir_all(installed.parent().expect("a parent")).expect("a directory to load from");
    let _ = fs::remove_file(&installed);
    fs::copy(extension(), &installed).expect("the extension");

    let perl = env::var("PERL").unwrap_or_else(|_| "perl".into());
    let program = "use Test::Harness; runtests(sort glob shift)";
    let status = Command::new(perl)
        .args(["-e", program, "t/*.t"])
        .current_dir(&tests)
        .env("PERLXS_TEST_LIB", &lib)
        .status()
        .expect("perl runs Test::Harness");
    assert!(status.success(), "the perl side: {status}");
}
