//! Compiles the C shim against the headers of the perl that `$PERL` names, else of the `perl`
//! on the PATH.

use std::path::Path;
use std::process::{Command, exit};

/// Prints one sentence and stops the build.
fn fail(sentence: &str) -> ! {
    eprintln!("perlxs: {sentence}");
    exit(1);
}

/// What perl's Config says of `keys`, in their order.
fn perl_config<const N: usize>(perl: &str, keys: [&str; N]) -> [String; N] {
    let program = r#"print join "\0", map { $Config{$_} // "" } @ARGV"#;
    let output = Command::new(perl)
        .args(["-MConfig", "-e", program])
        .args(keys)
        .output()
        .unwrap_or_else(|e| {
            fail(&format!(
                "cannot run {perl:?} ({e}); install perl or set PERL to one"
            ))
        });
    if !output.status.success() {
        fail(&format!(
            "{perl:?} -MConfig ended with {}; install perl or set PERL to one\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let values: Vec<String> = text.split('\0').map(String::from).collect();
    values
        .try_into()
        .unwrap_or_else(|_| fail(&format!("{perl:?} printed no configuration")))
}

fn main() {
    println!("cargo::rerun-if-changed=csrc");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PERL");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rustc-check-cfg=cfg(perlxs_multiplicity)");

    let perl = std::env::var("PERL").unwrap_or_else(|_| "perl".into());
    let [archlib, ccflags, multiplicity, version] = perl_config(
        &perl,
        ["archlibexp", "ccflags", "usemultiplicity", "version"],
    );
    let core = Path::new(&archlib).join("CORE");
    let header = core.join("perl.h");
    if !header.exists() {
        fail(&format!(
            "perl {version} ({perl}) has no headers: {} is missing; \
             install perl (Debian, Ubuntu) or perl-devel (Fedora)",
            header.display()
        ));
    }
    println!(
        "cargo::rerun-if-changed={}",
        core.join("config.h").display()
    );
    if multiplicity == "define" {
        println!("cargo::rustc-cfg=perlxs_multiplicity");
    }

    let mut build = cc::Build::new();
    build.file("csrc/shim.c").include("csrc");
    if std::env::var_os("CARGO_FEATURE_PROCESS").is_some() {
        build.define("PERLXS_PROCESS", None);
    }
    for flag in ccflags.split_whitespace() {
        build.flag(flag);
    }
    // perl's headers do not pass -Wextra
    build.flag(format!("-I{}", core.display()));
    build.extra_warnings(false).warnings(true).opt_level(2);
    build.compile("perlxs_shim");
}
