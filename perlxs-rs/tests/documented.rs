//! The examples in the documentation of the items, in README.md and in doc/*.md: all are built, as
//! one extension, and run under perl. And each public item has one.
//!
//! An example is a block of Rust, then one of perl. Each function of the Rust block that is a
//! [`perlxs::Body`] is an XSUB of the perl block's package; a block with a `boot!` of its own is
//! loaded as it says. Of the perl block, a line that ends with a comment is a test:
//!
//! ```text
//! twice(21);                  # 42
//! twice('x');                 # dies: no number
//! print twice(21), "\n";      # 42
//! ```
//!
//! The comment is what perl makes of it, in list context; what the exception starts with; what
//! is printed. Other lines just run; a first line `#!perl -T` turns taint mode on. A block of Rust
//! that imports nothing of perlxs gets all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// One example, with where it is from.
struct Example {
    origin: String,
    rust: String,
    perl: String,
}

/// The blocks of code in a text of Markdown: the language and the text of each.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut block: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut block, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => block = Some((language.to_string(), String::new())),
            (Some(_), Some(_)) => blocks.extend(block.take()),
            (Some((language, text)), None) => {
                let hidden = line.strip_prefix("# ").filter(|_| language != "perl");
                let line = hidden.unwrap_or(line);
                let _ = writeln!(text, "{line}");
            }
            (None, None) => {}
        }
    }
    assert!(block.is_none(), "a block that does not end:\n{text}");
    blocks
}

/// The examples of a text: each block of Rust with the block of perl behind it.
fn examples(origin: &str, text: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for (language, text) in blocks(text) {
        match language.as_str() {
            "" | "rust" => {
                let imports = match text.contains("use perlxs::") {
                    true => "",
                    false => "use perlxs::*;\n",
                };
                examples.push(Example {
                    origin: origin.to_string(),
                    rust: format!("{imports}{text}"),
                    perl: String::new(),
                });
            }
            "perl" => {
                let example = examples.last_mut().filter(|e| e.perl.is_empty());
                let example = example.unwrap_or_else(|| panic!("{origin}: only perl:\n{text}"));
                example.perl = text;
            }
            _ => {}
        }
    }
    for example in &examples {
        assert!(
            !example.perl.is_empty(),
            "{origin}: an example that nothing runs:\n{}",
            example.rust
        );
    }
    examples
}

/// A public item and its documentation.
struct Item {
    file: String,
    /// `Type::function`, or `Type`.
    name: String,
    text: String,
}

/// The public items of a source file that are documented, and the text of the file itself.
fn items(file: &str, source: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut text = String::new();
    let mut owner = String::new();
    let (mut hidden, mut exported) = (false, false);
    let mut own_text = String::new();
    let mut in_attribute = false;
    for line in source.lines() {
        let code = line.trim_start();
        if in_attribute {
            in_attribute = !code.ends_with(")]");
            continue;
        }
        let words: Vec<_> = code
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '!'))
            .filter(|word| !matches!(*word, "unsafe" | "const"))
            .collect();
        if let Some(doc) = code.strip_prefix("///") {
            text += doc.strip_prefix(' ').unwrap_or(doc);
            text += "\n";
            continue;
        } else if let Some(doc) = code.strip_prefix("//!") {
            own_text += doc.strip_prefix(' ').unwrap_or(doc);
            own_text += "\n";
        } else if code.starts_with("#[") {
            hidden |= code.starts_with("#[doc(hidden)]");
            exported |= code.starts_with("#[macro_export]");
            in_attribute = !code.ends_with(']');
            continue;
        } else if line.starts_with("impl") {
            // the last of `impl<T> Trait for Type<T>`; a trait's items have its documentation
            owner = match line.contains(" for ") {
                true => String::new(),
                false => {
                    let head = line.split('{').next().unwrap_or_default();
                    let head = head.strip_prefix("impl<'n>").unwrap_or(head);
                    let head = head.split("<'").next().unwrap_or_default();
                    let head = head.strip_prefix("impl<T: Send + 'static>").unwrap_or(head);
                    let head = head.split('<').next().unwrap_or_default();
                    let mut words = head.split_whitespace();
                    words.next_back().unwrap_or_default().to_string()
                }
            };
        } else if line.starts_with('}') {
            owner.clear();
        } else if let ["pub", "fn" | "struct" | "enum" | "type" | "trait", name, ..] = words[..] {
            if !hidden && !code.starts_with("pub(") {
                let name = match line.starts_with(' ') {
                    true => format!("{owner}::{name}"),
                    false => name.to_string(),
                };
                let (file, text) = (file.to_string(), text.clone());
                items.push(Item { file, name, text });
            }
        } else if let ["macro_rules!", name, ..] = words[..] {
            if exported && !hidden {
                let (file, name, text) = (file.to_string(), format!("{name}!"), text.clone());
                items.push(Item { file, name, text });
            }
        }
        text.clear();
        (hidden, exported) = (false, false);
    }
    let (file, name) = (file.to_string(), file.to_string());
    items.push(Item {
        file,
        name,
        text: own_text,
    });
    items
}

