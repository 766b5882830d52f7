//! What perl says of a library when it loads it: of crates that forbid `unsafe`, of modules that
//! cannot be made, and of libraries for another perl.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs};

const FORBIDS: &str = "perlxs::module! {
    Boot::Forbids \"1\";
    fn answer() -> i64 { 42 }
}";
const PANICS: &str = "fn module() -> perlxs::Module { panic!(\"no module today\") }
perlxs::boot!(boot_Boot__Panics, module);";
const OTHER: &str =
    "fn module() -> perlxs::Module { perlxs::Module::new(c\"Boot::One\", c\"1\", &[]) }
perlxs::boot!(boot_Boot__Other, module);";
const MISNAMED: &str =
    "fn module() -> perlxs::Module { perlxs::Module::new(c\"main\", c\"1\", &[]) }
perlxs::boot!(malloc, module);";

fn perl() -> String {
    env::var("PERL").unwrap_or_else(|_| "perl".into())
}

/// A package whose examples are the extensions.
fn package() -> &'static Path {
    static PACKAGE: OnceLock<PathBuf> = OnceLock::new();
    PACKAGE.get_or_init(new_package)
}

fn new_package() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("boot");
    let mut manifest = format!(
        "[package]\nname = \"boot\"\nedition = \"2024\"\n[workspace]\n\
         [lints.rust]\nunsafe_code = \"forbid\"\n\
         [dev-dependencies]\nperlxs = {{ package = \"perlxs-rs\", path = {here:?} }}\n"
    );
    fs::create_dir_all(directory.join("examples")).expect("a directory");
    fs::create_dir_all(directory.join("src")).expect("a directory");
    fs::write(directory.join("src/lib.rs"), "").expect("lib.rs");
    for (name, text) in [
        ("forbids", FORBIDS),
        ("panics", PANICS),
        ("other", OTHER),
        ("misnamed", MISNAMED),
    ] {
        manifest += &format!("[[example]]\nname = {name:?}\ncrate-type = [\"cdylib\"]\n");
        let file = directory.join("examples").join(name).with_extension("rs");
        fs::write(file, text).expect("an example");
    }
    fs::write(directory.join("Cargo.toml"), manifest).expect("Cargo.toml");
    directory
}

/// Builds an extension, below `target`, with this in the environment.
fn build(name: &str, target: &str, environment: Option<(&str, &Path)>) -> Output {
    let directory = package();
    Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["build", "--quiet", "--offline", "--example", name])
        .arg("--target-dir")
        .arg(directory.join(target))
        .current_dir(directory)
        .env_remove("CARGO_BUILD_TARGET")
        .envs(environment)
        .output()
        .expect("cargo")
}

/// Builds one that is to be built, and installs it below a directory of its own.
fn install(name: &str, target: &str, environment: Option<(&str, &Path)>) -> PathBuf {
    let built = build(name, target, environment);
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{name}: {said}");
    assert_eq!(said, "", "{name}");
    let target = package().join(target);
    let library = target.join(format!("debug/examples/lib{name}.so"));
    let upper = name[..1].to_uppercase() + &name[1..];
    let lib = target.join("lib");
    let to = lib.join(format!("auto/Boot/{upper}/{upper}.so"));
    fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
    let _ = fs::remove_file(&to);
    fs::copy(library, to).expect("a copy");
    lib
}

/// What perl prints that loads a package and runs `code`, or what loading dies of, without where.
fn load(perl: &str, lib: &Path, package: &str, code: &str) -> String {
    let program = format!(
        "use strict; require XSLoader; alarm 60;\n\
         if (eval {{ XSLoader::load('{package}', 1); 1 }}) {{ {code} }} else {{\n\
         $@ =~ s/ at \\S+ line \\d+\\.\\n.*//s or $@ .= '(no place)'; print $@;\n\
         print '; it is defined' if defined &{package}::answer }}"
    );
    let output = Command::new(perl)
        .arg(format!("-I{}", lib.display()))
        .args(["-e", &program])
        .output()
        .expect("perl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}: {output:?}");
    text
}

