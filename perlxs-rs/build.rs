//! Compiles the C shim against the headers of the perl that `$PERL` names, else of the `perl`
//! on the PATH; links the unwinder statically.

use std::env;
use std::path::Path;
use std::process::{Command, exit};

/// The oldest perl that the shim is tested with.
const OLDEST: (u32, u32) = (5, 22);

/// Stops the build with one sentence.
fn fail(sentence: &str) -> ! {
    println!("cargo::error={}", sentence.trim_end().replace('\n', " "));
    // cargo fails for that, without all that this has printed
    exit(0);
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
        let said = String::from_utf8_lossy(&output.stderr);
        let said = match said.trim() {
            "" => String::new(),
            said => format!(" ({said})"),
        };
        fail(&format!(
            "{perl:?} -MConfig ended with {}{said}; install perl or set PERL to one",
            output.status
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let values: Vec<String> = text.split('\0').map(String::from).collect();
    values
        .try_into()
        .unwrap_or_else(|_| fail(&format!("{perl:?} printed no configuration")))
}

/// Revision and version: 5 and 36 of `5.36.0`.
fn revision_and_version(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Whether a header defines this name.
fn defines(header: &Path, name: &str) -> bool {
    let text = std::fs::read(header)
        .unwrap_or_else(|e| fail(&format!("cannot read {}: {e}", header.display())));
    String::from_utf8_lossy(&text).lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("#define") && words.next() == Some(name)
    })
}

/// In words, for a message.
fn threads(has: bool) -> &'static str {
    match has {
        true => "with threads or MULTIPLICITY",
        false => "without threads and MULTIPLICITY",
    }
}

/// Rust's library asks the linker for libgcc_s.so. To load that file takes as long as all the rest
/// of loading a module, so a linker script of that name puts the static copy in its place: cargo
/// passes the directory on to whoever links this crate. Where the C compiler has none, the shared
/// one stays.
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
    if let Err(e) = std::fs::write(&script, "INPUT(-lgcc_eh -lgcc)\n") {
        fail(&format!("cannot write {}: {e}", script.display()));
    }
    println!("cargo::rustc-link-search=native={directory}");
}

fn main() {
    println!("cargo::rerun-if-changed=csrc");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PERL");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CC");
    println!("cargo::rustc-check-cfg=cfg(perlxs_multiplicity)");
    if env::var_os("DOCS_RS").is_some() {
        // documentation needs no perl
        println!("cargo::rustc-cfg=perlxs_multiplicity");
        return;
    }

    let perl = env::var("PERL").unwrap_or_else(|_| "perl".into());
    let [archlib, ccflags, multiplicity, version] = perl_config(
        &perl,
        ["archlibexp", "ccflags", "usemultiplicity", "version"],
    );
    let (revision, number) = OLDEST;
    if revision_and_version(&version).is_none_or(|version| version < OLDEST) {
        fail(&format!(
            "perl {version} ({perl}) is too old: perl {revision}.{number} or newer is \
             needed; install one or set PERL to one"
        ));
    }
    let core = Path::new(&archlib).join("CORE");
    let header = core.join("perl.h");
    if !header.exists() {
        fail(&format!(
            "perl {version} ({perl}) has no headers: {} is missing; \
             install perl (Debian, Ubuntu) or perl-devel (Fedora)",
            header.display()
        ));
    }
    let config = core.join("config.h");
    println!("cargo::rerun-if-changed={}", config.display());
    let multiplicity = multiplicity == "define";
    if defines(&config, "MULTIPLICITY") != multiplicity {
        fail(&format!(
            "perl {version} ({perl}) is one {}, but its headers in {} are of one {}: \
             install those that belong to it",
            threads(multiplicity),
            core.display(),
            threads(!multiplicity)
        ));
    }
    if multiplicity {
        println!("cargo::rustc-cfg=perlxs_multiplicity");
    }

    link_unwinder_statically();

    let mut build = cc::Build::new();
    build.file("csrc/shim.c").include("csrc");
    if env::var_os("CARGO_FEATURE_PROCESS").is_some() {
        build.define("PERLXS_PROCESS", None);
    }
    for flag in ccflags.split_whitespace() {
        build.flag(flag);
    }
    // perl's headers do not pass -Wextra
    build.flag(format!("-I{}", core.display()));
    build.extra_warnings(false).warnings(true).opt_level(2);
    if let Err(e) = build.try_compile("perlxs_shim") {
        fail(&format!(
            "the C shim cannot be compiled: {e}; a C compiler is needed, cc or what CC names, with \
             the C library's headers (Debian, Ubuntu: gcc libc6-dev; Fedora: gcc)"
        ));
    }
}
