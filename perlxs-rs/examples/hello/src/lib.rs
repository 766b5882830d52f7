//! What `Hello` says.

#![deny(unsafe_code)]

use perlxs::{Call, Constant, Error, Module, Result, Scalar, Value, Xsub};

const MAX_CHEERS: u8 = 10;

fn greeting(name: &Scalar) -> Result<Value> {
    let name = name.text()?.unwrap_or_else(|| "world".into());
    Ok(format!("Hello, {name}!").into())
}

/// `greet($name)`
fn greet(call: &Call<'_>) -> Result<Value> {
    greeting(&call.arg(0))
}

/// `greet_with($code, $name)`
fn greet_with(call: &Call<'_>) -> Result<Value> {
    let (code, name) = (call.arg(0), call.arg(1));
    let Some(code) = code.code()? else {
        let got = code.describe();
        return Err(Error::croak(format!("greet_with needs code, not {got}")));
    };
    greeting(&code.call(&[name.clone()])?)
}

/// `cheer($times)`
fn cheer(call: &Call<'_>) -> Result<Value> {
    let times = call.arg(0);
    let integer = times.number()?.integer();
    match integer.and_then(|n| u8::try_from(n).ok()) {
        Some(n @ 1..=MAX_CHEERS) => Ok("Hooray! ".repeat(n.into()).trim_end().into()),
        _ => Err(Error::croak(format!(
            "cheer needs an integer from 1 to {MAX_CHEERS}, not {}",
            times.describe()
        ))),
    }
}

static GREET: Xsub = Xsub::new(c"Hello::greet", c"name", 1, Some(1), greet);
static GREET_WITH: Xsub =
    Xsub::new(c"Hello::greet_with", c"code, name", 2, Some(2), greet_with).prototype(c"&$");
static CHEER: Xsub = Xsub::new(c"Hello::cheer", c"times", 1, Some(1), cheer);

fn module() -> Module {
    Module::new(c"Hello", c"0.01", &[&GREET, &GREET_WITH, &CHEER])
        .constants([Constant::new("MAX_CHEERS", MAX_CHEERS.into())])
}

perlxs::boot!(boot_Hello, module);
