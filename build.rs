//! Refuses systems without clone(2), and tells the version.

use std::env;
use std::process::exit;

/// Perl's form of Cargo.toml's version, without the patch level: 2.0.0 is 2.000, 2.10.0 is 2.010.
fn tell_version() {
    let part = |name: &str| -> u32 {
        let part = env::var(name).expect("cargo sets the version");
        part.parse().expect("it is of numbers")
    };
    println!(
        "cargo::rustc-env=PERL_VERSION={}.{:03}",
        part("CARGO_PKG_VERSION_MAJOR"),
        part("CARGO_PKG_VERSION_MINOR")
    );
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        eprintln!("linux-clone: clone(2) is a system call of Linux; this target has none");
        exit(1);
    }
    tell_version();
}