/// The name of the item whose example is this one's too: `Example: [`NAME`]`.
fn referred(text: &str) -> Option<&str> {
    let rest = &text[text.find("Example: [`")? + "Example: [`".len()..];
    rest.split('`').next()?.split('@').next_back()
}

/// Whether the code uses the item: calls a function of a type, or names something else.
fn is_used(name: &str, code: &str) -> bool {
    if let Some((_, function)) = name.split_once("::") {
        let calls = [
            format!(".{function}("),
            format!(".{function}::<"),
            format!("{name}("),
        ];
        return calls.iter().any(|call| code.contains(call));
    }
    let name = name.trim_end_matches('!');
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word == name)
}

/// All examples; and that each public item has one, or is used in the one that it refers to.
fn documented(here: &Path) -> Vec<Example> {
    let mut all = Vec::new();
    let mut by_item: BTreeMap<String, String> = BTreeMap::new();
    let mut referring = Vec::new();
    let mut missing = BTreeSet::new();
    for entry in fs::read_dir(here.join("src")).expect("src") {
        let path = entry.expect("an entry").path();
        let file = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let source = fs::read_to_string(&path).expect("a source");
        for item in items(&file, &source) {
            let of_file = item.name == item.file;
            if file == "ffi.rs" || matches!(item.name.as_str(), "boot_module" | "boot_name") {
                continue; // hidden, and no part of the interface
            }
            let origin = format!("{}: {}", item.file, item.name);
            let own = examples(&origin, &item.text);
            if let Some(name) = referred(&item.text) {
                referring.push((item.name.clone(), name.to_string()));
            } else if own.is_empty() && !of_file {
                missing.insert(origin);
            }
            let code = own
                .iter()
                .flat_map(|e| [e.rust.as_str(), &e.perl])
                .collect();
            by_item.insert(item.name, code);
            all.extend(own);
        }
    }
    for (name, other) in referring {
        let code = by_item.get(&other).map_or("", String::as_str);
        if !is_used(&name, code) {
            missing.insert(format!("{name}, not in the example of {other}"));
        }
    }
    assert!(missing.is_empty(), "items without an example: {missing:#?}");
    assert!(by_item.len() > 80, "only {} items", by_item.len());

    let mut texts = vec![here.join("README.md")];
    for entry in fs::read_dir(here.join("doc")).expect("doc") {
        texts.push(entry.expect("an entry").path());
    }
    for path in texts {
        let text = fs::read_to_string(&path).expect("a text");
        all.extend(examples(&path.display().to_string(), &text));
    }
    all
}

/// The names of the functions that are XSUBs.
fn bodies(rust: &str) -> Vec<&str> {
    let functions = rust.lines().filter(|line| {
        ["call", "_"]
            .iter()
            .any(|call| line.contains(&format!("({call}: &Call<'_>) -> Result<Value>")))
    });
    functions
        .filter_map(|line| line.split_once("fn ")?.1.split('(').next())
        .collect()
}

/// The source of the extension with all examples in it.
fn extension(examples: &[Example]) -> String {
    let mut source = String::from("#![allow(dead_code, unused_imports)]\n");
    let mut xsubs = String::new();
    for (i, example) in examples.iter().enumerate() {
        let _ = writeln!(
            source,
            "\n// {}\nmod e{i} {{\n{}",
            example.origin, example.rust
        );
        for body in bodies(&example.rust) {
            let upper = body.to_uppercase();
            let _ = writeln!(
                source,
                "pub static X_{upper}: perlxs::Xsub =\n\
                 perlxs::Xsub::new(c\"Example{i}::{body}\", c\"...\", 0, None, {body});"
            );
            let _ = write!(xsubs, "&e{i}::X_{upper}, ");
        }
        source += "}\n";
    }
    let _ = write!(
        source,
        "\nfn module() -> perlxs::Module {{\n\
         perlxs::Module::new(c\"Examples\", c\"1\", &[{xsubs}])\n}}\n\
         perlxs::boot!(boot_Examples, module);\n"
    );
    source
}

