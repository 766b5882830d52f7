//! What a build says where it cannot go on, in one sentence; and that documentation needs no perl.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Runs cargo on this crate with this in the environment: whether it succeeds, and what it says.
fn cargo(command: &str, environment: &[(&str, &str)]) -> (bool, String) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("build");
    let output = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args([command, "--offline", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("CARGO_BUILD_TARGET")
        .envs(environment.iter().copied())
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

/// The one sentence that a build fails with.
fn refusal(environment: &[(&str, &str)]) -> String {
    let (built, said) = cargo("build", environment);
    assert!(!built, "{environment:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    let mut sentences = said
        .lines()
        .filter_map(|line| line.strip_prefix("error: perlxs-rs@")?.split_once(": "));
    let sentence = sentences.next().expect("a sentence").1.to_string();
    assert_eq!(sentences.next(), None, "{said}");
    sentence
}

/// A Config.pm of a perl that is another than this one in these values; its directory.
fn config(name: &str, values: &[(&str, &str)]) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("config")
        .join(name);
    fs::create_dir_all(&directory).expect("a directory");
    let perl = env::var("PERL").unwrap_or_else(|_| "perl".into());
    let print =
        "print qq{$_ => q\\0$Config{$_}\\0, } for qw(archlibexp ccflags usemultiplicity version)";
    let output = Command::new(perl)
        .args(["-MConfig", "-e", print])
        .output()
        .expect("perl");
    let mut module = String::from("package Config;\nour %Config = (");
    module += &String::from_utf8_lossy(&output.stdout);
    for (key, value) in values {
        module += &format!("{key} => q\0{value}\0, ");
    }
    module += ");\nsub import { no strict; *{caller . '::Config'} = \\%Config }\n1;\n";
    fs::write(directory.join("Config.pm"), module).expect("Config.pm");
    directory.into_os_string().into_string().expect("a path")
}

#[test]
fn perls() {
    let said = refusal(&[("PERL", "/nowhere/perl")]);
    assert!(said.starts_with("cannot run \"/nowhere/perl\" ("), "{said}");
    assert!(
        said.ends_with("); install perl or set PERL to one"),
        "{said}"
    );

    let said = refusal(&[("PERL", "/bin/true")]);
    assert_eq!(said, "\"/bin/true\" printed no configuration");

    let said = refusal(&[("PERL", "/bin/false")]);
    assert_eq!(
        said,
        "\"/bin/false\" -MConfig ended with exit status: 1; install perl or set PERL to one"
    );

    let old = config("old", &[("version", "5.20.3")]);
    let said = refusal(&[("PERL5LIB", &old)]);
    assert!(said.starts_with("perl 5.20.3 ("), "{said}");
    assert!(said.contains(") is too old: perl 5.22 or newer"), "{said}");
}

#[test]
fn headers() {
    let without = config("without", &[("archlibexp", "/nowhere")]);
    let said = refusal(&[("PERL5LIB", &without)]);
    assert!(
        said.contains(") has no headers: /nowhere/CORE/perl.h is missing; install perl"),
        "{said}"
    );

    // whichever this perl is, its Config says the other
    let words = [
        "one with threads or MULTIPLICITY",
        "one without threads and MULTIPLICITY",
    ];
    let mut seen = 0;
    for (i, value) in ["define", ""].into_iter().enumerate() {
        let other = config("threads", &[("usemultiplicity", value)]);
        if cargo("build", &[("PERL5LIB", &other)]).0 {
            continue;
        }
        let said = refusal(&[("PERL5LIB", &other)]);
        let (perl, headers) = said.split_once(", but its headers in ").expect("both");
        assert!(perl.ends_with(words[i]), "{said}");
        assert!(headers.contains(words[1 - i]), "{said}");
        seen += 1;
    }
    assert_eq!(seen, 1, "one of them is this perl");
}

#[test]
fn compilers() {
    let said = refusal(&[("CC", "/nowhere/cc")]);
    assert!(
        said.starts_with("the C shim cannot be compiled: "),
        "{said}"
    );
    assert!(said.contains("/nowhere/cc"), "{said}");
    assert!(
        said.contains("; a C compiler is needed, cc or what CC names"),
        "{said}"
    );
}

#[test]
fn documentation_needs_no_perl() {
    let without = [
        ("DOCS_RS", "1"),
        ("PERL", "/nowhere/perl"),
        ("CC", "/nowhere/cc"),
    ];
    let (made, said) = cargo("doc", &without);
    assert!(made, "{said}");
    assert!(!said.contains("warning"), "{said}");
}