#[test]
fn what_loads() {
    let lib = install("forbids", "target", None);
    let answer = "print Boot::Forbids::answer()";
    assert_eq!(load(&perl(), &lib, "Boot::Forbids", answer), "42");

    let lib = install("panics", "target", None);
    let said = load(&perl(), &lib, "Boot::Panics", "print 'loaded'");
    assert_eq!(said, "no module today");

    let lib = install("other", "target", None);
    let said = load(&perl(), &lib, "Boot::Other", "print 'loaded'");
    assert_eq!(
        said,
        "boot_Boot__Other defines package Boot::One, which wants boot_Boot__One"
    );
}

#[test]
fn names_of_other_functions() {
    let built = build("misnamed", "target", None);
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(!built.status.success(), "a function of the C library's");
    assert!(
        said.contains("boot! takes the name of a boot function"),
        "{said}"
    );
}

/// What this perl's Config says of a key.
fn config(key: &str) -> String {
    let output = Command::new(perl())
        .args(["-MConfig", "-e", "print $Config{+shift} // ''", key])
        .output()
        .expect("perl");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A directory with a Config.pm of a perl like this one, but for its headers: a copy in which a
/// line of this file is another one.
fn other_perl(name: &str, file: &str, line: &str, other: &str) -> PathBuf {
    let directory = package().join(name);
    let core = directory.join("CORE");
    fs::create_dir_all(&core).expect("a directory");
    for entry in fs::read_dir(Path::new(&config("archlibexp")).join("CORE")).expect("CORE") {
        let entry = entry.expect("an entry");
        if entry.path().extension().is_some_and(|e| e == "h") {
            fs::copy(entry.path(), core.join(entry.file_name())).expect("a copy");
        }
    }
    let text = fs::read(core.join(file)).expect("a header");
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains(line), "{file} has no {line:?}");
    fs::write(core.join(file), text.replacen(line, other, 1)).expect("a header");
    let mut module = format!("package Config;\nour %Config = (archlibexp => {directory:?}");
    for key in ["ccflags", "usemultiplicity", "version"] {
        module += &format!(", {key} => '{}'", config(key).replace('\'', "\\'"));
    }
    module += ");\nsub import { no strict; *{caller . '::Config'} = \\%Config }\n1;\n";
    fs::write(directory.join("Config.pm"), module).expect("Config.pm");
    directory
}

#[test]
fn of_another_version() {
    let version = config("PERL_VERSION");
    let older: u32 = version.parse::<u32>().expect("a number") - 1;
    let line = format!("#define PERL_VERSION\t{version}");
    let older_line = format!("#define PERL_VERSION\t{older}");
    let headers = other_perl("version", "patchlevel.h", &line, &older_line);
    let lib = install("forbids", "version/target", Some(("PERL5LIB", &headers)));
    assert_eq!(
        load(&perl(), &lib, "Boot::Forbids", "print 'loaded'"),
        format!(
            "boot_Boot__Forbids was built for perl 5.{older}, and this is perl 5.{version}: \
             build it again"
        )
    );
}

#[test]
fn of_another_build() {
    if config("usemultiplicity") != "define" {
        return; // it has no interpreter that could be another one
    }
    let version = config("PERL_VERSION");
    let headers = other_perl(
        "members",
        "intrpvar.h",
        "PERLVAR(I, stack_sp,",
        "PERLVAR(I, of_others, void *)\nPERLVAR(I, stack_sp,",
    );
    let lib = install("forbids", "members/target", Some(("PERL5LIB", &headers)));
    assert_eq!(
        load(&perl(), &lib, "Boot::Forbids", "print 'loaded'"),
        format!(
            "boot_Boot__Forbids was built for another perl 5.{version} than this one: \
             build it again"
        )
    );
}

/// The dynamic linker sees to it: each kind has variables that the other has not.
#[test]
fn of_a_perl_without_threads_or_with() {
    let Some(other) = env::var_os("PERLXS_OTHER_PERL") else {
        return;
    };
    let other = other.into_string().expect("a path");
    let other_path = PathBuf::from(&other);
    let ours = install("forbids", "target", None);
    let others = install("forbids", "other/target", Some(("PERL", &other_path)));
    let answer = "print Boot::Forbids::answer()";
    assert_eq!(load(&other, &others, "Boot::Forbids", answer), "42");
    for (perl, lib) in [(&perl(), others), (&other, ours)] {
        let said = load(perl, &lib, "Boot::Forbids", answer);
        assert!(said.starts_with("Can't load '"), "{said}");
        assert!(said.contains(": undefined symbol: PL_"), "{said}");
    }
}
