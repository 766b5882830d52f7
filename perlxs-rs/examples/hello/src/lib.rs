//! What `Hello` says.

#![deny(unsafe_code)]

use perlxs::{Code, Error, Result, Scalar};

const MOST: i64 = 10;

perlxs::module! {
    Hello "0.01";

    /// `greet($name)`
    fn greet(name: Option<&str>) -> String {
        format!("Hello, {}!", name.unwrap_or("world"))
    }

    /// `greet_with($code, $name)`
    fn greet_with :prototype("&$") (code: Code, name: Scalar) -> Result<String> {
        Ok(greet(code.call(&[name])?.text()?.as_deref()))
    }

    /// `cheer($times)`
    fn cheer(times: i64) -> Result<String> {
        match times {
            1..=MOST => Ok("Hooray! ".repeat(times as usize).trim_end().into()),
            _ => Err(Error::croak(format!("times must be from 1 to {MOST}, not {times}"))),
        }
    }

    const MAX_CHEERS = MOST;
}
