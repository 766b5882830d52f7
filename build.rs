//! Refuses systems without clone(2), links the unwinder statically, and tells the version.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, exit};

/// Rust's library asks the linker for libgcc_s.so. To load that file takes as long as all the rest
/// of loading this module, so a linker script of that name puts the static copy in its place.
/// Where the C compiler has none, the shared one stays.
fn link_unwinder_statically() {
    let cc = env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut words = cc.split_whitespace();
    let Some(program) = words.next() else { return };
    let Ok(output) = Command::new(program)
        .args(words)
        .arg("-print-file-name=libgcc_eh.a")
        .output()
    else {
        return;
    };
    // without one it prints the bare name
    if !Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute() {
        return;
    }
    let directory = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let script = Path::new(&directory).join("libgcc_s.so");
    if let Err(e) = fs::write(&script, "INPUT(-lgcc_eh -lgcc)\n") {
        eprintln!("linux-clone: cannot write {}: {e}", script.display());
        exit(1);
    }
    println!("cargo::rustc-link-search=native={directory}");
}

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
    println!("cargo::rerun-if-env-changed=CC");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        eprintln!("linux-clone: clone(2) is a system call of Linux; this target has none");
        exit(1);
    }
    link_unwinder_statically();
    tell_version();
}
