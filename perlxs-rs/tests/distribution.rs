//! The example distribution, as a module author takes it: a copy outside the repository that
//! carries perlxs-rs along. It is built and tested there with its own commands.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a directory");
        for entry in fs::read_dir(from).expect("a directory to copy") {
            let entry = entry.expect("an entry");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).expect("a copy");
    }
}

struct Distribution {
    directory: PathBuf,
    perl: String,
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Distribution {
    /// What a shell command prints, both streams.
    fn run(&self, command: &str) -> String {
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(&self.directory)
            .env("PERL", &self.perl)
            .env_remove("CARGO_TARGET_DIR")
            // not what cargo tells the tests that it runs
            .env_remove("CARGO_MANIFEST_DIR")
            .output()
            .expect("sh");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command}:\n{text}");
        text
    }

    /// Whether make builds the library.
    fn builds(&self) -> bool {
        self.run("make").contains("cargo build")
    }
}

/// The example distribution. `None` in the package, which cannot have another one in it; nor can a
/// package be made of that.
fn hello() -> Option<PathBuf> {
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello");
    hello.exists().then_some(hello)
}

#[test]
fn outside_the_repository() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(hello) = hello() else { return };
    let directory = env::temp_dir().join(format!("perlxs-hello-{}", std::process::id()));
    let dist = Distribution {
        directory: directory.clone(),
        perl: env::var("PERL").unwrap_or_else(|_| "perl".into()),
    };
    let manifest = fs::read_to_string(hello.join("MANIFEST")).expect("its MANIFEST");
    for file in manifest.lines() {
        let to = directory.join(file);
        fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
        fs::copy(hello.join(file), &to).expect("a file of the MANIFEST");
    }
    for part in [
        "Cargo.toml",
        "README.md",
        "build.rs",
        "csrc",
        "doc",
        "perl",
        "src",
    ] {
        let to = directory.join("perlxs-rs").join(part);
        fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
        copy(&here.join(part), &to);
    }
    let readme = fs::read_to_string(hello.join("README")).expect("its README");
    let sed = readme.lines().find(|line| line.contains("sed -i"));
    dist.run(sed.expect("the README's command").trim());

    dist.run("$PERL Makefile.PL");
    dist.run("make test");
    let library = fs::read(directory.join("blib/arch/auto/Hello/Hello.so")).expect("a library");
    let libgcc = b"libgcc_s.so";
    assert!(
        !library.windows(libgcc.len()).any(|name| name == libgcc),
        "the unwinder is linked statically"
    );
    // cargo alone is content, too: the lock file is up to date
    dist.run("cargo metadata --locked --offline --format-version 1");

    // another target in the environment of make changes nothing
    dist.run("touch src/lib.rs; CARGO_BUILD_TARGET=nowhere make test");
    assert!(!dist.builds(), "nothing has changed");
    fs::write(directory.join("src/new.rs"), "").expect("a new file");
    assert!(dist.builds(), "a file has been added");
    assert!(!dist.builds(), "and then no more");
    fs::remove_file(directory.join("src/new.rs")).expect("no new file");
    assert!(dist.builds(), "a file has been removed");
    // in that of Makefile.PL it is what is built
    let host = dist.run("rustc -vV | sed -n 's/^host: //p'");
    dist.run(&format!(
        "CARGO_BUILD_TARGET={} $PERL Makefile.PL; make test",
        host.trim()
    ));
    let refused = dist.run("CARGO_BUILD_TARGET=nowhere $PERL Makefile.PL; ! make");
    assert!(refused.contains("nowhere"), "{refused}");
}

/// What `PerlXS::MakeMaker=new` writes builds, passes its tests, and is a distribution.
#[test]
fn new_distribution() {
    let directory = env::temp_dir().join(format!("perlxs-new-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let dist = Distribution {
        directory,
        perl: env::var("PERL").unwrap_or_else(|_| "perl".into()),
    };
    let lib = concat!(env!("CARGO_MANIFEST_DIR"), "/perl");
    let new =
        |arguments: &str| dist.run(&format!("$PERL '-I{lib}' -MPerlXS::MakeMaker={arguments}"));
    let refused = |arguments: &str| {
        let said = dist.run(&format!(
            "! $PERL '-I{lib}' -MPerlXS::MakeMaker={arguments}"
        ));
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    };
    new("new,Foo::Bar2");
    assert!(refused("new,Foo-Bar2").contains("there is a Foo-Bar2 already"));
    for name in [
        "new,../x", "new,Foo-", "new,-Foo", "new,2Foo", "new,", "new", "old,Foo",
    ] {
        refused(name);
    }
    assert!(refused("new,Foo,Bar").contains("only new,Foo-Bar"));
    assert_eq!(dist.run("ls").trim(), "Foo-Bar2");

    dist.run("cd Foo-Bar2; $PERL Makefile.PL && make && make test");
    let said = dist.run("cd Foo-Bar2; make -s distcheck");
    assert_eq!(said, "", "MANIFEST is right");
    dist.run(
        "cd Foo-Bar2; cargo fmt --check && cargo metadata --locked --offline --format-version 1",
    );
    // what perlxs-rs is built of counts without being named
    let builds = || dist.run("cd Foo-Bar2; make").contains("cargo build");
    assert!(!builds(), "nothing has changed");
    dist.run("cd Foo-Bar2; echo >> perlxs-rs/csrc/shim.h");
    assert!(builds(), "a file of perlxs-rs has changed");
    // a checkout without Cargo.lock gets one
    dist.run("cd Foo-Bar2; rm Cargo.lock; $PERL Makefile.PL; test -e Cargo.lock");
}

/// Runs cargo on this crate and returns what it says. Built elsewhere, so that it says all anew.
fn cargo(arguments: &[&str]) -> String {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("distribution");
    let output = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(arguments)
        .args(["--offline", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cargo {arguments:?}:\n{text}");
    text
}

#[test]
fn package_and_documentation() {
    if hello().is_none() {
        return;
    }
    for arguments in [
        &["package", "--no-verify", "--allow-dirty"][..],
        &["doc", "--no-deps", "--all-features"][..],
        &["doc", "--no-deps"][..],
    ] {
        let said = cargo(arguments);
        assert!(!said.contains("warning"), "cargo {arguments:?}:\n{said}");
    }
}