/// A program that tests what a block of perl says.
fn program(number: usize, perl: &str) -> String {
    let mut program = format!(
        "use strict; use warnings; use Test::More; use XSLoader;\n\
         alarm 60; XSLoader::load('Examples', 1);\n\
         package Example{number};\n"
    );
    for line in perl.lines() {
        let test = line.split_once("# ").and_then(|(code, wanted)| {
            let code = code.trim_end().strip_suffix(';')?;
            let is_statement =
                code.starts_with("my ") || code.starts_with(' ') || code.starts_with("our ");
            (!is_statement).then_some((code, wanted.trim()))
        });
        let quoted = |text: &str| format!("q\u{1}{text}\u{1}");
        let _ = match test {
            Some((code, wanted)) if code.starts_with("print ") => {
                let printed = code.trim_start_matches("print ");
                let printed = format!("join('', {printed}) =~ s/\\n\\z//r");
                let (wanted, name) = (quoted(wanted), quoted(code));
                writeln!(program, "Test::More::is({printed}, {wanted}, {name});")
            }
            Some((code, wanted)) if wanted.starts_with("dies: ") => {
                let wanted = quoted(wanted.trim_start_matches("dies: "));
                let start = format!("substr($@, 0, length {wanted})");
                let name = quoted(code);
                writeln!(program, "eval {{ {code}; $@ = '' }};")
                    .and_then(|()| writeln!(program, "Test::More::is({start}, {wanted}, {name});"))
            }
            Some((code, wanted)) => {
                let name = quoted(code);
                writeln!(
                    program,
                    "Test::More::is_deeply([ {code} ], [ {wanted} ], {name});"
                )
            }
            None => writeln!(program, "{line}"),
        };
    }
    program + "\nTest::More::done_testing();\n"
}

/// Builds the extension and returns where the library is.
fn build(here: &Path, source: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documented");
    fs::create_dir_all(directory.join("src")).expect("a directory");
    let manifest = format!(
        "[package]\nname = \"documented\"\nedition = \"2024\"\n\
         [lib]\ncrate-type = [\"cdylib\"]\n\
         [dependencies]\nlibc = \"0.2\"\nperlxs = {{ package = \"perlxs-rs\", path = {here:?},\n\
         features = [\"process\"] }}\n\
         [workspace]\n"
    );
    fs::write(directory.join("Cargo.toml"), manifest).expect("Cargo.toml");
    fs::write(directory.join("src/lib.rs"), source).expect("lib.rs");
    // the versions that this crate is tested with
    for lock in [here.join("../Cargo.lock"), here.join("Cargo.lock")] {
        if lock.exists() {
            fs::copy(lock, directory.join("Cargo.lock")).expect("Cargo.lock");
            break;
        }
    }
    let target = directory.join("target");
    let status = Command::new(env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["build", "--quiet", "--offline"])
        .current_dir(&directory)
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .expect("cargo");
    assert!(status.success(), "the examples do not build: {status}");
    target.join("debug/libdocumented.so")
}

/// Whether this perl was built with taint support.
fn has_taint_mode(perl: &str) -> bool {
    let output = Command::new(perl).args(["-T", "-e", "1"]).output();
    output.expect("perl").status.success()
}

#[test]
fn examples_run() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = documented(here);
    let library = build(here, &extension(&examples));
    let lib = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documented/lib");
    let _ = fs::remove_dir_all(&lib);
    let install = |package: &str| {
        let name = package.rsplit("::").next().expect("a name");
        let to = lib
            .join("auto")
            .join(package.replace("::", "/"))
            .join(format!("{name}.so"));
        fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
        fs::copy(&library, to).expect("a copy");
    };
    install("Examples");

    let perl = env::var("PERL").unwrap_or_else(|_| "perl".into());
    let mut failed = Vec::new();
    let mut tests = 0;
    for (i, example) in examples.iter().enumerate() {
        if let Some((_, name)) = example.rust.split_once("boot!(boot_") {
            let name = name.split(',').next().expect("a name");
            install(&name.replace("__", "::"));
        } else if let Some((_, name)) = example.rust.split_once("module! {") {
            install(name.split_whitespace().next().expect("a name"));
        }
        let program = program(i, &example.perl);
        let switch = example.perl.starts_with("#!perl -T").then_some("-T");
        if switch.is_some() && !has_taint_mode(&perl) {
            continue;
        }
        let output = Command::new(&perl)
            .args(switch)
            .arg(format!("-I{}", lib.display()))
            .args(["-e", &program])
            .output()
            .expect("perl");
        let printed = String::from_utf8_lossy(&output.stdout);
        let ok = printed
            .lines()
            .filter(|line| line.starts_with("ok "))
            .count();
        tests += ok;
        if !output.status.success() || ok == 0 {
            let error = String::from_utf8_lossy(&output.stderr);
            failed.push(format!("{}:\n{printed}{error}{program}", example.origin));
        }
    }
    println!("{} examples, {tests} tests", examples.len());
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
