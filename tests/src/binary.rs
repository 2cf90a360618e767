//! The binary under test.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Names a binary to test in place of the workspace's own.
const VARIABLE: &str = "QUORATE_BIN";

/// The path of `quorate`: what `QUORATE_BIN` names, or else what Cargo builds in the profile of the
/// running test.
///
/// Cargo builds the binaries of a package before its tests, but not those of other packages, so the first
/// caller has it built; that is quick if it is there already.
///
/// # Panics
///
/// If it cannot be built.
pub fn quorate() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| env::var_os(VARIABLE).map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    // A test is TARGET/PROFILE/deps/NAME.
    let test = env::current_exe().expect("a running test has a path");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("a test is in a folder of its profile");
    let target = folder
        .parent()
        .expect("a profile's folder is in the target folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--package", "quorate-cli", "--bin", "quorate"])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be run");
    let words = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "quorate cannot be built:\n{words}");
    folder.join("quorate")
}
