//! Refuses systems without clone(2).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        eprintln!("linux-clone: clone(2) is a system call of Linux; this target has none");
        std::process::exit(1);
    }
}
