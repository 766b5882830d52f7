//! What the compiler refuses: a reference that outlives the call it is lent for, and types that
//! perl cannot give or take. Each is compiled, with the messages looked at.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// The library that cargo has built for this test: the newest.
fn library() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    let deps = fs::read_dir(test.parent().expect("deps")).expect("a directory");
    let libraries = deps
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libperlxs-") && name.ends_with(".rlib")
        });
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|data| data.modified()).ok();
    libraries.max_by_key(modified).expect("libperlxs")
}

/// What the compiler says of a module with these items.
fn compile(before: &str, items: &str) -> String {
    let library = library();
    let source = format!(
        "#![allow(unused)]\nuse perlxs::*;\n{before}\n\
         perlxs::module! {{ Some::Module \"1\"; {items} }}"
    );
    let mut rustc = Command::new(env::var("RUSTC").unwrap_or_else(|_| "rustc".into()))
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
            "--crate-name",
            "m",
        ])
        .arg("--out-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .arg("--extern")
        .arg(format!("perlxs={}", library.display()))
        .arg("-L")
        .arg(library.parent().expect("deps"))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rustc");
    let mut stdin = rustc.stdin.take().expect("a pipe");
    stdin.write_all(source.as_bytes()).expect("the source");
    drop(stdin);
    let output = rustc.wait_with_output().expect("rustc ends");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), !text.contains("error"), "{text}");
    text
}

#[test]
fn what_is_sound_compiles() {
    let text = compile(
        "struct Own(i64);",
        "fn f(a: &str) -> &str { a } class Own { fn new() -> Own { Own(1) } \
         fn me(&self) -> i64 { self.0 } }",
    );
    assert_eq!(text, "");
}

#[test]
fn what_is_not_does_not() {
    let kept = "use std::cell::RefCell; thread_local! { static KEPT: RefCell<Vec<&'static str>> = \
                const { RefCell::new(Vec::new()) }; }";
    for (before, items, message) in [
        (
            kept,
            "fn keep(text: &str) { KEPT.with(|kept| kept.borrow_mut().push(text)); }",
            "borrowed data escapes outside of function",
        ),
        (
            "",
            "fn keep(text: &'static str) {}",
            "temporary value dropped while borrowed",
        ),
        (
            "struct Own(i64);",
            "class Own { fn new() -> Own { Own(1) } fn get(&'static self) -> i64 { self.0 } }",
            "",
        ),
        (
            "struct Own(Scalar);",
            "class Own { fn new(sv: Scalar) -> Own { Own(sv) } }",
            "cannot be sent between threads safely",
        ),
        (
            "struct Own;",
            "fn take(own: Own) {}",
            "`Own` is no parameter of a function that perl calls",
        ),
        (
            "struct Own;",
            "fn give() -> Own { Own }",
            "`Own` is not made a value of perl's",
        ),
        (
            "",
            "fn closure(perl: Perl, sv: Scalar) -> Code { \
             Code::from_fn(perl, move |_| sv.clone()) }",
            "cannot be sent between threads safely",
        ),
    ] {
        let text = compile(before, items);
        assert!(text.contains("error"), "this compiles: {items}");
        assert!(text.contains(message), "{items}:\n{text}");
    }
}
