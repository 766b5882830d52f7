//! Refuses systems without clone(2), and links the unwinder statically.

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

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CC");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        eprintln!("linux-clone: clone(2) is a system call of Linux; this target has none");
        exit(1);
    }
    link_unwinder_statically();
}
